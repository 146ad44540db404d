// Package probed_test has the faults of debug probes at a whole station: real OpenOCD, an emulated
// J-Link, a QEMU board that is blank at its start, and the real parts of the station. The test program
// runs in a network namespace of its own, because OpenOCD looks for probes with broadcasts.
package probed_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/fixtures/jlink"
	"hallmark/fixtures/prerequisite"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/workdir"
)

func TestMain(m *testing.M) { os.Exit(jlink.Run(m.Run)) }

const serial = 683806231

// An environment is a station with one bay.
type environment struct {
	t        *testing.T
	options  instance.Options // with which opened was opened
	opened   *instance.Instance
	engine   *station.Station
	port     station.DebugPort
	emulated *jlink.Probe
	board    *emulated.Board
	client   *devices.Client
}

// newEnvironment opens a station that flashes and locks. change may change the board definition.
func newEnvironment(t *testing.T, change func(*configs.Board)) *environment {
	t.Helper()
	prerequisite.Program(t, "openocd", "openocd")
	f := fixtures.NewFactory(t, fixtures.NewToken(t).Open(t))
	dir := f.Clone(t, filepath.Join(t.TempDir(), "D"))
	fixtures.Configure(t, dir, "  seal: false", "  seal: false\n  lock: true")
	b := &environment{t: t}
	b.options = f.Options(instance.Hooks{Engine: func(c *station.Config) {
		fixtures.OnlyFuses(c)
		c.Flash = true
	}})
	b.opened = fixtures.Must(instance.Open(t.Context(), dir, b.options))(t)
	t.Cleanup(func() { b.closes(b.opened.Close) })
	b.engine = fixtures.Must(b.opened.Engine(nil))(t)
	b.insert(change)
	return b
}

func (b *environment) closes(close func() error) {
	if err := close(); err != nil {
		b.t.Error(err)
	}
}

// insert puts a new board into the bay, with its probe.
func (b *environment) insert(change func(*configs.Board)) {
	b.t.Helper()
	b.board = fixtures.Must(emulated.Start(b.t.Context(), emulated.Config{Kind: emulated.QEMU, Machine: "mps2-an385", Dir: b.t.TempDir(), Debug: true}))(b.t)
	b.t.Cleanup(func() { b.closes(b.board.Close) })
	b.client = devices.NewClient(b.board.Transport(), devices.Options{Answer: emulated.AnswerTime})
	b.t.Cleanup(func() { b.closes(b.client.Close) })
	b.emulated = fixtures.Must(jlink.Start(jlink.Config{Serial: serial, Chip: jlink.NewQEMU(b.board, true)}))(b.t)
	b.t.Cleanup(func() { b.closes(b.emulated.Close) }) // of the probe that is there at the end
	b.port = b.debugPort("683806231", change)
}

// debugPort gives the debug port of the bay for a probe.
func (b *environment) debugPort(probe string, change func(*configs.Board)) station.DebugPort {
	b.t.Helper()
	return b.portOf(&configs.BayProbe{Driver: "openocd", Serial: probe}, change)
}

func (b *environment) portOf(probe *configs.BayProbe, change func(*configs.Board)) station.DebugPort {
	b.t.Helper()
	definition := fixtures.Must(configs.LoadBoard("qemu-an385", "."))(b.t)
	if change != nil {
		change(definition)
	}
	bay := instance.BaySpec{Name: "bay", Bay: &configs.Bay{Name: "bay", Board: "qemu-an385", Probe: probe}, Board: definition}
	return fixtures.Must(b.opened.DebugPort(bay, fixtures.Firmware(b.t, "../../..", emulated.QEMU, "mps2-an385")))(b.t)
}

// run does one Run of the board in the bay.
func (b *environment) run(ctx context.Context) *station.Run {
	b.t.Helper()
	run := fixtures.Must(b.engine.NewRun("bay", "anna"))(b.t)
	if err := b.engine.EnrolWith(ctx, b.client, b.port, run); err != nil {
		b.t.Fatal(err)
	}
	return run
}

