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

// The record has the state that was read. Without one, the state that was read before stands.
func TestTheLockOfAnErasedChipIsAsItWasRead(t *testing.T) {
	for read, want := range map[station.LockState]station.LockState{station.LockOpen: station.LockOpen, "": station.LockLocked} {
		b := newTestRegistry(t)
		run := b.run()
		b.toLock(run)
		run.Lock.State, run.Ending = station.LockLocked, station.Pass
		b.must(b.LockRead(t.Context(), run))
		b.must(b.closeRun(t.Context(), run))
		recovery := Recovery{Board: run.Identity.ID, KnownBy: "person", Bay: "left", Operator: "ann", Hold: true}
		b.must(b.RecoverIntended(t.Context(), recovery))
		b.must(b.RecoverDone(t.Context(), recovery, read, nil))
		standing, err := b.Standing(t.Context(), run.Identity.ID)
		if err != nil || standing.Lock != want {
			t.Errorf("read %q: %+v, %v", read, standing, err)
		}
		b.verify()
	}
}

// Versions before the state was read wrote no state, and took the port for open.
func TestAnEraseWithoutAStateIsThatOfAnEarlierVersion(t *testing.T) {
	s := &replay{locks: map[string]fields{"b": {lockState: "locked", lockChanged: ""}}}
	if err := s.recovered(audit.Entry{Board: &audit.Board{ID: "b"}}); err != nil || s.locks["b"][lockState] != "open" {
		t.Errorf("%v, %v", s.locks["b"], err)
	}
}
