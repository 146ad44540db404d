package openocd

import (
	"errors"
	"testing"

	"hallmark/devices/probe"
)

// A board is bad only if the probe was there until the comparison ended: what a lost probe reads differs from every image.
func TestALostProbeSaysNothingAboutTheBoard(t *testing.T) {
	const mismatch, lost = "checksum mismatch - attempting binary compare\n", "Error: jaylink_swd_io() failed: input/output error\n"
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"the flash differs":                       {mismatch, probe.ErrMismatch},
		"the probe was lost while it compared":    {mismatch + lost, probe.ErrLost},
		"the probe was lost before it compared":   {lost, probe.ErrLost},
		"the probe was lost, and nothing differs": {lost + "verified\n", probe.ErrLost},
	} {
		o := &outcome{exit: 1, text: "Open On-Chip Debugger 0.12.0\n" + test.text, marks: map[string]string{"refused": "verify"}}
		if err := o.because(&device{}); !errors.Is(err, test.want) || errors.Is(err, probe.ErrMismatch) != (test.want == probe.ErrMismatch) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}