// ends checks how a Run ended.
func (b *environment) ends(run *station.Run, ending station.Ending, reason string) {
	b.t.Helper()
	if run.Ending != ending || run.Reason != reason {
		b.t.Fatalf("the Run ends as %s %q, want %s %q: %v", run.Ending, run.Reason, ending, reason, run.Err)
	}
}

func (b *environment) passes() *station.Run {
	b.t.Helper()
	run := b.run(b.t.Context())
	b.ends(run, station.Pass, "")
	return run
}

// verifies checks that the rows of the registry follow from the log.
func (b *environment) verifies() {
	b.t.Helper()
	if err := b.opened.Checkpoint(); err != nil {
		b.t.Fatal(err)
	}
	key := fixtures.Must(os.ReadFile(workdir.Dir(b.opened.Dir).AuditKey()))(b.t)
	if _, err := b.opened.Registry.VerifyAudit(b.t.Context(), string(key[:len(key)-1])); err != nil {
		b.t.Error(err)
	}
}

func steps(run *station.Run) (names []string) {
	for _, step := range run.Steps {
		names = append(names, step.Name)
	}
	return names
}

func TestABlankBoardIsFlashedEnrolledLockedAndThenConfirmed(t *testing.T) {
	b := newEnvironment(t, nil)
	first := b.passes()
	if first.Outcome != station.Issued || first.Flash.Held || first.StoreRead == nil || first.Lock.State != station.LockLocked ||
		first.Probe.Serial != "683806231" || first.Identity.FirmwareHash != b.port.Setup().Image.Octets {
		t.Errorf("outcome %s, flash %+v, store %v, lock %+v, probe %+v", first.Outcome, first.Flash, first.StoreRead, first.Lock, first.Probe)
	}
	if names := steps(first); names[0] != "flash" || names[len(names)-1] != "lock" {
		t.Errorf("steps %v", names)
	}
	second := b.passes()
	if second.Outcome != station.Confirmed || !second.Flash.Held || second.Lock.State != station.LockLocked || second.StoreRead != nil {
		t.Errorf("outcome %s, flash %+v, lock %+v", second.Outcome, second.Flash, second.Lock)
	}
	entries := fixtures.Must(b.opened.Registry.EntriesOf(t.Context(), second.ID.String()))(t)
	for _, e := range entries {
		if e.Type == "board.lock.intent" || e.Type == "board.locked" {
			t.Errorf("the second Run has an entry %s", e.Type)
		}
	}
	b.verifies()
}

// Each fault ends in its refusal, and afterwards the bay enrols its board.
func TestAFaultOfTheProbeIsNamedAndTheNextRunPasses(t *testing.T) {
	for _, test := range []struct {
		name, reason string
		fault        jlink.Fault
		ending       station.Ending
	}{
		{"no supply", "target-voltage", jlink.NoPower, station.Fault},
		{"no debug cable", "target-missing", jlink.NoTarget, station.Fault},
		{"no probe", "probe-missing", jlink.Unplugged, station.Fault},
		{"a probe that is lost in the middle of a flash", "needs-flash", jlink.DropInFlash, station.Fault},
		{"a flash with a bad bit", "verify-mismatch", jlink.StuckBit, station.Reject},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newEnvironment(t, nil)
			b.emulated.Inject(test.fault)
			run := b.run(t.Context())
			b.ends(run, test.ending, test.reason)
			if slices.Contains(steps(run), "identify") {
				t.Errorf("steps %v", steps(run))
			}
			b.emulated.Inject(jlink.NoFault)
			if again := b.passes(); again.Flash.Held {
				t.Error("the board was not flashed again")
			}
			b.verifies()
		})
	}
}

