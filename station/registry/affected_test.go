package registry

import (
	"slices"
	"testing"

	"hallmark/station"
	"hallmark/station/audit"
)

// entriesOf gives the entries of the bundle of a question.
func (b *testRegistry) entriesOf(t *testing.T, q Question) (entries []audit.Entry) {
	t.Helper()
	answer := Answer{Reader: b.Reader, Question: q}
	b.must(answer.EachSelected(t.Context(), b.AuditSize(), func(seq int64, body []byte) error {
		e, err := audit.Decode(body)
		if err == nil && e.Seq != seq {
			t.Errorf("entry %d is given as %d", e.Seq, seq)
		}
		entries = append(entries, e)
		return err
	}))
	return entries
}

// Whoever revokes the certificates of the affected boards, or reports them, needs their serial numbers and what
// became of them. So the answer has all entries of the Runs, and what happened to their certificates later.
func TestTheAnswerHasTheCertificatesOfTheBoards(t *testing.T) {
	b := newTestRegistry(t)
	asked, other, again := newRun([16]byte{1}, "hw-1"), newRun([16]byte{2}, "hw-2"), newRun([16]byte{1}, "hw-1")
	asked.Operator, other.Operator, again.Operator, again.Rework = "ann", "bob", "bob", "flash replaced"
	for _, run := range []*station.Run{asked, other, again} {
		b.must(b.Admit(t.Context(), run))
		b.enrol(run)
	}

	var types []string
	for _, e := range b.entriesOf(t, Question{Operator: asked.Operator}) {
		if e.Board == nil || e.Board.ID != asked.Identity.ID.String() {
			t.Errorf("entry %d, %s, is about another board", e.Seq, e.Type)
		}
		types = append(types, e.Type)
	}
	for _, want := range []string{"board.admitted", "cert.issue.intent", "cert.issued", "cert.activated", "run.pass", "cert.superseded"} {
		if !slices.Contains(types, want) {
			t.Errorf("there is no %s in %v", want, types)
		}
	}
	if n := len(b.entriesOf(t, Question{Operator: "nobody"})); n > 0 {
		t.Errorf("an answer without a Run has %d entries", n)
	}
}

// A Run that delivers a certificate that an earlier Run had signed has no intent of its own.
func TestTheAnswerHasTheIntentOfAnEarlierRun(t *testing.T) {
	b := newTestRegistry(t)
	first := newRun([16]byte{1}, "hw-1")
	b.must(b.Admit(t.Context(), first))
	in := intent(first)
	b.must(b.intends(in))
	b.must(b.Issued(t.Context(), in.Serial, []byte("certificate")))
	first.Ending, first.Reason = station.Fault, "link-lost"
	b.must(b.closeRun(t.Context(), first))
	second := newRun([16]byte{1}, "hw-1")
	second.Operator = "bob"
	b.must(b.Admit(t.Context(), second))
	second.Certificate = certificateFor(in.Serial, []byte("certificate"))
	b.must(b.Delivered(t.Context(), proven(second)))
	b.must(b.Activate(t.Context(), second))

	entries := b.entriesOf(t, Question{Operator: "bob"})
	if !slices.ContainsFunc(entries, func(e audit.Entry) bool { return e.Type == "cert.issue.intent" }) {
		t.Errorf("the intent is not among %d entries", len(entries))
	}
}

// A row is covered only if a bundle has all that was said of its Run, its certificate and its board: also what happened after the Run.
func TestARowIsCoveredUntilSomethingHappensToItsBoard(t *testing.T) {
	for _, test := range []struct {
		name   string
		happen func(b *testRegistry, run *station.Run, serial [16]byte)
	}{
		{"", func(*testRegistry, *station.Run, [16]byte) {}},
		{"another board", func(b *testRegistry, _ *station.Run, _ [16]byte) {
			other := newRun([16]byte{2}, "hw-2")
			b.must(b.Admit(t.Context(), other))
			b.enrol(other)
		}},
		{"a revocation", func(b *testRegistry, _ *station.Run, serial [16]byte) {
			b.must(b.Revoke(t.Context(), serial, "keyCompromise", "ann"))
		}},
		{"a hold", func(b *testRegistry, run *station.Run, _ [16]byte) { b.holds(Which{BoardID: run.Identity.ID}) }},
		{"another Run of the board", func(b *testRegistry, _ *station.Run, _ [16]byte) {
			again := newRun([16]byte{1}, "hw-1")
			again.Operator, again.Rework = "bob", "flash replaced"
			b.must(b.Admit(t.Context(), again))
			b.enrol(again)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			run := newRun([16]byte{1}, "hw-1")
			run.Operator = "ann"
			b.must(b.Admit(t.Context(), run))
			in := b.enrol(run)
			b.must(b.Checkpoint(t.Context(), origin, b.key))
			test.happen(b, run, in.Serial)
			rows, err := b.Affected(t.Context(), Question{Operator: "ann"})
			b.must(err)
			behind, err := b.BehindCheckpoint(t.Context())
			b.must(err)
			want := test.name != "" && test.name != "another board"
			if got := behind.GoesOn(&rows[0]); got != want {
				t.Errorf("goes on: %v, want %v", got, want)
			}
			b.must(b.Checkpoint(t.Context(), origin, b.key))
			if behind, err = b.BehindCheckpoint(t.Context()); err != nil || behind.GoesOn(&rows[0]) {
				t.Errorf("behind a new checkpoint: %v", err)
			}
		})
	}
}
