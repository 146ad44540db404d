package operate

import (
	"crypto"
	"io"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/control"
)

func TestCheckpointsAreSignedDuringTheShift(t *testing.T) {
	s := ready(t, "posix:1")
	k := &Supervisor{c: s.Controller}
	now := time.Now()
	size := func() int64 {
		k.tick(now)
		k.waitForCheckpoint()
		return s.facts().Entries
	}
	s.must(s.record.Note("test.entry", audit.Success, nil))
	if before := size(); size() != before {
		t.Error("a checkpoint was signed before its time")
	}
	for _, again := range []string{"once", "twice"} { // a batch can reach the number of Runs twice within checkpointPause
		before := size()
		s.must(s.record.Note("test.entry", audit.Success, nil))
		s.uncovered = checkpointEvery
		if after := size(); after != before+3 || s.uncovered != 0 {
			t.Errorf("%s: %d entries after %d Runs, want three more than %d", again, after, checkpointEvery, before)
		}
	}
	before := size()
	s.must(s.record.Note("test.entry", audit.Success, nil))
	now = now.Add(checkpointInterval + time.Minute)
	if after := size(); after != before+3 {
		t.Errorf("%d entries after %v, want three more than %d", after, checkpointInterval, before)
	}
	now = now.Add(checkpointPause)
	if before := size(); size() != before {
		t.Error("a checkpoint over nothing new")
	}
}

// A checkpoint follows each act of a person at once, so that a crash leaves none for the next start to doubt. It waits for no tick.
func TestACheckpointFollowsEachActOfAPerson(t *testing.T) {
	s := ready(t, "posix:1")
	defer s.Supervise(t.Context()).End()
	registry := s.record.Registry
	covered := func(what string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); registry.ActsUncovered(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: no checkpoint within a minute", what)
			}
		}
		for _, e := range fixtures.Entries(t, s.record.Dir)[s.newestCheckpoint():] {
			if strings.HasPrefix(e.Type, "order.") {
				t.Errorf("%s: entry %d, %s, lies behind the newest checkpoint", what, e.Seq, e.Type)
			}
		}
	}
	for _, change := range []OrderChange{{ID: "WO-1", Quota: 5, Operator: "ann"}, {ID: "WO-1", Quota: 7, Operator: "ann"}, {ID: "WO-1", Operator: "ann"}} {
		act := map[int64]string{5: ActOpenOrder, 7: ActRaiseOrder, 0: ActCloseOrder}[change.Quota]
		if _, err := control.Ask(string(s.record.Dir), act, change); err != nil {
			t.Fatal(err)
		}
		covered(act)
	}
	s.starts(1, Start{})
	s.waits()
	if registry.ActsUncovered() {
		t.Error("a Run asks for a checkpoint")
	}
}

// newestCheckpoint gives the number of entries under the newest checkpoint.
func (l *environment) newestCheckpoint() int64 {
	l.t.Helper()
	size, _, err := l.record.Registry.NewestCheckpoint(l.t.Context())
	l.must(err)
	return size
}

// slowSigner signs when it is released.
type slowSigner struct {
	crypto.Signer
	asked, released chan struct{}
}

func (s slowSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	close(s.asked)
	<-s.released
	return s.Signer.Sign(random, digest, opts)
}

func TestACheckpointThatTakesLongHoldsNothingUp(t *testing.T) {
	s := ready(t, "posix:1")
	slow := slowSigner{s.opened.instance.Audit, make(chan struct{}), make(chan struct{})}
	s.opened.instance.Audit = slow
	k := &Supervisor{c: s.Controller, probed: time.Now()}
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	s.uncovered = checkpointEvery
	k.tick(time.Now())
	<-slow.asked
	k.tick(time.Now()) // while the HSM signs
	if s.waits(); s.uncovered == 0 {
		t.Error("the Runs are covered before the signature")
	}
	s.last(1, station.Pass)
	close(slow.released)
	s.opened.instance.Audit = slow.Signer
	k.waitForCheckpoint()
	if s.uncovered != 1 {
		t.Errorf("%d Runs are not covered, want the one that ended meanwhile", s.uncovered)
	}
}
