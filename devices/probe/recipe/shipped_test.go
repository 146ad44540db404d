package recipe_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/devices/probe"
	"hallmark/devices/probe/recipe"
	"hallmark/fixtures/programmers"
	"hallmark/station/reason"
)

func TestMain(m *testing.M) {
	programmers.Main()
	os.Exit(m.Run())
}

// A bay is a stand-in for a programmer, with the view of its shipped recipe.
type bay struct {
	probe.Probe
	*programmers.StandIn
	*recipe.Driver
}

// shipped are the shipped recipes, each with a version and a serial number as its programmer prints them.
var shipped = []struct {
	name, program, version, serial string
	selected                       probe.Selection
	locks                          bool
}{
	{"probe-rs", "probe-rs", "0.32.0", "000683806234", probe.Selection{Serial: "000683806234"}, false},
	{"nrfutil", "nrfutil", "2.7.16", "000683806234", probe.Selection{Serial: "683806234"}, true},
	{"stm32", "STM32_Programmer_CLI", "2.20.0", "53FF71065056705420540981", probe.Selection{Serial: "53FF71065056705420540981"}, true},
	{"linkserver", "LinkServer", "25.6.131", "RJ5F0KUBKS14M", probe.Selection{Serial: "RJ5F0KUBKS14M"}, false},
	{"blhost", "blhost", "3.0.1", "", probe.Selection{Location: "/dev/ttyACM0"}, false},
	{"pyocd", "pyocd", "0.36.0", "02400B0129164E4500440012", probe.Selection{Serial: "02400B0129164E4500440012"}, false},
	{"esptool", "esptool", "4.7.0", "", probe.Selection{Location: "/dev/ttyUSB0"}, false},
}

func connect(t *testing.T, i int) *bay {
	t.Helper()
	described, err := configs.Recipe(shipped[i].name, ".")
	if err != nil {
		t.Fatal(err)
	}
	board := programmers.Board{Serial: shipped[i].serial, Millivolts: 3300, Version: shipped[i].version}
	standIn := programmers.Install(t, shipped[i].program, board)
	driver, err := recipe.New(recipe.Config{Recipe: described, Program: standIn.Path(), Target: "chip"})
	if err != nil {
		t.Fatal(err)
	}
	return &bay{driver.Open(shipped[i].selected), standIn, driver}
}

func image() *probe.Image {
	return &probe.Image{Name: "fw.hex", Segments: []probe.Segment{{Address: 0, Data: []byte("vectors")}, {Address: 0x100, Data: []byte("program!")}}}
}

func TestEachShippedRecipeIsTested(t *testing.T) {
	var names []string
	for _, s := range shipped {
		names = append(names, s.name)
	}
	slices.Sort(names)
	if got := configs.RecipeNames(); !slices.Equal(got, names) {
		t.Errorf("shipped are %v, tested are %v", got, names)
	}
}

func TestAGoodRunOfEachShippedRecipe(t *testing.T) {
	for i, s := range shipped {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			bay, ctx := connect(t, i), t.Context()
			var last [2]int
			if err := bay.Probe.Flash(ctx, image(), func(done, total int) { last = [2]int{done, total} }); err != nil || last != [2]int{15, 15} {
				t.Fatalf("flash: %v, progress %v", err, last)
			}
			if flash := bay.StandIn.Flash(t); string(flash[:7]) != "vectors" || string(flash[0x100:0x108]) != "program!" {
				t.Error("the flash differs")
			}
			if got, err := bay.ReadMemory(ctx, 0x100, 5); err != nil || string(got) != "progr" {
				t.Errorf("read %q, %v", got, err)
			}
			runs := bay.StandIn.Board(t).Runs
			if err := bay.Reset(ctx, probe.Run); (err != nil) != (s.name == "linkserver") || err != nil && !errors.Is(err, probe.ErrCannot) {
				t.Error(err)
			}
			if again := bay.StandIn.Board(t).Runs; !slices.ContainsFunc(runs, func(args []string) bool { return slices.Equal(args, again[len(again)-1]) }) {
				t.Errorf("no reset after the flash: %q", runs)
			}
			listed(t, bay, s.serial)
			if info, err := bay.Info(ctx); err != nil || s.serial != "" && !info.Serial.Is(probe.Serial(s.serial)) {
				t.Errorf("info %+v, %v", info, err)
			}
			if s.locks {
				programmers.LockAndRecover(t, bay.Probe, bay.StandIn, image())
			}
		})
	}
}

// A programmer over a serial port selects the board by a port that the bay's UART has open, and LinkServer cannot restart a board without loading an
// image, which the proof that probe and UART lead to one board needs.
func TestWhichShippedRecipesCanDriveABay(t *testing.T) {
	for _, s := range shipped {
		described, err := configs.Recipe(s.name, ".")
		if err != nil {
			t.Fatal(err)
		}
		err = described.CheckBay(probe.Selection{Serial: "683806234"})
		if cannot := s.name == "blhost" || s.name == "esptool" || s.name == "linkserver"; cannot != errors.Is(err, recipe.ErrNoBay) || cannot && !strings.Contains(err.Error(), s.name) {
			t.Errorf("%s: %v", s.name, err)
		}
		if err := described.CheckBay(probe.Selection{Location: "1-2"}); !errors.Is(err, recipe.ErrNoBay) {
			t.Errorf("%s, without a serial number: %v", s.name, err)
		}
	}
}

