package commander

import (
	"testing"

	"hallmark/devices/probe"
)

// A pattern is compiled at its first use, which may be in the middle of a Run.
func TestEachPatternCompiles(t *testing.T) {
	for _, pattern := range []probe.Pattern{listed, version, serialNumber, firmware, vtref, identified, connected, flashed, verified, saved, anyError, unsecured} {
		pattern()
	}
	for _, sign := range signs {
		sign.text()
	}
}
