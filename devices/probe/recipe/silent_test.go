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

func TestWhichShippedRecipesNameTheProbe(t *testing.T) {
	for _, s := range shipped {
		described, err := configs.Recipe(s.name, ".")
		if err != nil {
			t.Fatal(err)
		}
		if silent := s.name == "probe-rs" || s.name == "pyocd"; described.HidesProbe() != silent {
			t.Errorf("%s: the programmer hides its probe: %t", s.name, !silent)
		}
	}
}

// A programmer that does not say which probe it took is only believed if the station itself saw the probe at its USB path, or if there is no other.
func TestAProgrammerThatHidesItsProbeNeedsAUSBPathBesideOtherProbes(t *testing.T) {
	const serial = "000683806234"
	two := "1-1 1366:1015 serial=000683806234\n1-2 1366:1015 serial=5\n"
	for name, test := range map[string]struct {
		tree     string
		selected probe.Selection
		want     error
	}{
		"the only one":                          {"1-1 1366:1015 serial=000683806234\n", probe.Selection{Serial: serial}, nil},
		"another kind of probe":                 {"1-1 1366:1015 serial=000683806234\n1-2 0483:374e serial=5 product=STLINK-V3\n", probe.Selection{Serial: serial}, nil},
		"another one of its kind":               {two, probe.Selection{Serial: serial}, probe.ErrAmbiguous},
		"another one of its kind, and the path": {two, probe.Selection{Serial: serial, Location: "1-1"}, nil},
		"the path of another one":               {two, probe.Selection{Serial: serial, Location: "1-2"}, probe.ErrWrongSerial},
	} {
		t.Run(name, func(t *testing.T) {
			machine, err := usbtree.Unfold(t.TempDir(), test.tree)
			if err != nil {
				t.Fatal(err)
			}
			described, err := configs.Recipe("probe-rs", ".")
			if err != nil {
				t.Fatal(err)
			}
			standIn := programmers.Install(t, "probe-rs", programmers.Board{Serial: serial, Millivolts: 3300, Version: "0.32.0"})
			driver, err := recipe.New(recipe.Config{Recipe: described, Program: standIn.Path(), Target: "chip", USB: filepath.Join(machine.Dir(), "sys/bus/usb/devices")})
			if err != nil {
				t.Fatal(err)
			}
			before := string(standIn.Flash(t))
			err = driver.Open(test.selected).Flash(t.Context(), image(), nil)
			if !errors.Is(err, test.want) || errors.Is(err, probe.ErrNeedsFlash) || test.want != nil && string(standIn.Flash(t)) != before {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
