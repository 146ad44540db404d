package station_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/probe"
	"hallmark/station"
)

func TestALockedBoardPassesAgainWithoutFlashAndLock(t *testing.T) {
	for _, test := range []struct {
		name   string
		record []string
		hash   [32]byte // as the board reports it
		late   bool     // it does not answer at once
	}{
		{"its firmware has the hash of the image", []string{"locked"}, provisioning, false},
		{"it answers late", []string{"locked"}, provisioning, true},
		{"its firmware has another hash, as with an image that the board counts differently", []string{"locked"}, [32]byte{7}, false},
		{"the station ended between the lock and its record", []string{"intended"}, provisioning, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			w.silent, w.identity.FirmwareHash, w.port.state, w.locks = test.late, test.hash, station.LockLocked, test.record
			w.port.pin = true
			w.hook = func(call string) error { w.silent = w.silent && call != "Target"; return nil }
			w.done[w.identity.ID] = time.Now()
			w.holds(w.certificate)
			w.registered(w.certificate)
			run := w.enrol(t.Context(), w.locking())
			if run.Ending != station.Pass || !run.Flash.Held || run.Lock.State != station.LockLocked || run.StoreRead != nil {
				t.Errorf("ending %s: %v; flash %+v, lock %+v", run.Ending, run.Err, run.Flash, run.Lock)
			}
			for _, call := range []string{"Flash", "Lock", "LockIntended"} {
				if slices.Contains(w.calls, call) {
					t.Errorf("calls %v", w.calls)
				}
			}
		})
	}
}

// Nobody can read which image a locked board holds, so only the board's own word is on record.
func TestNoImageOfALockedBoardIsOnRecordWithoutTheWordOfTheBoard(t *testing.T) {
	for name, hash := range map[string][32]byte{"the board names another image": {7}, "the board names the image": provisioning} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.silent, w.identity.FirmwareHash, w.port.state, w.locks = false, hash, station.LockLocked, []string{"locked"}
			w.holds(w.certificate)
			w.registered(w.certificate)
			run := w.enrol(t.Context(), w.locking())
			if known := run.Flash.Image != [32]byte{}; run.Ending != station.Pass || known != (hash == provisioning) {
				t.Errorf("ending %s: %v; flash %+v", run.Ending, run.Err, run.Flash)
			}
		})
	}
}

func TestABoardThatSomebodyElseLockedIsRefusedBeforeSigning(t *testing.T) {
	for _, test := range []struct {
		name   string
		hash   [32]byte
		change func(*station.Config)
	}{
		{"it says that it runs the image", provisioning, nil},
		{"it says that it runs another image", [32]byte{7}, nil},
		{"the station flashes nothing", [32]byte{7}, func(c *station.Config) { c.Flash = false }},
		{"the station does not lock", [32]byte{7}, func(c *station.Config) { c.LockDebugPort = false }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			w.silent, w.identity.FirmwareHash, w.port.state = false, test.hash, station.LockLocked
			changes := []func(*station.Config){test.change}
			if test.change == nil {
				changes = nil
			}
			run := w.enrol(t.Context(), w.locking(changes...))
			if run.Ending != station.Reject || run.Reason != "locked-elsewhere" || slices.Contains(w.calls, "Sign") || run.Identity == nil || len(w.locks) > 0 {
				t.Errorf("ending %s %q: %v; calls %v, locks %v", run.Ending, run.Reason, run.Err, w.calls, w.locks)
			}
			if slices.Contains(w.calls, "Admit") != slices.Contains(w.calls, "LockRead") {
				t.Errorf("an admitted board needs its entry, and another one cannot have it: calls %v", w.calls)
			}
		})
	}
}

func TestABoardThatSomebodyElseLocksDuringTheRunIsRefused(t *testing.T) {
	w := withPort(t)
	w.hook = func(call string) error {
		if call == "Activate" {
			w.port.state = station.LockLocked
		}
		return nil
	}
	if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Reject || run.Reason != "locked-elsewhere" || run.Locked || run.Lock.Recipe != (station.LockRecipe{}) || slices.Contains(w.calls, "Lock") {
		t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
	}
}

func TestALockThatStaysOpenIsNeverAPass(t *testing.T) {
	w := withPort(t)
	w.port.stays = true
	run := w.enrol(t.Context(), w.locking())
	if run.Ending != station.Fault || run.Reason != "lock-open" || run.Lock.State != station.LockOpen || !slices.Equal(w.locks, []string{"intended", "open"}) {
		t.Errorf("ending %s %q: %v; lock %+v, entries %v", run.Ending, run.Reason, run.Err, run.Lock, w.locks)
	}
}

func TestALockWhoseStateIsNotReadIsNeverAPass(t *testing.T) {
	w := withPort(t)
	w.hook = func(call string) error {
		if call == "LockState" && w.port.state == station.LockLocked {
			return probe.ErrLost
		}
		return nil
	}
	s := w.locking()
	w.port.pin = true
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Fault || run.Lock.State != station.LockPending || !slices.Equal(w.locks, []string{"intended"}) {
		t.Errorf("ending %s %q: %v; lock %+v, entries %v", run.Ending, run.Reason, run.Err, run.Lock, w.locks)
	}
	w.hook = nil
	w.registered(w.certificate)
	if again := w.enrol(t.Context(), s); again.Ending != station.Pass || !slices.Equal(w.locks, []string{"intended", "locked"}) {
		t.Errorf("the next Run ends as %s: %v; entries %v", again.Ending, again.Err, w.locks)
	}
}

// A chip may need a power cycle after its lock. No later Run can show that it is the board, so this one puts its lock on record.
func TestABoardThatIsSilentAfterItsLockHasTheLockOnRecord(t *testing.T) {
	for name, test := range map[string]struct {
		lost  error
		locks []string
	}{
		"the lock is read":     {nil, []string{"intended", "locked"}},
		"the lock is not read": {probe.ErrLost, []string{"intended"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.hook = func(call string) error {
				switch {
				case w.port.state != station.LockLocked:
				case call == "Reset":
					return devices.ErrNoAnswer
				case call == "LockState":
					return test.lost
				}
				return nil
			}
			s := w.locking()
			run := w.enrol(t.Context(), s)
			if run.Ending != station.Fault || !errors.Is(run.Err, devices.ErrNoAnswer) || !errors.Is(run.Err, test.lost) && test.lost != nil || !slices.Equal(w.locks, test.locks) {
				t.Errorf("ending %s %q: %v; entries %v", run.Ending, run.Reason, run.Err, w.locks)
			}
			if test.lost != nil {
				return
			}
			w.hook = nil
			w.registered(w.certificate)
			if again := w.enrol(t.Context(), s); again.Ending != station.Pass || !again.Locked {
				t.Errorf("the next Run ends as %s %q: %v; entries %v", again.Ending, again.Reason, again.Err, w.locks)
			}
		})
	}
}

func TestAStationThatLocksNeedsADebugPort(t *testing.T) {
	w := newFakes(t)
	s := w.locking()
	run, err := s.NewRun("bay 1", "operator")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Enrol(t.Context(), w, run); err == nil || len(w.calls) > 0 {
		t.Errorf("got %v, calls %v", err, w.calls)
	}
}
