package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// An outage is a shift whose HSM disappears during enrolments, and comes back.
type outage struct {
	*shift
	server *fixtures.Server
}

// Every client pauses for a lost HSM and then continues without an operator. No board is lost.
func TestEveryClientPausesForALostHSMAndGoesOn(t *testing.T) {
	for _, client := range []struct {
		name  string
		enrol func(o *outage) // starts the client, causes the outage, and ends the client
	}{
		{"batch", func(o *outage) {
			ends := o.begins("batch", "--boards", "posix:4", "--count", "60", "--progress", "none")
			o.until("boards pass", func() bool { return o.passes() >= 8 })
			o.goesAwayAndComesBack()
			if text := ends(); !strings.Contains(text, "60 Runs: 60 pass") {
				o.t.Errorf("the batch says\n%s", text)
			}
		}},
		{"enrol", func(o *outage) {
			ends := o.begins("enrol", "qemu")
			o.until("the board starts", func() bool { return workdir.Exists(filepath.Join(o.dir, "bays", "qemu-1", "1", "flash.bin")) })
			o.goesAwayAndComesBack()
			if text := ends(); !strings.Contains(text, "1 Run: 1 pass") || !strings.Contains(text, "1 repeated after the HSM was lost") {
				o.t.Errorf("enrol says\n%s", text)
			}
		}},
		{"screen", func(o *outage) {
			o.opens(nil, "--boards", "posix:2", "--operator", "OP-1")
			o.shift.begins()
			o.presses("u", "F12")
			o.until("boards pass", func() bool { return o.passes() >= 2 })
			o.goesAwayAndComesBack()
			before := o.passes()
			o.until("more boards pass", func() bool { return o.passes() >= before+2 })
			o.presses("q")
			o.sees(`Leave the station`)
			o.presses("F12")
			o.leaves()
		}},
		{"plain", func(o *outage) {
			c := o.startsPlain("--boards", "qemu:1", "--operator", "OP-1", "--plain")
			if _, err := io.WriteString(c.says, "1\n"); err != nil {
				o.t.Fatal(err)
			}
			o.until("the board starts", func() bool { return workdir.Exists(filepath.Join(o.dir, "bays", "qemu-1", "1", "flash.bin")) })
			o.goesAwayAndComesBack()
			o.until("the board passes", func() bool { return o.passes() == 1 })
			c.gets("quit", "PASS")
			c.ends(exitPass)
		}},
	} {
		t.Run(client.name, func(t *testing.T) {
			o := &outage{shift: newShift(t)}
			o.server = fixtures.BehindServer(t, workdir.Dir(o.dir))
			client.enrol(o)
			o.nothingIsLost()
		})
	}
}

