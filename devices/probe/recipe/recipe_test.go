package recipe

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/devices/probe"
)

// good is a recipe for the shell script that a test gives.
func good() *Recipe {
	select_ := []string{"-c", `. "$0"`, "{serial}"}
	return &Recipe{
		Name: "own", Program: "sh", Source: "a test", Tested: "in a test", Image: "hex",
		Version: Version{Args: []string{"-c", "echo version 1.2"}, Pattern: `version (\S+)`, Known: `1\.\d`},
		Operations: Operations{
			Flash:     []Step{{Args: append(select_, "{image}"), Success: []string{"done"}, Failure: []string{"oops"}}},
			Read:      []Step{{Args: append(select_, "{address}", "{length}"), Memory: `mem((?: [0-9a-f]+)+)`, Unit: 1}},
			LockState: []Step{{Args: select_, Locked: "shut", Open: "open"}},
		},
	}
}

func TestRecipesAreRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Recipe)
		says   string
	}{
		{"no name", func(r *Recipe) { r.Name = " " }, "the key name is missing"},
		{"no source", func(r *Recipe) { r.Source = "" }, "the key source is missing"},
		{"no word on tests", func(r *Recipe) { r.Tested = "" }, "the key tested is missing"},
		{"no program", func(r *Recipe) { r.Program = "" }, "the key program is missing"},
		{"an unknown form of the image", func(r *Recipe) { r.Image = "elf" }, "want hex or bin"},
		{"no question for the version", func(r *Recipe) { r.Version.Args = nil }, "arguments that ask for the version"},
		{"a version without group", func(r *Recipe) { r.Version.Pattern = "x" }, "version.pattern"},
		{"no known version", func(r *Recipe) { r.Version.Known = "" }, "version.known"},
		{"a variable with a secret", func(r *Recipe) { r.Environment = []string{"HSM_PIN"} }, "HSM_PIN"},
		{"a variable that is none", func(r *Recipe) { r.Environment = []string{"A=B"} }, "A=B"},
		{"an unknown refusal", func(r *Recipe) { r.Refusals = []Refusal{{"x", "probe-mising"}} }, "probe-missing"},
		{"a refusal for exit code 0", func(r *Recipe) { r.Exits = map[int]string{0: "probe-missing"} }, "exits: 0"},
		{"an expression that is none", func(r *Recipe) { r.Operations.Flash[0].Success = []string{"("} }, "operation flash, step 1"},
		{"an expression that matches everything", func(r *Recipe) { r.Operations.Flash[0].Success = []string{".*"} }, "matches every text"},
		{"a flash without a sign of success", func(r *Recipe) { r.Operations.Flash[0].Success = nil }, "a text that says it is done"},
		{"no flash", func(r *Recipe) { r.Operations.Flash = nil }, "operation flash is missing"},
		{"a flash without image", func(r *Recipe) { r.Operations.Flash[0].Args = []string{"{serial}"} }, "no step uses {image}"},
		{"a step without arguments", func(r *Recipe) { r.Operations.Lock = []Step{{Success: []string{"x"}}} }, "the arguments are missing"},
		{"a step for any probe", func(r *Recipe) { r.Operations.ResetRun = []Step{{Args: []string{"reset"}}} }, "nothing selects the probe"},
		{"an unknown placeholder", func(r *Recipe) { r.Operations.Flash[0].Args = append(r.Operations.Flash[0].Args, "{adress}") }, "{adress}"},
		{"an image outside of a flash", func(r *Recipe) {
			r.Operations.Recover = []Step{{Args: []string{"{serial}{image}"}, Success: []string{"x"}}}
		}, "{image} belongs to flash"},
		{"a limit that is too long", func(r *Recipe) { r.Operations.Flash[0].Limit = time.Hour }, "want at most 30m"},
		{"a read without length", func(r *Recipe) { r.Operations.Read[0].Args = []string{"{serial}", "{address}"} }, "want {length}"},
		{"a read that keeps nothing", func(r *Recipe) { r.Operations.Read[0].Memory = "" }, "a pattern memory"},
		{"numbers of three octets", func(r *Recipe) { r.Operations.Read[0].Unit = 3 }, "want 1 or 4"},
		{"half a state", func(r *Recipe) { r.Operations.LockState[0].Open = "" }, "patterns locked and open"},
		{"a list without serial numbers", func(r *Recipe) { r.Operations.List = []Step{{Args: []string{"list"}, Found: "(x)"}} }, "group serial"},
		{"an info that does not say which probe answers", func(r *Recipe) { r.Operations.Info = []Step{{Args: []string{"{serial}"}}} }, "operation info: no step has a pattern serial"},
		{"a lock that does not say which probe answers, although the flash does", func(r *Recipe) {
			r.Operations.Flash[0].Serial, r.Operations.LockState[0].Serial = `S/N (\d+)`, `S/N (\d+)`
			r.Operations.Lock = []Step{{Args: []string{"{serial}"}, Success: []string{"x"}}}
		}, "operation lock, step 1: the pattern serial is missing"},
		{"memory whose only group is its address", func(r *Recipe) { r.Operations.Read[0].Memory = `(?P<address>[0-9a-f]+):` }, "memory"},
		{"a program beside the station", func(r *Recipe) { r.Program = "tools/flash" }, "program"},
		{"a read back without read", func(r *Recipe) { r.ReadBack, r.Operations.Read = true, nil }, "read_back"},
	} {
		t.Run(test.name, func(t *testing.T) {
			recipe := good()
			test.change(recipe)
			_, err := New(Config{Recipe: recipe})
			if !errors.Is(err, ErrRecipe) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want a text with %q", err, test.says)
			}
		})
	}
	if err := good().Check(); err != nil {
		t.Error(err)
	}
}

