package commander

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hallmark/devices/probe"
	"hallmark/fixtures/programmers"
	"hallmark/fixtures/usbtree"
	"hallmark/station/reason"
)

func TestMain(m *testing.M) {
	programmers.Main()
	os.Exit(m.Run())
}

const serial = "683806234"

// nrf52840 locks and unlocks with the CTRL-AP of nRF52 chips.
func nrf52840() Chip {
	return Chip{
		Device:    "nRF52840_xxAA",
		Recover:   []string{"SWDWriteDP 2 0x01000000", "SWDWriteAP 1 1", "sleep 500", "SWDReadAP 2", "SWDReadAP 3"},
		Recovered: `(?s)Read AP register 2 = 0x00000000.*Read AP register 3 = 0x00000001`,
		Lock:      []string{"w4 0x4001E504, 1", "w4 0x10001208, 0xFFFFFF00", "r"},
		LockState: []string{"SWDWriteDP 2 0x01000000", "SWDReadAP 3"},
		Locked:    `Read AP register 3 = 0x00000000`, Open: `Read AP register 3 = 0x00000001`,
	}
}

// A bay is a stand-in for JLinkExe with the driver's view of it.
type bay struct {
	probe.Probe
	*programmers.StandIn
}

func connect(t *testing.T, version string, change func(*Config)) *bay {
	t.Helper()
	standIn := programmers.Install(t, "JLinkExe", programmers.Board{Serial: serial, Millivolts: 3300, Version: version})
	config := Config{Program: standIn.Path(), Part: probe.Part{Address: programmers.PartAddress, Value: programmers.Part}, Chip: nrf52840()}
	if change != nil {
		change(&config)
	}
	driver, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return &bay{driver.Open(probe.Selection{Serial: serial}), standIn}
}

func image() *probe.Image {
	return &probe.Image{Name: "fw.hex", Segments: []probe.Segment{{Address: 0, Data: []byte("vectors")}, {Address: 0x100, Data: []byte("program")}}}
}

func TestGoodRunsOfEachVersion(t *testing.T) {
	for _, version := range []string{"V6.98", "V7.58", "V8.24", "V9.46"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			bay, ctx := connect(t, version, nil), t.Context()
			info, err := bay.Info(ctx)
			if err != nil || info.Serial != serial || info.Millivolts != 3300 || info.Part != programmers.Part || info.Target != "Cortex-M4 r0p1" {
				t.Errorf("info %+v, %v", info, err)
			}
			var reports []int
			if err := bay.Probe.Flash(ctx, image(), func(done, total int) { reports = append(reports, done, total) }); err != nil || !slices.Equal(reports, []int{0, 14, 14, 14}) {
				t.Errorf("flash: %v, progress %v", err, reports)
			}
			if got, err := bay.ReadMemory(ctx, 0x100, 7); err != nil || string(got) != "program" {
				t.Errorf("read %q, %v", got, err)
			}
			if version != "V7.58" { // the other versions differ in texts of the connection only
				return
			}
			if err := errors.Join(bay.Reset(ctx, probe.Run), bay.Reset(ctx, probe.Halt)); err != nil {
				t.Error(err)
			}
			programmers.LockAndRecover(t, bay.Probe, bay.StandIn, image())
		})
	}
}

