package operate

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/fixtures/usbtree"
	"hallmark/station"
	"hallmark/station/instance"
)

// bench makes a station with one bay at USB path 1-2.3, on a machine to which nothing is plugged.
func bench(t *testing.T) (*environment, *usbtree.Tree) {
	t.Helper()
	machine := fixtures.Must(usbtree.New(t.TempDir()))(t)
	dir := fixtures.NewDirectory(t)
	fixtures.Configure(t, dir, "boards:\n", "bays:\n- {name: bay 1, usb: 1-2.3}\nboards:\n")
	s := closedStationWith(t, dir, "", instance.Options{Root: machine.Dir()})
	s.opens()
	return s, machine
}

// board is a board on its own USB interface, which the kernel calls tty and a pseudo-terminal stands for.
func board(tty, pty string) usbtree.Device {
	return usbtree.Device{Path: "1-2.3", VID: "2fe3", PID: "0100", Product: "board",
		Interfaces: []usbtree.Interface{{Driver: "cdc_acm", TTY: tty, Target: pty}}}
}

func TestABoardThatIsPluggedIntoABayIsStartedAtOnce(t *testing.T) {
	s, machine := bench(t)
	begun := make(chan time.Time, 1)
	s.events = func(e station.Event) {
		if e.Kind == station.RunStarted {
			begun <- time.Now()
		}
	}
	supervisor := s.Supervise(t.Context())
	defer supervisor.End()
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	pty := fixtures.BoardOnPort(t, fixtures.Firmware(t, "../..", emulated.Posix, ""))
	plugged := time.Now()
	s.must(machine.Plug(board("ttyACM0", pty)))
	t.Logf("the Run began %v after the board was plugged in", (<-begun).Sub(plugged))
	s.waits()
	s.last(1, station.Pass)
}

// comesBackAs has the port of a board come back under another number some time after the board restarts.
func comesBackAs(tty string, after time.Duration, link *fixtures.Replugged, machine *usbtree.Tree) <-chan error {
	back := make(chan error, 1)
	link.OnRestart(sync.OnceFunc(func() {
		err := machine.Pull("1-2.3")
		link.Replug()
		time.Sleep(after) // the board, not a wait of the test
		back <- errors.Join(err, machine.Plug(board(tty, link.Port())))
	}))
	return back
}

func TestABoardWhosePortComesBackUnderAnotherNumberPasses(t *testing.T) {
	s, machine := bench(t)
	link := fixtures.RepluggableBoard(t, fixtures.Firmware(t, "../..", emulated.Posix, ""))
	s.must(machine.Plug(board("ttyACM0", link.Port())))
	back := comesBackAs("ttyACM7", time.Second, link, machine)
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Pass)
	s.must(<-back)
	if _, err := os.Lstat(filepath.Join(machine.Dir(), "dev/ttyACM0")); err == nil {
		t.Error("the old port is still there")
	}
}

func TestACableThatIsPulledInARunEndsThatRunOnly(t *testing.T) {
	s, machine := bench(t)
	link := fixtures.RepluggableBoard(t, fixtures.Firmware(t, "../..", emulated.Posix, ""))
	s.must(machine.Plug(board("ttyACM0", link.Port())))
	pull := sync.OnceFunc(func() {
		s.must(machine.Pull("1-2.3"))
		link.Replug()
	})
	s.events = func(e station.Event) {
		if e.Kind == station.StepStarted && e.Step == "write" {
			pull()
		}
	}
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Fault)
	if got := s.rows()[0].Reason; got != "line-closed" {
		t.Errorf("reason %q", got)
	}
	s.must(machine.Plug(board("ttyACM1", link.Port())))
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Pass)
}

func TestABayWithoutItsBoardSaysWhereItLooked(t *testing.T) {
	s, machine := bench(t)
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Fault)
	if s.checkPorts(); s.facts().Bays[0].Present != BoardAbsent {
		t.Error("a bay to which nothing is plugged has a board")
	}
	s.must(machine.Plug(board("ttyACM0", "/dev/null")))
	if s.checkPorts(); s.facts().Bays[0].Present != BoardPresent {
		t.Error("the board is not seen")
	}
}

func TestAPortOfBoardsThatComesBackUnderAnotherNumberIsFollowed(t *testing.T) {
	machine := fixtures.Must(usbtree.New(t.TempDir()))(t)
	named := filepath.Join(machine.Dir(), "dev/ttyACM0")
	s := closedStationWith(t, fixtures.NewDirectory(t), named, instance.Options{Root: machine.Dir()})
	s.opens()
	link := fixtures.RepluggableBoard(t, fixtures.Firmware(t, "../..", emulated.Posix, ""))
	s.must(machine.Plug(board("ttyACM0", link.Port())))
	back := comesBackAs("ttyACM7", 0, link, machine)
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Pass)
	s.must(<-back)
}