// begins starts a subcommand. The returned function waits for exit code 0 and returns the output.
func (o *outage) begins(subcommand string, args ...string) func() string {
	o.t.Helper()
	cmd := exec.Command(o.binary, append([]string{subcommand, "--dir", o.dir, "--firmware", o.firmware}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	return func() string {
		o.t.Helper()
		if err := cmd.Wait(); err != nil {
			o.t.Errorf("%s: %v", subcommand, err)
		}
		return out.String()
	}
}

// goesAwayAndComesBack unplugs the HSM, waits until the station has noticed, and plugs the HSM in again.
func (o *outage) goesAwayAndComesBack() {
	o.t.Helper()
	o.server.Unplug(o.t)
	o.until("the pause is on record", func() bool { return fixtures.HasEntry(o.t, workdir.Dir(o.dir), "hsm.away", instance.LocalUser(), nil) })
	o.server.Start(o.t)
	o.until("the end of the pause is on record", func() bool { return fixtures.HasEntry(o.t, workdir.Dir(o.dir), "hsm.back", instance.LocalUser(), nil) })
}

// passes counts the recorded Runs that passed.
func (o *outage) passes() (n int) {
	o.t.Helper()
	for _, run := range o.onRecord() {
		if run.Ending == station.Pass {
			n++
		}
	}
	return n
}

func (o *outage) onRecord() []registry.FoundRun {
	o.t.Helper()
	reader := fixtures.Must(registry.OpenReader(o.t.Context(), filepath.Join(o.dir, "registry.db")))(o.t)
	defer reader.Close()
	return fixtures.Must(reader.SearchRuns(o.t.Context(), registry.Search{}))(o.t)
}

// nothingIsLost checks that the last Run of each board passed, and that the outage ended at
// least one Run.
func (o *outage) nothingIsLost() {
	o.t.Helper()
	last, faults := map[string]string{}, 0
	for _, run := range o.onRecord() { // newest first
		id := run.BoardID.String()
		if last[id] == "" {
			last[id] = fmt.Sprint(run.Ending, " ", run.Reason)
		}
		if run.Ending == station.Fault {
			faults++
		}
	}
	for board, ending := range last {
		if !strings.HasPrefix(ending, "pass") {
			o.t.Errorf("board %s ended as %s", board, ending)
		}
	}
	if faults == 0 {
		o.t.Error("the outage hit no Run")
	}
}

func (o *outage) until(what string, so func() bool) {
	o.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			o.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// On a disk without space for records, every client starts no Run and says why.
func TestEveryClientBeginsNothingOnAFullDisk(t *testing.T) {
	const refusal = `too little free space`
	for name, enrol := range map[string]func(o *outage){
		"batch": func(o *outage) { o.refused(refusal, "batch", "--boards", "posix:2", "--count", "4") },
		"enrol": func(o *outage) { o.refused(refusal, "enrol", "posix") },
		"screen": func(o *outage) {
			o.opens(nil, "--boards", "posix:1", "--operator", "OP-1")
			o.sees(`too little free`) // finding of the check "disk"
			o.presses("q")
			o.sees(`Leave the station`)
			o.presses("F12")
			o.leaves()
		},
		"plain": func(o *outage) {
			c := o.startsPlain("--boards", "posix:1", "--operator", "OP-1", "--plain")
			c.gets("1", refusal)
			if err := c.says.Close(); err != nil {
				o.t.Fatal(err)
			}
			c.ends(exitPass)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &outage{shift: newShift(t)}
			fixtures.Configure(t, workdir.Dir(o.dir), "station: demo", "station: demo\nminimum_free_mib: 1000000000")
			enrol(o)
			if runs := o.onRecord(); len(runs) != 0 {
				t.Errorf("%d Runs on record", len(runs))
			}
		})
	}
}

// refused checks that a subcommand ends as a Fault and prints words.
func (o *outage) refused(words, subcommand string, args ...string) {
	o.t.Helper()
	code, out, errs := do(o.t, append([]string{subcommand, "--dir", o.dir, "--firmware", o.firmware}, args...)...)
	if code != exitFault || !strings.Contains(errs, words) {
		o.t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}

// A signal ends each client in order: a Run that has its certificate goes to its end, every
// other Run ends as Aborted, and a checkpoint covers the whole log.
func TestASignalEndsEveryClientInOrder(t *testing.T) {
	for name, args := range map[string][]string{
		"batch":  {"batch", "--boards", "posix:4", "--count", "400", "--progress", "none"},
		"screen": {"tui", "--boards", "posix:4", "--operator", "OP-1"},
		"plain":  {"tui", "--boards", "posix:4", "--operator", "OP-1", "--plain"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &outage{shift: newShift(t)}
			args := append(append([]string{args[0], "--dir", o.dir}, args[1:]...), "--firmware", o.firmware)
			t.Setenv("TERM", "xterm-256color")
			person := startAtTerminal(t, exec.Command(o.binary, args...), "")
			switch name {
			case "screen":
				person.readUntil("to begin the shift")
				person.types(goKey)
				person.readUntil("to start")
				person.types("u" + goKey)
			case "plain":
				for _, bay := range []string{"1", "2", "3", "4"} {
					person.commands(bay, "Ctrl-G starts it")
					person.readUntil("posix-" + bay + ": ") // its Run has started
				}
			}
			o.until("Runs are under way", func() bool { return len(o.onRecord()) >= 2 })
			if err := person.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := person.leave(); code != exitAborted {
				t.Errorf("exit code %d, want %d", code, exitAborted)
			}
			for _, run := range o.onRecord() {
				if run.Ending != station.Pass && run.Ending != station.Aborted {
					t.Errorf("a Run ended as %q %s", run.Ending, run.Reason)
				}
			}
			inOrder(t, o.types(), "log.checkpoint success station", "log.shutdown success station")
		})
	}
}