// A bench that is set up wrongly ends in its refusal, before anything is erased. When it is set right, the bay enrols its board.
func TestAWrongBenchIsNamedAndTheNextRunPasses(t *testing.T) {
	b := newEnvironment(t, nil)
	right := b.port
	for _, test := range []struct {
		name, reason string
		ending       station.Ending
		wrong        func(*testing.T)
	}{
		{"another probe than that of the bay", "probe-wrong-serial", station.Fault, func(*testing.T) { b.port = b.debugPort("683806232", nil) }},
		{"another chip than that of the board definition", "target-wrong", station.Fault, func(*testing.T) {
			b.port = b.debugPort("683806231", func(board *configs.Board) { board.Probe.Part.Value ^= 0x10 })
		}},
		{"a programmer that is not installed", "tool-missing", station.Fault, func(t *testing.T) { t.Setenv("PATH", t.TempDir()) }},
		{"a programmer of another version", "tool-version", station.Fault, func(t *testing.T) {
			program(t, "echo 'Open On-Chip Debugger 0.11.0'; echo 'invalid command name'; exit 1")
		}},
		{"a programmer that prints 100 MB", "tool-unclear", station.Fault, func(t *testing.T) { program(t, "head -c 100000000 /dev/zero") }},
		{"a programmer that asks a question", "tool-unclear", station.Fault, func(t *testing.T) {
			program(t, "echo 'Open On-Chip Debugger 0.12.0'; echo 'Really? [y/N]'; read answer || exit 0; echo 'hallmark: done'")
		}},
		{"a programmer that hangs", "tool-silent", station.Fault, func(t *testing.T) { b.port = b.hangs(t) }},
		{"two probes with one serial number", "probe-ambiguous", station.Fault, func(t *testing.T) {
			twin := fixtures.Must(jlink.Start(jlink.Config{Serial: serial, Host: 2, Chip: jlink.NewNRF52840()}))(t)
			t.Cleanup(func() { b.closes(twin.Close) })
		}},
		{"a chip that somebody has locked", "target-locked", station.Reject, func(*testing.T) { b.locks(0) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.wrong(t)
			run := b.run(t.Context())
			b.ends(run, test.ending, test.reason)
			if slices.Contains(steps(run), "identify") {
				t.Errorf("steps %v", steps(run))
			}
			b.port = right
		})
	}
	b.locks(emulated.NewDebugState().Lock)
	program(t, "sleep 1000 &\nexec "+fixtures.Must(exec.LookPath("openocd"))(t)+` "$@"`) // and it leaves a child behind, which is no fault
	b.passes()
	b.verifies()
}

// program puts a shell script in the place of OpenOCD until the test ends. Other programs are still found.
func program(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "openocd"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// hangs gives the debug port of a bay whose programmer says its version and then nothing. A recipe bounds it, to a second here.
func (b *environment) hangs(t *testing.T) station.DebugPort {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "tool")
	step := func(more, keys string) string {
		return "[{args: [work, '{serial}'" + more + "], success: [done], limit: 1s" + keys + "}]"
	}
	recipe := "name: slow\nprogram: " + tool + "\nsource: none\ntested: never\nimage: hex\nversion: {args: [version], pattern: '([0-9])', known: '1'}\noperations: {info: " +
		step("", ", serial: '(x)'") + ", flash: " + step(", '{image}'", ", serial: '(x)'") + ", reset_run: " + step("", "") + ", read: " + step(", '{address}{length}'", ", memory: '(x)', unit: 1") +
		", lock: " + step("", ", serial: '(x)'") + ", lock_state: " + step("", ", serial: '(x)', locked: shut, open: open") + "}\n"
	path := workdir.Dir(b.opened.Dir).In("slow.yaml")
	if err := errors.Join(os.WriteFile(tool, []byte("#!/bin/sh\ntest $1 = version && echo 1 && exit 0\nsleep 1000\n"), 0o700), os.WriteFile(path, []byte(recipe), 0o600)); err != nil {
		t.Fatal(err)
	}
	return b.portOf(&configs.BayProbe{Driver: "slow.yaml", Serial: "683806231"}, nil)
}

