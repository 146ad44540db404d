package station_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

// A debug cable that leads to another board is seen before anything is erased or locked.
func TestADebugCableAtAnotherBoardIsSeenBeforeAnythingIsLost(t *testing.T) {
	readsFirmware := func(c *station.Config) { c.ReadFirmware = true }
	for _, test := range []struct {
		name    string
		image   [32]byte // in the flash of the chip at the probe
		hash    [32]byte // as the board on the UART reports it
		change  func(*station.Config)
		never   []string // calls
		between string   // the cable is moved at this call; empty: it is wrong from the begin
	}{
		{"the board says that it runs the image", [32]byte{2}, provisioning, nil, []string{"Flash", "LockIntended", "Lock"}, ""},
		{"the board runs other firmware", [32]byte{2}, [32]byte{7}, nil, []string{"Flash", "Sign"}, ""},
		{"the board runs other firmware, and the chip is blank", [32]byte{}, [32]byte{7}, nil, []string{"Flash", "Sign"}, ""},
		{"the board runs other firmware, and the chip has the image", provisioning, [32]byte{7}, nil, []string{"Flash", "Sign"}, ""},
		{"the probe reads the image, which the board only claims", provisioning, provisioning, readsFirmware, []string{"Sign"}, ""},
		{"the cable is moved before the lock", [32]byte{2}, provisioning, nil, []string{"LockIntended", "Lock"}, "LockState"},
		{"the cable is moved before the flash", [32]byte{2}, [32]byte{7}, nil, []string{"Flash", "Lock"}, "Content"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			w.silent, w.port.image, w.identity.FirmwareHash, w.port.elsewhere = false, test.image, test.hash, test.between == ""
			w.port.setup.Store = false
			w.hook = func(call string) error { w.port.elsewhere = w.port.elsewhere || call == test.between; return nil }
			var changes []func(*station.Config)
			if test.change != nil {
				changes = append(changes, test.change)
			}
			run := w.enrol(t.Context(), w.locking(changes...))
			if run.Ending != station.Fault || run.Reason != "probe-elsewhere" || !errors.Is(run.Err, station.ErrProbeElsewhere) {
				t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
			}
			for _, call := range test.never {
				if slices.Contains(w.calls, call) {
					t.Errorf("calls %v", w.calls)
				}
			}
			w.hook, w.port.elsewhere = nil, false
			w.registered(w.certificate)
			if again := w.enrol(t.Context(), w.locking()); again.Ending != station.Pass {
				t.Errorf("with the right cable: ending %s: %v", again.Ending, again.Err)
			}
		})
	}
}

// The board that answers after a flash must be the board that was flashed.
func TestABoardThatDoesNotRunTheFlashedImageIsNotTakenForIt(t *testing.T) {
	for name, change := range map[string]func(*fakes){
		"it answered before, and the cable is moved in the flash":  func(w *fakes) { w.silent = false },
		"it was silent, and answers late with another hash":        func(w *fakes) {},
		"it was silent, and the hash of the image is not known":    func(w *fakes) { w.port.setup.Image.Octets = [32]byte{} },
		"it was silent, and says that it runs the image":           func(w *fakes) { w.identity.FirmwareHash = provisioning },
		"it was silent, and another board answers after the flash": func(w *fakes) { w.identity.ID[3]++ },
	} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.identity.FirmwareHash = [32]byte{7}
			change(w)
			w.port.setup.Store = false
			w.hook = func(call string) error {
				if call == "Flash" {
					w.port.elsewhere, w.silent = true, false
				}
				return nil
			}
			run := w.enrol(t.Context(), w.locking(func(c *station.Config) { c.ReadFirmware = true }))
			if run.Reason != "probe-elsewhere" || slices.Contains(w.calls, "Sign") {
				t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
			}
		})
	}
}

// With the intent alone on record, the locked chip at the probe may be any locked chip.
func TestALockedChipIsTheBoardOnlyIfItsLockWasReadOrItRestarts(t *testing.T) {
	for _, test := range []struct {
		name           string
		record         []string
		hash           [32]byte
		pin, elsewhere bool
		reason         string
	}{
		{"its lock was read", []string{"locked"}, provisioning, false, false, ""},
		{"an intent, and the chip restarts", []string{"intended"}, provisioning, true, false, ""},
		{"an intent, the chip restarts, and the board names another image", []string{"intended"}, [32]byte{7}, true, false, ""},
		{"an intent, and the chip cannot be restarted", []string{"intended"}, provisioning, false, false, "lock-unproven"},
		{"an intent, the chip cannot be restarted, and the board names another image", []string{"intended"}, [32]byte{7}, false, false, "lock-unproven"},
		{"an intent, and another chip restarts", []string{"intended"}, provisioning, true, true, "lock-unproven"},
		{"a port that was read as open, and another chip restarts", []string{"intended", "open"}, [32]byte{7}, true, true, "lock-unproven"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			w.silent, w.identity.FirmwareHash, w.port.state, w.locks = false, test.hash, station.LockLocked, test.record
			w.port.pin, w.port.elsewhere = test.pin, test.elsewhere
			w.holds(w.certificate)
			w.registered(w.certificate)
			run := w.enrol(t.Context(), w.locking())
			if run.Reason != test.reason || test.reason != "" && slices.Contains(w.calls, "Sign") {
				t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
			}
		})
	}
}

// The debug cable is moved to another board, which is locked, between the questions of one Run.
func TestAnIntentIsProvenAgainBeforeItsLockIsOnRecord(t *testing.T) {
	w := withPort(t)
	w.silent, w.identity.FirmwareHash, w.port.state, w.port.pin, w.locks = false, provisioning, station.LockLocked, true, []string{"intended"}
	w.holds(w.certificate)
	w.registered(w.certificate)
	w.hook = func(call string) error { w.port.elsewhere = w.port.elsewhere || call == "Activate"; return nil }
	if run := w.enrol(t.Context(), w.locking()); run.Reason != "lock-unproven" || !slices.Equal(w.locks, []string{"intended"}) {
		t.Errorf("ending %s %q: %v; locks %v", run.Ending, run.Reason, run.Err, w.locks)
	}
}

func TestABoardThatStaysSilentAfterTheProofIsNamed(t *testing.T) {
	w := withPort(t)
	w.silent, w.identity.FirmwareHash = false, [32]byte{7}
	w.hook = func(call string) error { w.silent = w.silent || call == "Target"; return nil }
	w.port.elsewhere = true
	run := w.enrol(t.Context(), w.locking(func(c *station.Config) { c.Timeouts.Boot = 50 * time.Millisecond }))
	if run.Reason != "no-answer" || !errors.Is(run.Err, devices.ErrNoAnswer) || slices.Contains(w.calls, "Flash") {
		t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
	}
}
