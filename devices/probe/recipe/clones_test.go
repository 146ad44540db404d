package recipe_test

import (
	"errors"
	"path/filepath"
	"testing"

	"hallmark/configs"
	"hallmark/devices/probe"
	"hallmark/devices/probe/recipe"
	"hallmark/fixtures/programmers"
	"hallmark/fixtures/usbtree"
)

// No programmer of a recipe knows USB paths, so it would flash and lock the board of the first probe with the serial number.
func TestAProbeIsNotTakenForItsClone(t *testing.T) {
	const serial = "000683806234"
	clones := "1-1 1366:1015 serial=000683806234\n1-2 1366:1015 serial=683806234\n1-3 0403:6001 serial=683806234\n"
	for name, test := range map[string]struct {
		tree     string
		selected probe.Selection
		want     error
	}{
		"a machine without USB":                      {"", probe.Selection{Serial: serial}, nil},
		"the only one":                               {"1-1 1366:1015 serial=000683806234\n", probe.Selection{Serial: serial, Location: "1-1"}, nil},
		"another device with its number":             {"1-1 1366:1015 serial=000683806234\n1-3 0403:6001 serial=683806234\n", probe.Selection{Serial: serial, Location: "1-1"}, nil},
		"two with one number, by the path":           {clones, probe.Selection{Serial: serial, Location: "1-2"}, probe.ErrAmbiguous},
		"two with one number, by the number":         {clones, probe.Selection{Serial: serial}, probe.ErrAmbiguous},
		"nothing at the path":                        {clones, probe.Selection{Serial: serial, Location: "1-9"}, probe.ErrMissing},
		"another one at the path":                    {"1-1 1366:1015 serial=5\n1-2 1366:1015 serial=000683806234\n", probe.Selection{Serial: serial, Location: "1-1"}, probe.ErrWrongSerial},
		"two CMSIS-DAP of two makers, by the number": {"1-1 0d28:0204 serial=683806234 product=DAPLink_CMSIS-DAP\n1-2 1fc9:0143 serial=683806234 product=MCU-LINK_CMSIS-DAP\n", probe.Selection{Serial: serial}, probe.ErrAmbiguous},
		"two CMSIS-DAP of two makers, by the path":   {"1-1 0d28:0204 serial=683806234 product=DAPLink_CMSIS-DAP\n1-2 1fc9:0143 serial=683806234 product=MCU-LINK_CMSIS-DAP\n", probe.Selection{Serial: serial, Location: "1-2"}, probe.ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			machine, err := usbtree.Unfold(t.TempDir(), test.tree)
			if err != nil {
				t.Fatal(err)
			}
			described, err := configs.Recipe("nrfutil", ".")
			if err != nil {
				t.Fatal(err)
			}
			standIn := programmers.Install(t, "nrfutil", programmers.Board{Serial: serial, Millivolts: 3300, Version: "2.7.16"})
			driver, err := recipe.New(recipe.Config{Recipe: described, Program: standIn.Path(), Target: "chip", USB: filepath.Join(machine.Dir(), "sys/bus/usb/devices")})
			if err != nil {
				t.Fatal(err)
			}
			before := string(standIn.Flash(t))
			p := driver.Open(test.selected)
			err = errors.Join(p.Flash(t.Context(), image(), nil), p.Lock(t.Context()))
			if !errors.Is(err, test.want) || errors.Is(err, probe.ErrNeedsFlash) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if board := standIn.Board(t); test.want != nil && (board.Locked || string(standIn.Flash(t)) != before) {
				t.Error("the board was changed")
			}
		})
	}
}
