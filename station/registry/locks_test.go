package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"hallmark/station"
	"hallmark/station/audit"
)

var testRecipe = station.LockRecipe{Kind: "APPROTECT", SHA256: sha256.Sum256([]byte("recipe")), Key: "SHA256:fingerprint"}

// locks gives a Run the parts that the steps flash and lock leave behind.
func locks(run *station.Run, state station.LockState) *station.Run {
	run.Probe = &station.ProbeRecord{Serial: "683806234", Target: "Cortex-M4 r0p1"}
	run.Flash = &station.FlashRecord{Image: sha256.Sum256([]byte("image"))}
	run.Lock = &station.LockRecord{Recipe: testRecipe, State: state}
	return run
}

// toLock takes a Run from Admit to its intent to lock.
func (b *testRegistry) toLock(run *station.Run) {
	b.t.Helper()
	b.issue(run)
	b.must(b.Delivered(b.t.Context(), proven(run)))
	b.must(b.Activate(b.t.Context(), run))
	b.must(b.LockIntended(b.t.Context(), locks(run, station.LockOpen)))
}

// lockEntries gives type and state of the entries about locks.
func (b *testRegistry) lockEntries() (all []string) {
	b.t.Helper()
	_, err := b.VerifyEach(b.t.Context(), b.vkey, func(e audit.Entry) error {
		if state := e.Details[detailState]; state != "" && e.Run != nil && endings[e.Type] == "" {
			all = append(all, e.Type+" "+state)
		}
		return nil
	})
	b.must(err)
	return all
}

func (b *testRegistry) stands(run *station.Run, want station.LockState) {
	b.t.Helper()
	s, err := b.Standing(b.t.Context(), run.Identity.ID)
	if err != nil || s.Active.IsZero() || s.Lock != want {
		b.t.Errorf("got %+v, %v; want %q", s, err, want)
	}
}

func TestALockIsOnRecordBeforeAndAsRead(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.toLock(run)
	b.stands(run, station.LockPending)
	run.Lock.State, run.Ending = station.LockLocked, station.Pass
	b.must(b.LockRead(t.Context(), run))
	b.must(b.LockRead(t.Context(), run)) // changes nothing
	b.must(b.closeRun(t.Context(), run))
	b.stands(run, station.LockLocked)
	if got := b.lockEntries(); !slices.Equal(got, []string{"board.lock.intent intended", "board.locked locked"}) {
		t.Errorf("entries %v", got)
	}
	rows, err := b.Boards(t.Context(), Filter{})
	if err != nil || len(rows) != 1 || rows[0].Lock != station.LockLocked || rows[0].LockRecipe == "" || rows[0].Probe != "683806234" {
		t.Errorf("boards %+v, %v", rows, err)
	}
}

func TestARunThatDidNotReadTheLockDoesNotPass(t *testing.T) {
	for _, state := range []station.LockState{"", station.LockOpen} {
		t.Run("state "+string(state), func(t *testing.T) {
			b := newTestRegistry(t)
			run := b.run()
			b.toLock(run)
			if state != "" {
				run.Lock.State = state
				b.must(b.LockRead(t.Context(), run))
			}
			run.Ending = station.Pass
			if _, err := b.Close(t.Context(), run); !errors.Is(err, ErrLockUnread) {
				t.Errorf("got %v", err)
			}
			run.Ending, run.Reason = station.Fault, station.ErrLockOpen.Word()
			b.must(b.closeRun(t.Context(), run))
			b.verify()
		})
	}
}

func TestALockNeedsAnActiveCertificate(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.issue(run)
	if err := b.LockIntended(t.Context(), locks(run, station.LockOpen)); !errors.Is(err, ErrWrongStatus) {
		t.Errorf("got %v", err)
	}
	if err := b.LockRead(t.Context(), locks(b.run(), station.LockOpen)); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("got %v", err)
	}
}

func TestASealNeedsAnActiveCertificate(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.issue(run)
	if err := b.SealIntended(t.Context(), run); !errors.Is(err, ErrWrongStatus) {
		t.Errorf("got %v", err)
	}
	if n := b.count(typeSealIntent); n != 0 {
		t.Errorf("%d intents", n)
	}
	ready := b.run()
	b.toLock(ready)
	b.must(b.SealIntended(t.Context(), ready))
	if n := b.count(typeSealIntent); n != 1 {
		t.Errorf("%d intents", n)
	}
	b.reopen()
	b.verify()
}