func TestARecipeThatLacksWorkOfABayIsRefusedByName(t *testing.T) {
	described, err := configs.Recipe("stm32", ".")
	if err != nil {
		t.Fatal(err)
	}
	described.Operations.Read, described.Operations.ResetRun = nil, nil
	err = described.CheckBay(probe.Selection{Serial: "5"})
	if !errors.Is(err, recipe.ErrNoBay) || !strings.Contains(err.Error(), "reset_run, read") {
		t.Errorf("got %v", err)
	}
}

func listed(t *testing.T, bay *bay, serial string) {
	t.Helper()
	found, err := bay.List(t.Context())
	switch {
	case serial == "":
		if !errors.Is(err, probe.ErrCannot) {
			t.Errorf("listing ports: %+v, %v", found, err)
		}
	case err != nil || len(found) != 1 || !found[0].Serial.Is(probe.Serial(serial)):
		t.Errorf("listed %+v, %v", found, err)
	}
}

func TestBadRunsOfEachShippedRecipe(t *testing.T) {
	for i, s := range shipped {
		for _, test := range []struct {
			fault      string
			want       *reason.Sentinel
			needsFlash bool
		}{
			{programmers.NoProbe, probe.ErrMissing, false},
			{programmers.NoBoard, probe.ErrMissingTarget, false},
			{programmers.Mismatch, probe.ErrMismatch, true},
			{programmers.Cut, probe.ErrUnclear, true},
			{programmers.Crash, probe.ErrTool, true},
			{programmers.Question, probe.ErrUnclear, true},
			{programmers.LostInFlash, nil, true},
			{programmers.LostAfterFlash, nil, true},
			{programmers.Refuses, probe.ErrTool, false},
			{programmers.Flood, probe.ErrUnclear, false},
			{programmers.Child, nil, false},
		} {
			t.Run(s.name+", "+test.fault, func(t *testing.T) {
				t.Parallel()
				bay := connect(t, i)
				bay.Change(t, func(b *programmers.Board) { b.Fault = test.fault })
				err := bay.Probe.Flash(t.Context(), image(), nil)
				if test.want != nil && !errors.Is(err, test.want) || (err == nil) != (test.want == nil && !test.needsFlash) || errors.Is(err, probe.ErrNeedsFlash) != test.needsFlash {
					t.Errorf("got %v, want %v", err, test.want)
				}
				bay.Change(t, func(b *programmers.Board) { b.Fault = programmers.Good })
				if _, err := bay.ReadMemory(t.Context(), 0, 4); err != nil {
					t.Errorf("the next call: %v", err)
				}
			})
		}
	}
}

// index finds a shipped recipe.
func index(t *testing.T, name string) int {
	t.Helper()
	for i, s := range shipped {
		if s.name == name {
			return i
		}
	}
	t.Fatalf("no recipe %s", name)
	return 0
}

func TestBadRunsThatOnlyOneProgrammerHas(t *testing.T) {
	flash := func(ctx context.Context, p probe.Probe) error { return p.Flash(ctx, image(), nil) }
	beyond := func(ctx context.Context, p probe.Probe) error {
		_, err := p.ReadMemory(ctx, 0x5000_0000, 16)
		return err
	}
	for _, test := range []struct {
		name, recipe string
		change       func(*programmers.Board)
		call         func(context.Context, probe.Probe) error
		want         error
	}{
		{"verify prints a failure and ends with exit code 0", "probe-rs", func(b *programmers.Board) { b.Fault = programmers.MismatchLater }, flash, probe.ErrMismatch},
		{"a locked chip is not unlocked", "probe-rs", func(b *programmers.Board) { b.Locked = true }, flash, probe.ErrLocked},
		{"a locked chip is not unlocked", "pyocd", func(b *programmers.Board) { b.Locked = true }, flash, probe.ErrLocked},
		{"a locked chip is not unlocked", "linkserver", func(b *programmers.Board) { b.Locked = true }, flash, probe.ErrLocked},
		{"a locked chip is not unlocked", "blhost", func(b *programmers.Board) { b.Locked = true }, flash, probe.ErrLocked},
		{"a locked chip is not unlocked", "esptool", func(b *programmers.Board) { b.Locked = true }, flash, probe.ErrLocked},
		{"an error, and then success", "stm32", func(b *programmers.Board) { b.Fault = programmers.ErrorThenOK }, flash, probe.ErrUnclear},
		{"0 V", "stm32", func(b *programmers.Board) { b.Millivolts = 10 }, flash, probe.ErrVoltage},
		{"0 V", "nrfutil", func(b *programmers.Board) { b.Fault = programmers.NoSupply }, flash, probe.ErrVoltage},
		{"another probe answers", "stm32", func(b *programmers.Board) { b.Fault = programmers.OtherSerial }, flash, probe.ErrWrongSerial},
		{"another probe answers", "linkserver", func(b *programmers.Board) { b.Fault = programmers.OtherSerial }, flash, probe.ErrWrongSerial},
		{"another chip", "esptool", func(b *programmers.Board) { b.Fault = programmers.WrongChip }, flash, probe.ErrWrongTarget},
		{"memory that is not there", "probe-rs", func(*programmers.Board) {}, beyond, probe.ErrMemory},
		{"memory that is not there", "blhost", func(*programmers.Board) {}, beyond, probe.ErrMemory},
		{"memory that is not there, with exit code 0", "pyocd", func(*programmers.Board) {}, beyond, probe.ErrMemory},
	} {
		t.Run(test.recipe+": "+test.name, func(t *testing.T) {
			t.Parallel()
			bay := connect(t, index(t, test.recipe))
			bay.Change(t, test.change)
			before := bay.StandIn.Flash(t)
			err := test.call(t.Context(), bay.Probe)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if test.want == probe.ErrLocked && !bytes.Equal(before, bay.StandIn.Flash(t)) {
				t.Error("the chip was erased")
			}
		})
	}
}

