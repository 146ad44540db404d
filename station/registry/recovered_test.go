package registry

import (
	"errors"
	"testing"

	"hallmark/station"
	"hallmark/station/audit"
)

func TestAChipIsErasedOnlyAfterTheRegistryWasAsked(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 9})
	active, scrapped := b.enrolsFor("WO-1"), b.enrolsFor("WO-1")
	b.scraps(Which{BoardID: scrapped.Identity.ID})
	recovery := Recovery{Board: active.Identity.ID, KnownBy: "board", Bay: "left", Probe: "17", Why: "burnt", Operator: "ann"}
	if err := b.RecoverIntended(t.Context(), recovery); !errors.Is(err, ErrRecoverActive) {
		t.Fatalf("an active certificate: %v", err)
	}
	if b.count(typeRecoverIntent) != 0 || b.count(typeRecoverDenied) != 1 {
		t.Error("a refusal is on record, and is no intent")
	}
	recovery.Hold = true
	b.must(b.RecoverIntended(t.Context(), recovery))
	if b.count(typeHeld) != 1 {
		t.Error("the board is not on hold")
	}
	recovery.Hold = false
	b.must(b.RecoverIntended(t.Context(), recovery)) // it is on hold now
	cause := errors.New("no probe")
	if err := b.RecoverDone(t.Context(), recovery, "", cause); !errors.Is(err, cause) || b.count(typeNotRecovered) != 1 {
		t.Errorf("a failure: %v", err)
	}
	for _, other := range []Recovery{recovery, {Board: scrapped.Identity.ID, KnownBy: "flash", Operator: "ann"}, {KnownBy: "nobody", Operator: "ann"}} {
		b.must(b.RecoverIntended(t.Context(), other))
		b.must(b.RecoverDone(t.Context(), other, station.LockOpen, nil))
	}
	if b.count(typeRecovered) != 3 {
		t.Error("each erase has its entry")
	}
	b.verify()
}

// The record has the state that was read. A lock that was not read after an erase may be gone, so it counts as an intent only.
func TestTheLockOfAnErasedChipIsAsItWasRead(t *testing.T) {
	for _, test := range []struct {
		before, read station.LockState
		cause        error
		want         station.LockState
	}{
		{station.LockLocked, station.LockOpen, nil, station.LockOpen},
		{station.LockLocked, "", nil, station.LockPending},
		{station.LockLocked, "", errors.New("the probe is lost"), station.LockPending},
		{station.LockPending, "", nil, station.LockPending},
		{station.LockOpen, "", errors.New("the probe is lost"), station.LockOpen},
	} {
		b := newTestRegistry(t)
		run := b.run()
		b.toLock(run)
		run.Ending = station.Fault
		if test.before != station.LockPending {
			run.Lock.State = test.before
			b.must(b.LockRead(t.Context(), run))
		}
		if test.before == station.LockLocked {
			run.Ending = station.Pass
		}
		b.must(b.closeRun(t.Context(), run))
		recovery := Recovery{Board: run.Identity.ID, KnownBy: "person", Bay: "left", Operator: "ann", Hold: true}
		b.must(b.RecoverIntended(t.Context(), recovery))
		if err := b.RecoverDone(t.Context(), recovery, test.read, test.cause); !errors.Is(err, test.cause) {
			t.Errorf("%+v: %v", test, err)
		}
		standing, err := b.Standing(t.Context(), run.Identity.ID)
		if err != nil || standing.Lock != test.want {
			t.Errorf("%+v: %+v, %v", test, standing, err)
		}
		b.verify()
	}
}

// Versions before the state was read wrote no state, and took the port for open.
func TestAnEraseWithoutAStateIsThatOfAnEarlierVersion(t *testing.T) {
	s := &replay{locks: map[string]fields{"b": {lockState: "locked", lockChanged: ""}}}
	if err := s.recovered(audit.Entry{Type: typeNotRecovered, Board: &audit.Board{ID: "b"}}); err != nil || s.locks["b"][lockState] != "locked" {
		t.Errorf("a failure: %v, %v", s.locks["b"], err)
	}
	if err := s.recovered(audit.Entry{Type: typeRecovered, Board: &audit.Board{ID: "b"}}); err != nil || s.locks["b"][lockState] != "open" {
		t.Errorf("%v, %v", s.locks["b"], err)
	}
}