func TestABoardThatSomebodyElseLockedIsRefused(t *testing.T) {
	t.Run("before its certificate", func(t *testing.T) { refusesForeignLock(t, func(b *testRegistry, run *station.Run) {}) })
	t.Run("after its certificate", func(t *testing.T) {
		refusesForeignLock(t, func(b *testRegistry, run *station.Run) {
			b.issue(run)
			b.must(b.Delivered(t.Context(), proven(run)))
			b.must(b.Activate(t.Context(), run))
		})
	})
}

func refusesForeignLock(t *testing.T, prepare func(*testRegistry, *station.Run)) {
	b := newTestRegistry(t)
	run := b.run()
	prepare(b, run)
	if err := b.LockRead(t.Context(), locks(run, station.LockLocked)); !errors.Is(err, station.ErrLockedElsewhere) {
		t.Errorf("got %v", err)
	}
	if got := b.lockEntries(); !slices.Equal(got, []string{"board.lock.foreign locked"}) {
		t.Errorf("entries %v", got)
	}
	if s, err := b.Standing(t.Context(), run.Identity.ID); err != nil || s.Lock != "" {
		t.Errorf("got %+v, %v", s, err)
	}
	run.Ending = station.Pass
	if _, err := b.Close(t.Context(), run); !errors.Is(err, ErrLockUnread) && run.Certificate != nil {
		t.Errorf("a Pass of the board: %v", err)
	}
	run.Ending, run.Reason = station.Reject, station.ErrLockedElsewhere.Word()
	b.must(b.closeRun(t.Context(), run))
	b.verify()
}

// A chip may close its port only at its next power cycle. The entry has the recipe that locked it,
// although the configuration may have another one by then.
func TestALockThatWasReadTooEarlyHasTheRecipeOfItsIntent(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.toLock(run)
	run.Lock.State, run.Ending, run.Reason = station.LockOpen, station.Fault, station.ErrLockOpen.Word()
	b.must(b.LockRead(t.Context(), run))
	b.must(b.closeRun(t.Context(), run))
	next := again(run, "")
	b.must(b.Admit(t.Context(), next))
	next.Certificate = run.Certificate
	locks(next, station.LockLocked).Lock.Recipe = station.LockRecipe{Kind: "RDP", SHA256: sha256.Sum256([]byte("another recipe"))}
	b.must(b.LockRead(t.Context(), next))
	next.Ending = station.Pass
	b.must(b.closeRun(t.Context(), next))
	rows, err := b.Boards(t.Context(), Filter{})
	if want := hex.EncodeToString(testRecipe.SHA256[:]); err != nil || len(rows) != 1 || rows[0].LockRecipe != want || rows[0].Lock != station.LockLocked {
		t.Errorf("boards %+v, %v; want the recipe %s", rows, err, want)
	}
	b.verify()
}

func TestAnIntentToLockOutlivesACrash(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.toLock(run)
	b.reopen()
	b.stands(run, station.LockPending)
	next := again(run, "")
	b.must(b.Admit(t.Context(), next))
	next.Certificate = run.Certificate
	b.must(b.LockRead(t.Context(), locks(next, station.LockLocked)))
	next.Ending = station.Pass
	b.must(b.closeRun(t.Context(), next))
	b.stands(run, station.LockLocked)
	b.verify()
}

func TestABoardThatIsNotKnownHasNoStanding(t *testing.T) {
	b := newTestRegistry(t)
	if s, err := b.Standing(t.Context(), newRun([16]byte{9}, "hw").Identity.ID); err != nil || s != (station.Standing{}) {
		t.Errorf("got %+v, %v", s, err)
	}
}

// A board whose flash was cut did not say who it is, and has a record nevertheless (I14).
func TestARunWhoseFlashWasCutHasARecord(t *testing.T) {
	b := newTestRegistry(t)
	run := newRun([16]byte{9}, "hw")
	run.Identity, run.Probe = nil, &station.ProbeRecord{Serial: "5", Target: "Cortex-M3"}
	run.Ending, run.Reason = station.Fault, station.ErrNeedsFlash.Word()
	b.must(b.closeRun(t.Context(), run))
	b.verify()
	entries, err := b.EntriesOf(t.Context(), run.ID.String())
	if err != nil || len(entries) != 1 || entries[0].Details["probe"] != "5" || entries[0].Reason != "needs-flash" {
		t.Errorf("entries %+v, %v", entries, err)
	}
}
