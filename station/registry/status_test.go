package registry

import (
	"errors"
	"strings"
	"testing"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

// status gives the status of the certificate of a Run.
func (b *testRegistry) status(run *station.Run) (status string) {
	b.t.Helper()
	serial := run.Certificate.Serial
	b.must(b.db.QueryRowContext(b.t.Context(), `SELECT status FROM certificates WHERE serial = ?`, serial[:]).Scan(&status))
	return status
}

// reworks enrols the board of a Run again.
func (b *testRegistry) reworks(run *station.Run) *station.Run {
	b.t.Helper()
	next := again(run, "rework")
	b.must(b.Admit(b.t.Context(), next))
	in := intent(next)
	in.Rework = true
	b.issueAs(next, in)
	b.must(b.Delivered(b.t.Context(), proven(next)))
	b.must(b.Activate(b.t.Context(), next))
	next.Ending = station.Pass
	b.must(b.closeRun(b.t.Context(), next))
	return next
}

// revokes revokes a selection as a person does who has seen the preview.
func (b *testRegistry) revokes(which Which, reason string) {
	b.t.Helper()
	all, err := b.Revocable(b.t.Context(), which, reason)
	b.must(err)
	number, err := b.RevokeAll(b.t.Context(), which, SeenOf(all), reason, "ann")
	if err != nil || number != len(all) {
		b.t.Fatalf("%d certificates are revoked, want %d: %v", number, len(all), err)
	}
}

// A key that others may know is no secret in any of its certificates. Another reason is about one certificate.
func TestACompromisedKeyLosesAllOfItsCertificates(t *testing.T) {
	for _, test := range []struct {
		reason, older, newer string
	}{
		{ReasonKeyCompromise, "revoked", "revoked"},
		{"superseded", "revoked", "active"},
	} {
		b := newTestRegistry(t)
		older := b.run()
		b.enrol(older)
		newer := b.reworks(older)
		b.revokes(Which{Serial: older.Certificate.Serial}, test.reason)
		if got := b.status(older); got != test.older {
			t.Errorf("%s: the certificate that was named is %s, want %s", test.reason, got, test.older)
		}
		if got := b.status(newer); got != test.newer {
			t.Errorf("%s: the other certificate of the key is %s, want %s", test.reason, got, test.newer)
		}
		b.verify()
	}
}

// A board was revoked for another reason before it came to light that others know its key.
func TestARevokedKeyBecomesCompromised(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.enrol(run)
	serial := run.Certificate.Serial
	row := func() (status, reason, changed string) {
		b.must(b.db.QueryRowContext(t.Context(), `SELECT status, reason, changed FROM certificates WHERE serial = ?`, serial[:]).Scan(&status, &reason, &changed))
		return status, reason, changed
	}
	b.revokes(Which{Serial: serial}, "superseded")
	_, _, first := row()
	b.revokes(Which{BoardID: run.Identity.ID}, ReasonKeyCompromise)
	if status, reason, changed := row(); status != "revoked" || reason != ReasonKeyCompromise || changed != first {
		t.Errorf("the certificate is %s for %s since %s, and was revoked at %s", status, reason, changed, first)
	}
	next := again(run, "rework")
	b.must(b.Admit(t.Context(), next))
	in := intent(next)
	in.Rework = true
	if err := b.intends(in); !errors.Is(err, issuance.ErrKeyCompromised) {
		t.Errorf("a rework: got %v, want %v", err, issuance.ErrKeyCompromised)
	}
	size := b.AuditSize()
	for _, reason := range []string{ReasonKeyCompromise, "superseded"} {
		b.must(b.Revoke(t.Context(), serial, reason, "ann"))
	}
	if _, reason, _ := row(); reason != ReasonKeyCompromise || b.AuditSize() != size {
		t.Errorf("a further revocation changed the reason to %s, or the log to %d entries from %d", reason, b.AuditSize(), size)
	}
	b.verify()
}

// Only keyCompromise takes the place of another reason.
func TestAForgedReasonOfARevocationIsRefused(t *testing.T) {
	for _, test := range []struct{ before, after string }{{ReasonKeyCompromise, "superseded"}, {"superseded", "unspecified"}, {ReasonKeyCompromise, ReasonKeyCompromise}} {
		replay := newReplay()
		replay.certificates["ab"] = make(fields, certHash+1)
		replay.certificates["ab"][certStatus], replay.certificates["ab"][certReason] = "revoked", test.before
		e := audit.Entry{Type: "cert.revoked", Reason: test.after, Cert: &audit.Cert{Serial: "ab", Status: "revoked"}}
		if err := replay.apply(e); !errors.Is(err, ErrDiffers) {
			t.Errorf("%s after %s: got %v", test.after, test.before, err)
		}
	}
}

// The HSM signs while a person revokes for a compromised key: the new certificate is revoked, too.
func TestACertificateThatIsSignedForACompromisedKeyIsRevoked(t *testing.T) {
	b := newTestRegistry(t)
	older := b.run()
	b.enrol(older)
	next := again(older, "rework")
	b.must(b.Admit(t.Context(), next))
	in := intent(next)
	in.Rework = true
	b.must(b.intends(in))
	b.revokes(Which{BoardID: older.Identity.ID}, ReasonKeyCompromise)
	der := []byte("certificate")
	b.must(b.Issued(t.Context(), in.Serial, der))
	next.Certificate = certificateFor(in.Serial, der)
	if got := b.status(next); got != "revoked" {
		t.Errorf("the certificate is %s, want revoked", got)
	}
	if err := b.Delivered(t.Context(), proven(next)); !errors.Is(err, issuance.ErrKeyCompromised) {
		t.Errorf("delivering: got %v, want %v", err, issuance.ErrKeyCompromised)
	}
	b.verify()
}

// A transaction fails in the middle of a lot, for example because the disk is full or the minute of a request has passed.
func TestALotThatIsRevokedInPartSaysHowFarItCame(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.enrol(run)
	b.must(b.write(t.Context(), func(w *work) error {
		return w.exec(`CREATE TEMP TRIGGER refuses BEFORE UPDATE OF status ON certificates BEGIN SELECT RAISE(ABORT, 'refused'); END`)
	}))
	which := Which{BoardID: run.Identity.ID}
	all, err := b.Revocable(t.Context(), which, "superseded")
	b.must(err)
	_, err = b.RevokeAll(t.Context(), which, SeenOf(all), "superseded", "ann")
	if !refusedByRow(err) || !strings.Contains(err.Error(), "0 of 1 are revoked; the same command revokes the rest") {
		t.Errorf("got %v", err)
	}
	if got := b.status(run); got != "active" {
		t.Errorf("the certificate is %s", got)
	}
}

// One certificate of the selection was revoked and another one came since the preview: their number is the same.
func TestAnotherSelectionOfTheSameSizeIsNotRevoked(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 3})
	first, second := b.enrolsFor("WO-1"), b.enrolsFor("WO-1")
	which := Which{Order: "WO-1"}
	all, err := b.Revocable(t.Context(), which, "superseded")
	b.must(err)
	b.must(b.Revoke(t.Context(), first.Certificate.Serial, "superseded", "ann"))
	third := b.enrolsFor("WO-1")
	if _, err := b.RevokeAll(t.Context(), which, SeenOf(all), "superseded", "ann"); !errors.Is(err, ErrOtherSelection) {
		t.Errorf("got %v, want %v", err, ErrOtherSelection)
	}
	if second, third := b.status(second), b.status(third); second != "active" || third != "active" {
		t.Errorf("the certificates are %s and %s, want active", second, third)
	}
	b.verify()
}
