package openocd

import (
	"testing"

	"hallmark/devices/probe"
)

// A pattern is compiled at its first use, which may be in the middle of a Run.
func TestEachPatternCompiles(t *testing.T) {
	for _, pattern := range []probe.Pattern{banner, foundProbe, discovered, firmware, voltage, processor, dpidr, notOpened, lostProbe, mismatched, errorLine} {
		pattern()
	}
	for _, sign := range signs {
		sign.text()
	}
}