// Each work that a programmer does with another probe than the one that it was asked for is refused, if the programmer names the probe.
func TestAnotherProbeThatAnswersIsRefusedInEachOperation(t *testing.T) {
	calls := map[string]func(context.Context, probe.Probe) error{
		"flash":      func(ctx context.Context, p probe.Probe) error { return p.Flash(ctx, image(), nil) },
		"reset run":  func(ctx context.Context, p probe.Probe) error { return p.Reset(ctx, probe.Run) },
		"reset halt": func(ctx context.Context, p probe.Probe) error { return p.Reset(ctx, probe.Halt) },
		"read":       func(ctx context.Context, p probe.Probe) error { _, err := p.ReadMemory(ctx, 0, 4); return err },
		"recover":    func(ctx context.Context, p probe.Probe) error { return p.Recover(ctx) },
		"lock":       func(ctx context.Context, p probe.Probe) error { return p.Lock(ctx) },
		"lock state": func(ctx context.Context, p probe.Probe) error { _, err := p.LockState(ctx); return err },
	}
	silent := map[string][]string{"nrfutil": {"read"}} // it does not say which probe it read with
	for _, name := range []string{"stm32", "nrfutil", "linkserver"} {
		for call, do := range calls {
			t.Run(name+", "+call, func(t *testing.T) {
				t.Parallel()
				bay := connect(t, index(t, name))
				bay.Change(t, func(b *programmers.Board) { b.Fault = programmers.OtherSerial })
				err := do(t.Context(), bay.Probe)
				if !errors.Is(err, probe.ErrWrongSerial) && !errors.Is(err, probe.ErrCannot) && !slices.Contains(silent[name], call) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

// A programmer that prints memory prints several octets for each of them, and no programmer may print without end.
func TestALargeMemoryIsReadInPieces(t *testing.T) {
	const length = 700 << 10 // more than nrfutil may print in one run
	octets, err := connect(t, index(t, "nrfutil")).ReadMemory(t.Context(), 0, length)
	if err != nil || len(octets) != length {
		t.Errorf("%d octets, %.200v", len(octets), err)
	}
}

func TestAnUnknownVersionIsRefused(t *testing.T) {
	for i, s := range shipped {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			bay := connect(t, i)
			bay.Change(t, func(b *programmers.Board) { b.Version = "1.2.3" })
			if err := bay.Probe.Flash(t.Context(), image(), nil); !errors.Is(err, probe.ErrToolVersion) || errors.Is(err, probe.ErrNeedsFlash) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A person writes a serial number of digits without its leading zeros, as station.yaml and the label of a J-Link may have it.
func TestLeadingZerosOfASerialNumberDoNotCount(t *testing.T) {
	for i, s := range shipped {
		digits, ok := probe.Serial(s.serial).Digits()
		if !ok {
			continue
		}
		for _, text := range []string{digits, "00000" + digits} {
			bay := connect(t, i)
			p := bay.Driver.Open(probe.Selection{Serial: probe.Serial(text)})
			if err := errors.Join(p.Flash(t.Context(), image(), nil), p.Reset(t.Context(), probe.Run)); err != nil {
				t.Errorf("%s, %s: %v", s.name, text, err)
			}
		}
	}
}

func TestEachRunSelectsTheProbe(t *testing.T) {
	for i, s := range shipped {
		bay := connect(t, i)
		if err := bay.Probe.Flash(t.Context(), image(), nil); err != nil { // with a reset at its end
			t.Fatal(err)
		}
		for _, args := range bay.Board(t).Runs[1:] { // the first asks for the version
			selected := strings.TrimLeft(string(s.selected.Serial), "0") + s.selected.Location
			lists := slices.Equal(args, []string{"list"}) // asks for the USB id, and touches no board
			if !lists && !strings.Contains(strings.Join(args, " "), selected) {
				t.Errorf("%s: a run with %q", s.name, args)
			}
		}
	}
}
