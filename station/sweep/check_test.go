package sweep_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"fmt"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/registry"
)

// check checks the invariants I1 to I11 in the files, while no station runs.
func (w *environment) check(last *station.Run) {
	w.t.Helper()
	db := fixtures.OpenDatabase(w.t, w.database())
	defer db.Close()
	fixtures.CheckInvariants(w.t, db)
	w.everySignatureIsAccountedFor(db)
	w.everyCertificateWasIntended()
	w.theBoardHoldsTheActiveOne(db, last)
	w.theLockIsOnRecord()
}

// everySignatureIsAccountedFor compares the number of signatures of the HSM with the registry.
// Each signature has a certificate, or a serial number that counts as revoked (I10).
func (w *environment) everySignatureIsAccountedFor(db *sql.DB) {
	w.t.Helper()
	possible := len(fixtures.Texts(w.t, db, `SELECT hex(serial) FROM certificates WHERE der IS NOT NULL OR status = 'unresolved'`))
	certain := len(fixtures.Texts(w.t, db, `SELECT hex(serial) FROM certificates WHERE der IS NOT NULL`))
	if w.signatures > possible || w.signatures < certain {
		w.t.Errorf("the HSM signed %d times; the registry knows %d certificates and %d possible ones", w.signatures, certain, possible)
	}
}

// everyCertificateWasIntended checks in the audit log that each certificate has an earlier
// intent (I1), and that the log verifies (I11).
func (w *environment) everyCertificateWasIntended() {
	w.t.Helper()
	db := fixtures.OpenDatabase(w.t, w.database())
	defer db.Close()
	intended := map[string]audit.Cert{}
	_, err := audit.Verify(context.Background(), db, audit.Verification{Key: w.AuditKeyText(w.t), Each: func(e audit.Entry) error {
		switch {
		case e.Type == "cert.issue.intent":
			if e.Cert == nil || e.Cert.Serial == "" || e.Cert.TBSSHA256 == "" || e.Cert.Profile == "" {
				return fmt.Errorf("I1: entry %d does not name serial number, TBS digest and profile", e.Seq)
			}
			intended[e.Cert.Serial] = *e.Cert
		case e.Type == "cert.issued" && intended[e.Cert.Serial].Serial == "":
			return fmt.Errorf("I1: entry %d issues %s without an intent before it", e.Seq, e.Cert.Serial)
		}
		return nil
	}})
	if err != nil {
		w.t.Error(err)
	}
	for _, serial := range fixtures.Texts(w.t, db, `SELECT lower(hex(serial)) FROM certificates`) {
		if intended[serial].Serial == "" {
			w.t.Errorf("I1: certificate %s has no intent in the audit log", serial)
		}
	}
}

// theBoardHoldsTheActiveOne checks that flash, registry, handshake and CSR agree (I6).
func (w *environment) theBoardHoldsTheActiveOne(db *sql.DB, last *station.Run) {
	w.t.Helper()
	held := w.flash()
	sum := sha256.Sum256(held)
	shown := sum
	w.isActive(db, w.purpose, sum)
	if w.purpose != devices.PurposeTLS {
		shown = sha256.Sum256(w.flashOf(devices.PurposeTLS))
		w.isActive(db, devices.PurposeTLS, shown)
	}
	if last.Ending != station.Pass {
		return
	}
	if last.Handshake.CertificateSHA256 != shown || *last.ReadBack != sum || *last.Boot == last.Identity.Boot {
		w.t.Errorf("I6: handshake %x, read back %x, board %x, boot %x then %x",
			last.Handshake.CertificateSHA256, *last.ReadBack, sum, last.Identity.Boot, *last.Boot)
	}
	// crypto/x509 cannot parse a CSR with the nonce attribute, so the test searches the octets of the key.
	if certificate := must(x509.ParseCertificate(held))(w.t); !bytes.Contains(last.CSR, certificate.RawSubjectPublicKeyInfo) {
		w.t.Error("I6: the certificate is for another key than the CSR")
	}
}

// isActive checks that this certificate is the only active certificate for the purpose.
func (w *environment) isActive(db *sql.DB, purpose devices.Purpose, sum [sha256.Size]byte) {
	w.t.Helper()
	active := fixtures.Texts(w.t, db, `SELECT lower(hex(sha256)) FROM certificates WHERE status = 'active' AND purpose = ?`, string(purpose))
	if len(active) != 1 || active[0] != hex.EncodeToString(sum[:]) {
		w.t.Errorf("I6: the board holds %x for %s, active in the registry is %v", sum, purpose, active)
	}
}

// noOpenIntent checks I10 right after a start: no intent is open any more. The start has made
// each open intent unresolved, and the verifier refuses unresolved serial numbers.
func (w *environment) noOpenIntent(r *registry.Registry) {
	w.t.Helper()
	db := fixtures.OpenDatabase(w.t, w.database())
	defer db.Close()
	fixtures.None(w.t, db, "Runs that a start left open", `SELECT id FROM runs WHERE ending IS NULL`)
	fixtures.None(w.t, db, "I10: intents that a start left open", `SELECT hex(serial) FROM certificates WHERE status = 'intended'`)
	for _, text := range fixtures.Texts(w.t, db, `SELECT hex(serial) FROM certificates WHERE status = 'unresolved'`) {
		var serial [16]byte
		must(hex.Decode(serial[:], []byte(text)))(w.t)
		if record, err := r.Lookup(w.t.Context(), serial); err != nil || record.Status != station.StatusUnresolved {
			w.t.Errorf("I10: the registry says of %s: %+v, %v", text, record, err)
		}
	}
}

// notYetActive checks I7 after a crash: a certificate is active only if the step record was done.
func (w *environment) notYetActive(p *crashPoint, before int) {
	w.t.Helper()
	if active := w.active(); !p.happened("Registry.Activate") && active != before {
		w.t.Errorf("I7: %d active certificates before record, there were %d", active, before)
	}
}

// active counts the active certificates.
func (w *environment) active() int {
	w.t.Helper()
	db := fixtures.OpenDatabase(w.t, w.database())
	defer db.Close()
	return len(fixtures.Texts(w.t, db, `SELECT hex(serial) FROM certificates WHERE status = 'active'`))
}
