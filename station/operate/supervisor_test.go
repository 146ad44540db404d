package operate

import (
	"crypto"
	"io"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
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