// locks puts a word into the lock of the debug port of a board that is off.
func (b *environment) locks(word uint32) {
	b.t.Helper()
	if err := errors.Join(b.board.PowerCut(), b.board.Program().SetState(emulated.DebugState{Lock: word}), b.board.PowerOn(b.t.Context())); err != nil {
		b.t.Fatal(err)
	}
	b.exchangesProbe()
}

func TestAnOperatorWhoCutsAFlashLeavesABoardThatNeedsFlash(t *testing.T) {
	b := newEnvironment(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.engine = fixtures.Must(b.opened.Engine(func(e station.Event) {
		if e.Progress.Percent() >= 10 {
			cancel()
		}
	}))(t)
	b.ends(b.run(ctx), station.Fault, "needs-flash")
	b.engine = fixtures.Must(b.opened.Engine(nil))(t)
	b.passes()
	b.verifies()
}

func TestAWrongLockRecipeIsNeverAPass(t *testing.T) {
	b := newEnvironment(t, func(board *configs.Board) { board.Probe.OpenOCD.Lock = []string{"echo locked"} })
	run := b.run(t.Context())
	if run.Ending == station.Pass || run.Lock.State == station.LockLocked || run.RecordedAt.IsZero() {
		t.Errorf("the Run ends as %s %q: %v; lock %+v", run.Ending, run.Reason, run.Err, run.Lock)
	}
	standing := fixtures.Must(b.opened.Registry.Standing(t.Context(), run.Identity.ID))(t)
	if standing.Lock == station.LockLocked || standing.Active.IsZero() {
		t.Errorf("on record: %+v", standing)
	}
	b.verifies()
}

// powerCycle switches the board off and on, and exchanges the probe.
func (b *environment) powerCycle() {
	b.t.Helper()
	if err := errors.Join(b.board.PowerCut(), b.board.PowerOn(b.t.Context())); err != nil {
		b.t.Fatal(err)
	}
	b.exchangesProbe()
}

func (b *environment) exchangesProbe() {
	b.t.Helper()
	b.closes(b.emulated.Close)
	b.emulated = fixtures.Must(jlink.Start(jlink.Config{Serial: serial, Chip: jlink.NewQEMU(b.board, true)}))(b.t)
}

func TestABoardIsConfirmedWithItsFirmwareAndItsLockAfterAPowerCut(t *testing.T) {
	b := newEnvironment(t, nil)
	b.passes()
	b.powerCycle()
	again := b.passes()
	if again.Outcome != station.Confirmed || !again.Flash.Held || again.Lock.State != station.LockLocked {
		t.Errorf("outcome %s, flash %+v, lock %+v", again.Outcome, again.Flash, again.Lock)
	}
	b.verifies()
}

func TestAFlashThatWasCutIsDoneAgainAfterAPowerCut(t *testing.T) {
	b := newEnvironment(t, nil)
	b.emulated.Inject(jlink.DropInFlash)
	b.ends(b.run(t.Context()), station.Fault, "needs-flash")
	b.powerCycle()
	if again := b.passes(); again.Flash.Held {
		t.Error("the board was not flashed again")
	}
	b.verifies()
}

func TestABoardThatIsDoneIsNotErasedByABlankingOfItsFirmware(t *testing.T) {
	b := newEnvironment(t, nil)
	b.passes()
	for _, name := range []string{"program.bin", "debug.bin"} { // somebody has erased the firmware, which also opens the lock
		if err := os.Remove(filepath.Join(string(b.board.Program()), name)); err != nil {
			t.Fatal(err)
		}
	}
	b.powerCycle()
	run := b.run(t.Context())
	b.ends(run, station.Reject, "done-before")
	var done *station.DoneError
	if !errors.As(run.Err, &done) || time.Since(done.Since) > time.Hour {
		t.Errorf("got %v", run.Err)
	}
	b.verifies()
}
