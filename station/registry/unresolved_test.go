package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"hallmark/station"
	"hallmark/station/audit"
)

// Nobody knows whether the HSM has signed. A person closes the serial number: it is on the CRL, and no longer in the list.
func TestAnUnresolvedSerialNumberIsClosedByAPerson(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 9})
	good := b.enrolsFor("WO-1")
	run := b.run()
	in := intent(run)
	b.must(b.intends(in))
	b.reopen() // closes the intent as unresolved
	which := Which{BoardID: run.Identity.ID}
	all, err := b.Unresolved(t.Context(), which)
	b.must(err)
	if len(all) != 1 || all[0].Serial != in.Serial {
		t.Fatalf("unresolved: %+v", all)
	}
	if none, err := b.Unresolved(t.Context(), Which{BoardID: good.Identity.ID}); err != nil || len(none) != 0 {
		t.Errorf("of the board that passed: %v, %v", none, err)
	}
	if _, err := b.CloseUnresolved(t.Context(), which, [sha256.Size]byte{}, "no signature", "ann"); !errors.Is(err, ErrOtherSelection) {
		t.Errorf("another preview: %v", err)
	}
	number, err := b.CloseUnresolved(t.Context(), which, SeenOf(all), "no signature in the log of the HSM", "ann")
	if err != nil || number != 1 {
		t.Fatalf("closed: %d, %v", number, err)
	}
	if all, err = b.Unresolved(t.Context(), which); err != nil || len(all) != 0 {
		t.Errorf("afterwards: %v, %v", all, err)
	}
	listed, err := b.Revoked(t.Context(), in.IssuerSHA256)
	b.must(err)
	if len(listed) != 1 || hex.EncodeToString(listed[0].SerialNumber.Bytes()) != hex.EncodeToString(in.Serial[:]) || listed[0].ReasonCode != 0 {
		t.Errorf("the CRL would have %+v", listed)
	}
	if record, err := b.Lookup(t.Context(), in.Serial); err != nil || record.Status != station.StatusRevoked {
		t.Errorf("the verifier gets %+v, %v", record, err)
	}
	found := 0
	b.must(b.EachEntry(t.Context(), b.log.Head().Size, Selection{Type: "cert.revoked"}, func(e *audit.Entry, _ []byte) error {
		if found++; e.Actor.ID != "ann" || e.Details["was"] != "unresolved" || e.Details["finding"] != "no signature in the log of the HSM" {
			t.Errorf("the entry is %+v", e)
		}
		return nil
	}))
	if found != 1 {
		t.Errorf("%d entries", found)
	}
	next := again(run, "")
	b.must(b.Admit(t.Context(), next))
	if err := b.intends(intent(next)); err != nil {
		t.Errorf("the board gets no other certificate: %v", err)
	}
	b.verify()
}
