package station_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/fixtures"
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
			for _, reads := range []bool{true, false} {
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
				run := w.enrol(t.Context(), w.locking(func(c *station.Config) { c.ReadFirmware = reads }))
				if run.Reason != "probe-elsewhere" || !strings.Contains(run.Err.Error(), "was flashed") || slices.Contains(w.calls, "Sign") {
					t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
				}
			}
		})
	}
}

// A board may start too slowly for the step flash. It is shown to be the chip at the probe as soon as it answers.
func TestABoardThatAnswersAfterTheStepFlashIsProven(t *testing.T) {
	unlike := [32]byte{7}
	for _, test := range []struct {
		name      string
		image     [32]byte // in the flash of the chip at the probe
		hash      [32]byte // as the board on the UART reports it, if it is another one
		elsewhere bool
		reason    string
		restarts  int
	}{
		{"a chip that was flashed", [32]byte{2}, [32]byte{}, false, "", 1},
		{"a blank chip that was flashed", [32]byte{}, [32]byte{}, false, "", 1},
		{"another chip was flashed", [32]byte{2}, unlike, true, "probe-elsewhere", 1},
		{"another chip was flashed, and the board says that it runs the image", [32]byte{2}, provisioning, true, "probe-elsewhere", 1},
		{"the probe reads the image", provisioning, [32]byte{}, false, "", 1},
		{"the probe reads the image from another chip", provisioning, unlike, true, "probe-elsewhere", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			w.port.slow, w.port.image, w.identity.FirmwareHash, w.port.elsewhere, w.port.setup.Store = true, test.image, test.hash, test.elsewhere, false
			run := w.enrol(t.Context(), w.locking(func(c *station.Config) {
				c.LockDebugPort, c.Timeouts.Boot = false, 300*time.Millisecond
				c.Events = func(e station.Event) { w.silent = w.silent && (e.Kind != station.StepStarted || e.Step != "identify") }
			}))
			if run.Reason != test.reason || (run.Ending == station.Pass) != (test.reason == "") || w.port.restarts != test.restarts {
				t.Errorf("ending %s %q: %v; %d restarts, calls %v", run.Ending, run.Reason, run.Err, w.port.restarts, w.calls)
			}
			if test.reason != "" && (slices.Contains(w.calls, "Sign") || slices.Contains(w.calls, "Admit") || run.Identity == nil) {
				t.Errorf("identity %v, calls %v", run.Identity, w.calls)
			}
		})
	}
}

// A silent board with other firmware may be an active one at the wrong probe. Nobody can ask who it is, so it is flashed. But no Run passes with it:
// the board on the UART does not restart with it.
func TestASilentBoardAtTheWrongProbeGivesNoPass(t *testing.T) {
	for name, answers := range map[string]bool{"the board on the UART answers after the flash": true, "the board on the UART stays silent": false} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.port.image, w.port.elsewhere, w.port.setup.Store, w.identity.FirmwareHash = [32]byte{2}, true, false, provisioning
			w.hook = func(call string) error {
				w.silent = w.silent && !(answers && call == "Flash")
				return nil
			}
			run := w.enrol(t.Context(), w.locking(func(c *station.Config) {
				c.LockDebugPort, c.Timeouts.Boot, c.Timeouts.Named = false, 300*time.Millisecond, map[string]time.Duration{"identify": 100 * time.Millisecond}
			}))
			want := map[bool]string{true: "probe-elsewhere", false: "no-answer"}[answers]
			if run.Ending != station.Fault || run.Reason != want || slices.Contains(w.calls, "Sign") {
				t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
			}
		})
	}
}

// A probe that reads another board than the one that answers says nothing against that board.
func TestAStoreOfAnotherBoardIsNoMistakeOfTheBoard(t *testing.T) {
	for name, test := range map[string]struct {
		elsewhere bool
		ending    station.Ending
		reason    string
	}{
		"the board at the probe is another one": {true, station.Fault, "probe-elsewhere"},
		"it is the board":                       {false, station.Reject, "probe-read-differs"},
	} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.silent, w.identity.FirmwareHash, w.port.elsewhere = false, provisioning, test.elsewhere
			w.port.store = fixtures.FlashStore(map[devices.Slot][]byte{devices.SlotCertificate: newCertificate(t, 9).DER})
			if run := w.enrol(t.Context(), w.locking()); run.Ending != test.ending || run.Reason != test.reason || slices.Contains(w.calls, "Lock") {
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

// otherPort is the debug port of another bay, whose cable leads to the board of this bay.
type otherPort struct {
	*debugPort
	at *fakes
}

func (o *otherPort) Flash(context.Context, func(done, total int)) error {
	o.at.identity.Boot[2]++
	return errProbeLost
}

// Debug cables of two bays are crossed, and the other bay flashes while this one waits for the restart of its board.
func TestARestartByTheProbeOfAnotherBayIsNoProof(t *testing.T) {
	for flashes := range 3 {
		w := withPort(t)
		w.silent, w.identity.FirmwareHash, w.port.elsewhere = false, provisioning, true
		s := w.locking()
		w.hook = func(call string) error {
			if call == "Restart" && w.port.restarts < flashes {
				other := withPort(t)
				run, err := s.NewRun("bay 2", "operator")
				if err != nil {
					return err
				}
				return s.EnrolWith(t.Context(), other, &otherPort{other.port, w}, run)
			}
			return nil
		}
		if run := w.enrol(t.Context(), s); run.Reason != "probe-elsewhere" || w.port.restarts != flashes+1 || slices.Contains(w.calls, "LockIntended") {
			t.Errorf("%d flashes: ending %s %q: %v; %d restarts, calls %v", flashes, run.Ending, run.Reason, run.Err, w.port.restarts, w.calls)
		}
	}
}

// The right cable, and another bay that flashes: the proof is repeated until that bay cannot have made each restart.
func TestAProofBesideAFlashIsRepeated(t *testing.T) {
	w := withPort(t)
	w.silent, w.identity.FirmwareHash = false, provisioning
	s := w.locking()
	w.hook = func(call string) error {
		if call != "Restart" || w.port.restarts > 0 {
			return nil
		}
		other := withPort(t)
		run, err := s.NewRun("bay 2", "operator")
		if err != nil {
			return err
		}
		return s.EnrolWith(t.Context(), other, &otherPort{other.port, other}, run)
	}
	if run := w.enrol(t.Context(), s); run.Ending != station.Pass || w.port.restarts != 3 {
		t.Errorf("ending %s: %v; %d restarts", run.Ending, run.Err, w.port.restarts)
	}
}

// A board that names another boot id at each question restarts with no probe.
func TestABoardWhoseBootIDChangesByItselfProvesNothing(t *testing.T) {
	w := withPort(t)
	w.silent, w.identity.FirmwareHash, w.port.elsewhere = false, [32]byte{7}, true
	w.hook = func(call string) error {
		if call == "Identify" {
			w.identity.Boot[3]++
		}
		return nil
	}
	if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Fault || run.Reason != "restarted" || slices.Contains(w.calls, "Flash") {
		t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
	}
}
