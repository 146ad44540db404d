package registry

import (
	"crypto/sha256"
	"errors"
	"testing"

	"hallmark/station"
	"hallmark/station/issuance"
)

// A certificate that a person revokes while its Run is under way is refused with the reason of the board's next Run, at each
// step, and the Run can be closed as a Reject.
func TestACertificateThatIsRevokedInTheMiddleOfItsRunIsRefusedAsRevoked(t *testing.T) {
	delivered := func(b *testRegistry, run *station.Run) { b.issue(run); b.must(b.Delivered(t.Context(), proven(run))) }
	active := func(b *testRegistry, run *station.Run) { delivered(b, run); b.must(b.Activate(t.Context(), run)) }
	for _, test := range []struct {
		name   string
		before func(b *testRegistry, run *station.Run)
		call   func(b *testRegistry, run *station.Run) error
	}{
		{"delivery", func(b *testRegistry, run *station.Run) { b.issue(run) }, func(b *testRegistry, run *station.Run) error { return b.Delivered(t.Context(), proven(run)) }},
		{"activation", delivered, func(b *testRegistry, run *station.Run) error { return b.Activate(t.Context(), run) }},
		{"seal", active, func(b *testRegistry, run *station.Run) error { return b.SealIntended(t.Context(), run) }},
		{"lock", active, func(b *testRegistry, run *station.Run) error {
			return b.LockIntended(t.Context(), locks(run, station.LockOpen))
		}},
		{"Pass", active, func(b *testRegistry, run *station.Run) error {
			run.Ending = station.Pass
			_, err := b.Close(t.Context(), run)
			return err
		}},
	} {
		for why, want := range map[string]error{"superseded": issuance.ErrRevoked, ReasonKeyCompromise: issuance.ErrKeyCompromised} {
			t.Run(test.name+" after "+why, func(t *testing.T) {
				b := newTestRegistry(t)
				run := b.run()
				test.before(b, run)
				b.revokes(Which{BoardID: run.Identity.ID}, why)
				if err := test.call(b, run); !errors.Is(err, want) || errors.Is(err, ErrWrongStatus) {
					t.Errorf("got %v, want %v", err, want)
				}
				run.Ending, run.Reason = station.Reject, issuance.ErrRevoked.Word()
				if outcome, err := b.Close(t.Context(), run); err != nil || outcome != "" {
					t.Errorf("closing as a Reject: %q, %v", outcome, err)
				}
				b.verify()
				b.reopen()
				b.verify()
			})
		}
	}
}

// A rework for a new profile ended between signature and handshake. A Run that is no rework must not deliver its certificate:
// it could not be activated beside the active one (I3).
func TestACertificateOfAReworkIsDeliveredOnlyByARework(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.enrol(run)
	byNewProfile := func(rework string) issuance.Intent {
		next := again(run, rework)
		b.must(b.Admit(t.Context(), next))
		in := intent(next)
		in.ProfileSHA256 = sha256.Sum256([]byte("new profile"))
		return in
	}
	in := byNewProfile("new profile")
	b.must(b.intends(in))
	b.must(b.Issued(t.Context(), in.Serial, []byte("new certificate")))
	if stored, err := b.Intend(t.Context(), byNewProfile("")); stored != nil || !errors.Is(err, issuance.ErrAlreadyActive) {
		t.Errorf("without a rework: %q, %v", stored, err)
	}
	if stored, err := b.Intend(t.Context(), byNewProfile("new profile")); string(stored) != "new certificate" {
		t.Errorf("with a rework: %q, %v", stored, err)
	}
	b.verify()
}