// TestTheRecipeDecides runs shell scripts in the place of a programmer.
func TestTheRecipeDecides(t *testing.T) {
	flash := func(t *testing.T, p probe.Probe) error {
		return p.Flash(t.Context(), &probe.Image{Segments: []probe.Segment{{Data: []byte("x")}}}, nil)
	}
	read := func(t *testing.T, p probe.Probe) error {
		octets, err := p.ReadMemory(t.Context(), 0x10, 3)
		if err == nil && string(octets) != "abc" {
			t.Errorf("read %q", octets)
		}
		return err
	}
	state := func(t *testing.T, p probe.Probe) error { _, err := p.LockState(t.Context()); return err }
	for _, test := range []struct {
		name, script string
		call         func(*testing.T, probe.Probe) error
		want         error
	}{
		{"the sign of success", "echo done", flash, nil},
		{"no sign of success", "echo finished", flash, probe.ErrUnclear},
		{"the sign of success and of a failure", "echo done; echo oops", flash, probe.ErrUnclear},
		{"the sign of success and of a refusal", "echo done; echo gone away", flash, probe.ErrUnclear},
		{"a failure", "echo oops", flash, probe.ErrTool},
		{"a refusal", "echo gone away; exit 1", flash, probe.ErrLost},
		{"the sign of success and an exit code", "echo done; exit 1", flash, probe.ErrTool},
		{"an exit code that has a meaning", "echo done; exit 33", flash, probe.ErrMissing},
		{"memory", "echo mem 61 0x62 63", read, probe.ErrUnclear},
		{"memory in two lines", "echo mem 61; echo mem 62 63", read, nil},
		{"too little memory", "echo mem 61", read, probe.ErrUnclear},
		{"too much memory", "echo mem 61 62 63 64 65 66 67", read, probe.ErrUnclear},
		{"memory of another size", "echo mem 6162 63", read, probe.ErrUnclear},
		{"neither locked nor open", "echo ajar", state, probe.ErrUnclear},
		{"locked and open", "echo open; echo shut", state, probe.ErrUnclear},
	} {
		t.Run(test.name, func(t *testing.T) {
			recipe := good()
			recipe.Refusals, recipe.Exits = []Refusal{{"gone away", "probe-lost"}}, map[int]string{33: "probe-missing"}
			recipe.Operations.LockState = nil
			if !strings.Contains(test.name, "memory") {
				recipe.Operations.Read = nil // Flash would read first
			}
			if strings.Contains(test.name, "locked") {
				recipe.Operations.LockState = good().Operations.LockState
			}
			if err := test.call(t, open(t, recipe, test.script)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// The limit of a step ends a programmer that never answers. After the begin of a flash nobody knows what the board holds.
func TestAProgrammerThatNeverAnswersIsEnded(t *testing.T) {
	for name, call := range map[string]func(probe.Probe) error{
		"flash": func(p probe.Probe) error {
			return p.Flash(t.Context(), &probe.Image{Segments: []probe.Segment{{Data: []byte("x")}}}, nil)
		},
		"lock state": func(p probe.Probe) error { _, err := p.LockState(t.Context()); return err },
	} {
		recipe := good()
		recipe.Operations.Read, recipe.Operations.Flash[0].Limit = nil, 100*time.Millisecond
		if recipe.Operations.LockState[0].Limit = 100 * time.Millisecond; name == "flash" {
			recipe.Operations.LockState = nil // Flash would look at the lock first
		}
		if err := call(open(t, recipe, "echo done; exec sleep 1000")); !errors.Is(err, probe.ErrSilent) || errors.Is(err, probe.ErrNeedsFlash) != (name == "flash") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Memory that lies somewhere else is not what was asked for.
func TestTheAddressOfPrintedMemoryIsCompared(t *testing.T) {
	for _, test := range []struct {
		name, script string
		want         error
	}{
		{"two lines", "echo 0x10: 61 62; echo 0x12: 63", nil},
		{"another address", "echo 0xfe: 61 62; echo 0x100: 63", probe.ErrUnclear},
		{"a line that is missing", "echo 0x10: 61; echo 0x12: 62 63", probe.ErrUnclear},
		{"a line that comes twice", "echo 0x10: 61; echo 0x10: 61; echo 0x11: 62", probe.ErrUnclear},
		{"no address", "echo : 61 62 63", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			recipe := good()
			recipe.Operations.Read[0].Memory = `(?m)^(?:0x(?P<address>[0-9a-f]+))?:((?: ?[0-9a-f]{2})+)`
			octets, err := open(t, recipe, test.script).ReadMemory(t.Context(), 0x10, 3)
			if !errors.Is(err, test.want) || err == nil && string(octets) != "abc" {
				t.Errorf("got %q, %v, want %v", octets, err, test.want)
			}
		})
	}
}

// What a terminal shows decides, also behind a progress bar and in colours.
func TestAnErrorBehindAProgressBarIsSeen(t *testing.T) {
	for name, script := range map[string]string{
		"after a carriage return":  `printf '50 %%\roops: no\n'; echo done`,
		"in colours":               `printf '\033[31moo\033[0mps: no\n'; echo done`,
		"both":                     `printf '50 %%\r\033[31moops\033[0m: no\n'; echo done`,
		"after a control sequence": `printf '\033[2Koops\n'; echo done`,
	} {
		t.Run(name, func(t *testing.T) {
			recipe := good()
			recipe.Operations.Flash[0].Failure = []string{"(?m)^oops"}
			err := open(t, recipe, script).Flash(t.Context(), &probe.Image{Segments: []probe.Segment{{Data: []byte("x")}}}, nil)
			if !errors.Is(err, probe.ErrUnclear) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A programmer may lose the probe that it was told to use, and take another one.
func TestTheProbeThatAnsweredMustBeNamed(t *testing.T) {
	for _, test := range []struct {
		name, script string
		want         error
	}{
		{"the probe", "echo S/N 005, 3.3 V", nil},
		{"another probe", "echo S/N 6, 3.3 V", probe.ErrWrongSerial},
		{"first the probe and then another one", "echo S/N 5, 3.3 V; echo S/N 6, 3.3 V", probe.ErrWrongSerial},
		{"no serial number", "echo connected, 3.3 V", probe.ErrUnclear},
		{"no voltage", "echo S/N 5", probe.ErrUnclear},
		{"a voltage that fell", "echo S/N 5, 3.3 V; echo S/N 5, 0.0 V", probe.ErrVoltage},
	} {
		t.Run(test.name, func(t *testing.T) {
			recipe := good()
			recipe.Operations.Read, recipe.Operations.LockState = nil, nil
			recipe.Operations.Flash[0].Serial = `S/N (\d+)`
			recipe.Operations.Info = []Step{{Args: []string{"-c", `. "$0"`, "{serial}"}, Serial: `S/N (\d+)`, Volts: `([0-9.]+) V`}}
			if _, err := open(t, recipe, test.script).Info(t.Context()); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// open returns a probe whose programmer is a shell script.
func open(t *testing.T, recipe *Recipe, script string) probe.Probe {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range recipe.operations() {
		for i := range o.steps {
			o.steps[i].Args = append([]string{"-c", `. "$0"`, path}, o.steps[i].Args[2:]...)
		}
	}
	driver, err := New(Config{Recipe: recipe})
	if err != nil {
		t.Fatal(err)
	}
	return driver.Open(probe.Selection{Serial: "5"})
}

func TestPlaceholdersGetTheirValues(t *testing.T) {
	driver, err := New(Config{Recipe: good(), Target: "chip", Speed: 1000})
	if err != nil {
		t.Fatal(err)
	}
	d := &device{driver, probe.Selection{Serial: "007", Location: "1-2", USBID: "1366:1015"}}
	args := []string{"{serial}", "{digits}", "{usb_id}:{serial}", "{location}", "{target}", "{speed}000", "{address}", "{length}", "{length_hex}", "{output}", "no {place} {x"}
	got, err := d.arguments(args, "/tmp", request{address: 0x1000, length: 20})
	if err == nil {
		t.Error("an unknown placeholder was accepted")
	}
	want := []string{"007", "7", "1366:1015:007", "1-2", "chip", "1000000", "0x00001000", "20", "0x14", "/tmp/memory.bin"}
	if got, err = d.arguments(args[:10], "/tmp", request{address: 0x1000, length: 20}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	d.selected = probe.Selection{Location: "1-2"}
	if _, err := d.arguments([]string{"{serial}"}, "/tmp", request{}); !errors.Is(err, probe.ErrCannot) || !strings.Contains(err.Error(), "{serial}") {
		t.Errorf("without a serial number: %v", err)
	}
}

func TestTheProgrammerGetsOnlyListedVariables(t *testing.T) {
	t.Setenv("LISTED", "1")
	t.Setenv("SECRET", "2")
	recipe := good()
	recipe.Environment = []string{"LISTED", "ABSENT"}
	driver, err := New(Config{Recipe: recipe})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := driver.environment("/d"), []string{"LC_ALL=C", "HOME=/d", "LISTED=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	recipe.Environment = []string{"HOME"}
	if got := driver.environment("/d"); !slices.Equal(got, []string{"LC_ALL=C", "HOME=" + os.Getenv("HOME")}) {
		t.Errorf("got %q", got)
	}
}

func TestAProgrammerThatIsMissingIsNamed(t *testing.T) {
	driver, err := New(Config{Recipe: good(), Program: "no-such-programmer"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := driver.Open(probe.Selection{Serial: "5"}).LockState(t.Context()); !errors.Is(err, probe.ErrNoTool) {
		t.Errorf("got %v", err)
	}
}

// Where sysfs shows no USB, the list of the programmer tells that there are two.
func TestAListWithTwoEqualProbesIsRefused(t *testing.T) {
	described := good()
	described.Operations.List = []Step{{Args: []string{"-c", "echo probe 5; echo probe 05"}, Found: `probe (?P<serial>\d+)`}}
	driver, err := New(Config{Recipe: described, USB: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := driver.Open(probe.Selection{Serial: "5"}).Info(t.Context()); !errors.Is(err, probe.ErrAmbiguous) {
		t.Errorf("got %v", err)
	}
}

func TestWorkWithoutSteps(t *testing.T) {
	driver, err := New(Config{Recipe: good()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, p := t.Context(), driver.Open(probe.Selection{Serial: "5"})
	_, listErr := driver.List(ctx)
	_, infoErr := p.Info(ctx)
	for name, err := range map[string]error{
		"list": listErr, "info": infoErr, "run": p.Reset(ctx, probe.Run), "halt": p.Reset(ctx, probe.Halt), "neither": p.Reset(ctx, 0), "recover": p.Recover(ctx),
	} {
		if !errors.Is(err, probe.ErrCannot) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := p.ReadMemory(ctx, 0xffff_ffff, 2); !errors.Is(err, probe.ErrMemory) {
		t.Errorf("past the last address: %v", err)
	}
}

func TestTheTimeOfAFlashIsThatOfAllItsRuns(t *testing.T) {
	described := good()
	described.Image, described.ReadBack = "bin", true
	described.Operations.Flash = []Step{{Limit: 5 * time.Minute}, {}}
	described.Operations.Read = []Step{{Limit: 2 * time.Minute}}
	p := &device{Driver: &Driver{cfg: Config{Recipe: described}}}
	image := &probe.Image{Segments: []probe.Segment{{Address: 0, Data: []byte{1}}, {Address: 64, Data: []byte{2}}}}
	if got := p.FlashLimit(image); got != 16*time.Minute {
		t.Errorf("got %v", got)
	}
	described.Operations.Lock, described.Operations.LockState = []Step{{}, {Limit: 3 * time.Minute}}, []Step{{Limit: time.Second}}
	if got := p.LockLimit(); got != 4*time.Minute+2*time.Second {
		t.Errorf("got %v", got)
	}
}

func TestProgressNeverGoesBack(t *testing.T) {
	var reports []int
	r := reporter{total: 200, part: 100, progress: func(done, _ int) { reports = append(reports, done) }}
	pattern := good().Operations.Flash[0]
	pattern.Progress = `(\d+)%`
	follow := r.follow(&pattern, &part{data: make([]byte, 100)})
	for _, line := range []string{"50%", "x", "999%", "20%", "100%"} {
		follow(line)
	}
	r.base = 100
	follow("50%")
	if want := []int{50, 50, 100, 150}; !slices.Equal(reports, want) {
		t.Errorf("got %v, want %v", reports, want)
	}
}