func TestBadRunsAreRefused(t *testing.T) {
	flash := func(ctx context.Context, p probe.Probe) error { return p.Flash(ctx, image(), nil) }
	info := func(ctx context.Context, p probe.Probe) error { _, err := p.Info(ctx); return err }
	read := func(ctx context.Context, p probe.Probe) error { _, err := p.ReadMemory(ctx, 0, 16); return err }
	beyond := func(ctx context.Context, p probe.Probe) error {
		_, err := p.ReadMemory(ctx, 0x5000_0000, 16)
		return err
	}
	recovers := func(ctx context.Context, p probe.Probe) error { return p.Recover(ctx) }
	for _, test := range []struct {
		name, version, fault string
		call                 func(context.Context, probe.Probe) error
		want                 *reason.Sentinel
		needsFlash           bool
	}{
		{"no probe, old text", "V6.98", programmers.NoProbe, info, probe.ErrMissing, false},
		{"no probe, text of V8", "V8.24", programmers.NoProbe, info, probe.ErrMissing, false},
		{"no probe, text of V9", "V9.46", programmers.NoProbe, info, probe.ErrMissing, false},
		{"no probe, and exit code 0", "V7.58", programmers.NoProbeExit0, info, probe.ErrMissing, false},
		{"another probe answers", "V7.58", programmers.OtherSerial, flash, probe.ErrWrongSerial, false},
		{"another probe answers after the first question", "V7.58", programmers.OtherLater, flash, probe.ErrWrongSerial, false},
		{"the library is missing", "V7.58", programmers.NoDLL, info, probe.ErrTool, false},
		{"the probe's own firmware cannot be updated", "V7.58", programmers.FirmwareFails, info, probe.ErrLost, false},
		{"no board, text of V6", "V6.98", programmers.NoBoard, info, probe.ErrMissingTarget, false},
		{"no board, text of V7", "V7.58", programmers.NoBoard, info, probe.ErrMissingTarget, false},
		{"no board, text of V9", "V9.46", programmers.NoBoard, info, probe.ErrMissingTarget, false},
		{"no supply", "V7.58", programmers.NoSupply, info, probe.ErrVoltage, false},
		{"the connection erases a locked chip", "V7.58", programmers.Unsecures, flash, probe.ErrErased, true},
		{"the connection erases, and only the log says so", "V7.58", programmers.UnsecuresLog, flash, probe.ErrErased, true},
		{"the flash differs", "V7.58", programmers.Mismatch, flash, probe.ErrMismatch, true},
		{"an error that is followed by O.K.", "V7.58", programmers.ErrorThenOK, flash, probe.ErrMismatch, true},
		{"a format that is refused after the erase, with exit code 0", "V7.58", programmers.WrongFormat, flash, probe.ErrTool, true},
		{"the probe is gone in the middle, and the text is that of no probe", "V7.58", programmers.LostSilent, flash, probe.ErrMissing, true},
		{"the probe is lost in the middle", "V7.58", programmers.LostInFlash, flash, probe.ErrLost, true},
		{"a crash in the middle", "V7.58", programmers.Crash, flash, probe.ErrUnclear, true},
		{"an end in the middle with exit code 0", "V7.58", programmers.Cut, flash, probe.ErrUnclear, true},
		{"memory that cannot be read", "V7.58", programmers.NoMemory, read, probe.ErrMemory, false},
		{"an address without memory", "V7.58", programmers.Good, beyond, probe.ErrMemory, false},
		{"an option that is unknown", "V9.46", programmers.Old, info, probe.ErrToolVersion, false},
		{"a version without the options", "V6.40", programmers.Good, info, probe.ErrToolVersion, false},
		{"a recover that does nothing", "V7.58", programmers.Refuses, recovers, nil, false},
		{"100 MB of text", "V7.58", programmers.Flood, info, probe.ErrUnclear, false},
		{"a process that stays", "V7.58", programmers.Child, flash, nil, false},
		{"contents that match already", "V7.58", programmers.Skipped, flash, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bay := connect(t, test.version, nil)
			bay.Change(t, func(b *programmers.Board) {
				b.Fault = test.fault
				if b.Fault == programmers.NoSupply {
					b.Millivolts = 0
				}
			})
			err := test.call(t.Context(), bay.Probe)
			if test.want == nil && err != nil || test.want != nil && !errors.Is(err, test.want) || errors.Is(err, probe.ErrNeedsFlash) != test.needsFlash {
				t.Errorf("got %v, want %v", err, test.want)
			}
			bay.Change(t, func(b *programmers.Board) { b.Fault, b.Millivolts, b.Version = programmers.Good, 3300, "V7.58" })
			if err := info(t.Context(), bay.Probe); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

func TestACommanderThatHangsIsGivenUp(t *testing.T) {
	bay := connect(t, "V7.58", func(c *Config) { c.Limit = 200 * time.Millisecond })
	bay.Change(t, func(b *programmers.Board) { b.Fault = programmers.Hang })
	if _, err := bay.Info(t.Context()); !errors.Is(err, probe.ErrSilent) {
		t.Errorf("got %v", err)
	}
}

// SEGGER's software erases a locked chip when it connects, and no question to the registry comes before that.
func TestAChipWhoseLockIsNotReadBeforeIsNotConnectedTo(t *testing.T) {
	bay := connect(t, "V7.58", func(c *Config) { c.Chip = Chip{Device: "nRF52840_xxAA", Lock: []string{"r"}} })
	bay.Change(t, func(b *programmers.Board) { b.Fault, b.Locked = programmers.Unsecures, true })
	bay.StandIn.Write(t, 0, []byte("vectors"))
	ctx := t.Context()
	_, info := bay.Info(ctx)
	_, read := bay.ReadMemory(ctx, 0, 16)
	for name, err := range map[string]error{"info": info, "read": read, "reset": bay.Reset(ctx, probe.Run), "flash": bay.Probe.Flash(ctx, image(), nil), "lock": bay.Lock(ctx)} {
		if !errors.Is(err, probe.ErrCannot) || errors.Is(err, probe.ErrNeedsFlash) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if flash := bay.StandIn.Flash(t); string(flash[:7]) != "vectors" {
		t.Error("the chip was erased")
	}
}

// A definition may be wrong about its chip. The erase is then named, whatever else goes wrong in the same run.
func TestAChipThatTheConnectionErasedIsNamed(t *testing.T) {
	for name, change := range map[string]func(*programmers.Board){
		"and nothing else": func(*programmers.Board) {}, "and it hangs": func(b *programmers.Board) { b.Hangs = true },
	} {
		for _, fault := range []string{programmers.Unsecures, programmers.UnsecuresLog} {
			t.Run(fault+", "+name, func(t *testing.T) {
				t.Parallel()
				bay := connect(t, "V7.58", func(c *Config) {
					c.Chip = Chip{Device: "nRF52840_xxAA", KeepsLocked: true}
					c.Limit = time.Second
				})
				bay.Change(t, func(b *programmers.Board) { b.Fault, b.Locked = fault, true; change(b) })
				if _, err := bay.Info(t.Context()); !errors.Is(err, probe.ErrErased) || !errors.Is(err, probe.ErrNeedsFlash) || errors.Is(err, probe.ErrLocked) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

func TestAnotherChipIsRefusedBeforeTheFlash(t *testing.T) {
	bay := connect(t, "V7.58", func(c *Config) { c.Part.Value = 0x52833 })
	err := bay.Probe.Flash(t.Context(), image(), nil)
	if !errors.Is(err, probe.ErrWrongTarget) || errors.Is(err, probe.ErrNeedsFlash) || bay.StandIn.Flash(t)[0] != 0xff {
		t.Errorf("got %v", err)
	}
}

func TestProbesAreListed(t *testing.T) {
	for _, version := range []string{"V6.98", "V9.46"} {
		standIn := programmers.Install(t, "JLinkExe", programmers.Board{Serial: serial, Version: version})
		driver, err := New(Config{Program: standIn.Path()})
		if err != nil {
			t.Fatal(err)
		}
		want := []probe.Found{{Serial: "000683806234", Product: "J-Link Plus"}}
		if got, err := driver.List(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v, %v", version, got, err)
		}
		standIn.Change(t, func(b *programmers.Board) { b.Fault = programmers.NoProbe })
		if got, err := driver.List(t.Context()); err != nil || len(got) != 0 {
			t.Errorf("%s: %+v, %v", version, got, err)
		}
	}
}

func TestWhatTheDriverCannotDo(t *testing.T) {
	if _, err := New(Config{Chip: Chip{Locked: "("}}); err == nil {
		t.Error("an expression that is none was accepted")
	}
	driver, err := New(Config{Program: "/no/JLinkExe", Chip: Chip{KeepsLocked: true}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, p := t.Context(), driver.Open(probe.Selection{Serial: "5"})
	_, stateErr := p.LockState(ctx)
	for name, err := range map[string]error{"recover": p.Recover(ctx), "lock": p.Lock(ctx), "state": stateErr, "reset": p.Reset(ctx, 0)} {
		if !errors.Is(err, probe.ErrCannot) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := p.Info(ctx); !errors.Is(err, probe.ErrNoTool) {
		t.Errorf("no program: %v", err)
	}
	if _, err := p.ReadMemory(ctx, 0, 0); !errors.Is(err, probe.ErrMemory) {
		t.Errorf("no octets: %v", err)
	}
}

// A bay names its probe by the USB path, which JLinkExe does not know.
func TestTheProbeAtAUSBPath(t *testing.T) {
	machine, err := usbtree.Unfold(t.TempDir(), "1-1 1366:1015 serial=000683806234\n1-2 1366:1015 serial=5\n1-3 0403:6001 serial=7\n1-4 1366:0105 serial=9\n1-5 1366:0105 serial=09\n")
	if err != nil {
		t.Fatal(err)
	}
	bay := connect(t, "V7.58", nil)
	driver, err := New(Config{Program: bay.Path(), Chip: nrf52840(), USB: filepath.Join(machine.Dir(), "sys/bus/usb/devices")})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		selected probe.Selection
		want     error
	}{
		"the path alone":                    {probe.Selection{Location: "1-1"}, nil},
		"path and serial number":            {probe.Selection{Location: "1-1", Serial: serial}, nil},
		"another probe at the path":         {probe.Selection{Location: "1-2", Serial: serial}, probe.ErrWrongSerial},
		"a probe that JLinkExe lacks":       {probe.Selection{Location: "1-2"}, probe.ErrMissing},
		"nothing at the path":               {probe.Selection{Location: "1-9", Serial: serial}, probe.ErrMissing},
		"two probes with one number":        {probe.Selection{Location: "1-4", Serial: "9"}, probe.ErrAmbiguous},
		"two probes with one number, alone": {probe.Selection{Serial: "9"}, probe.ErrAmbiguous},
		"two probes with one number, path":  {probe.Selection{Location: "1-5"}, probe.ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			if info, err := driver.Open(test.selected).Info(t.Context()); !errors.Is(err, test.want) || err == nil && !info.Serial.Is(serial) {
				t.Errorf("got %+v, %v, want %v", info, err, test.want)
			}
		})
	}
	if err := driver.Open(probe.Selection{Location: "1-1"}).Flash(t.Context(), image(), nil); err != nil {
		t.Error(err)
	}
}

// The command line holds what SEGGER's documents name, and each run selects the probe.
func TestEachRunSelectsTheProbe(t *testing.T) {
	bay := connect(t, "V7.58", nil)
	if err := bay.Reset(t.Context(), probe.Run); err != nil {
		t.Fatal(err)
	}
	for _, args := range bay.Board(t).Runs {
		if i := slices.Index(args, "-USB"); i < 0 || args[i+1] != "683806234" || !slices.Contains(args, "-NoGui") {
			t.Errorf("a run with %q", args)
		}
	}
}
