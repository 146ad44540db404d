package sweep_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"fmt"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/registry"
)

// check is I1 to I11 on what is on disk, while no station runs.
func (w *world) check(last *station.Run) {
	w.t.Helper()
	db := w.open()
	defer db.Close()
	w.none(db, "I2: serial numbers of another form than 16 octets that begin with the bits 01",
		`SELECT hex(serial) FROM certificates WHERE length(serial) != 16 OR substr(hex(serial), 1, 1) NOT IN ('4', '5', '6', '7')`)
	w.none(db, "I2: serial numbers twice", `SELECT hex(serial) FROM certificates GROUP BY serial HAVING count(*) > 1`)
	w.none(db, "I3: boards with two active certificates",
		`SELECT board_id FROM certificates WHERE status = 'active' GROUP BY board_id, purpose HAVING count(*) > 1`)
	w.none(db, "I4: keys of two boards, or boards with two keys",
		`SELECT a.board_id FROM certificates a JOIN certificates b WHERE a.purpose = b.purpose AND (a.board_id = b.board_id) != (a.spki_sha256 = b.spki_sha256)`)
	w.none(db, "I10: intents without a result", `SELECT hex(serial) FROM certificates WHERE status = 'intended'`)
	w.none(db, "lost certificates", `SELECT hex(serial) FROM certificates WHERE der IS NULL AND status NOT IN ('unresolved', 'failed')`)
	w.none(db, "Runs without an ending", `SELECT id FROM runs WHERE ending IS NULL`)
	w.none(db, "I6: passed Runs of a board without an active certificate",
		`SELECT id FROM runs WHERE ending = 'pass' AND board_id NOT IN (SELECT board_id FROM certificates WHERE status = 'active')`)
	w.everySignatureIsAccountedFor(db)
	w.everyCertificateWasIntended()
	w.theBoardHoldsTheActiveOne(db, last)
}

// none demands that a query finds nothing.
func (w *world) none(db *sql.DB, what, query string) {
	w.t.Helper()
	for _, found := range w.texts(db, query) {
		w.t.Errorf("%s: %s", what, found)
	}
}

func (w *world) texts(db *sql.DB, query string, args ...any) (texts []string) {
	w.t.Helper()
	rows := must(db.Query(query, args...))(w.t)
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			w.t.Fatal(err)
		}
		texts = append(texts, text)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return texts
}

// everySignatureIsAccountedFor compares the HSM's count with the registry: each
// signature has a certificate, or a serial number that is treated as revoked (I10).
func (w *world) everySignatureIsAccountedFor(db *sql.DB) {
	w.t.Helper()
	possible := len(w.texts(db, `SELECT hex(serial) FROM certificates WHERE der IS NOT NULL OR status = 'unresolved'`))
	certain := len(w.texts(db, `SELECT hex(serial) FROM certificates WHERE der IS NOT NULL`))
	if w.signatures > possible || w.signatures < certain {
		w.t.Errorf("the HSM signed %d times; the registry knows %d certificates and %d possible ones", w.signatures, certain, possible)
	}
}

// everyCertificateWasIntended is I1 in the evidence, and I11: the log verifies.
func (w *world) everyCertificateWasIntended() {
	w.t.Helper()
	db := w.open()
	defer db.Close()
	intended := map[string]audit.Cert{}
	_, err := audit.VerifyEach(context.Background(), db, w.auditKeyText(), func(e audit.Entry) error {
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
	})
	if err != nil {
		w.t.Error(err)
	}
	for _, serial := range w.texts(db, `SELECT lower(hex(serial)) FROM certificates`) {
		if intended[serial].Serial == "" {
			w.t.Errorf("I1: certificate %s has no intent in the audit log", serial)
		}
	}
}

// theBoardHoldsTheActiveOne is I6: flash, registry, handshake and CSR agree.
func (w *world) theBoardHoldsTheActiveOne(db *sql.DB, last *station.Run) {
	w.t.Helper()
	held := w.flash()
	sum := sha256.Sum256(held)
	active := w.texts(db, `SELECT lower(hex(sha256)) FROM certificates WHERE status = 'active'`)
	if len(active) != 1 || active[0] != hex.EncodeToString(sum[:]) {
		w.t.Errorf("I6: the board holds %x, active in the registry is %v", sum, active)
	}
	if last.Ending != station.Pass {
		return
	}
	if last.Handshake.CertificateSHA256 != sum || *last.ReadBack != sum || *last.Boot == last.Identity.Boot {
		w.t.Errorf("I6: handshake %x, read back %x, board %x, boot %x then %x",
			last.Handshake.CertificateSHA256, *last.ReadBack, sum, last.Identity.Boot, *last.Boot)
	}
	// crypto/x509 cannot read the nonce's object identifier, so the key is looked for as octets.
	if certificate := must(x509.ParseCertificate(held))(w.t); !bytes.Contains(last.CSR, certificate.RawSubjectPublicKeyInfo) {
		w.t.Error("I6: the certificate is for another key than the CSR")
	}
}

// noOpenIntent is I10 right after a start: what was open is unresolved, and
// the verifier will refuse it.
func (w *world) noOpenIntent(r *registry.Registry) {
	w.t.Helper()
	db := w.open()
	defer db.Close()
	w.none(db, "Runs that a start left open", `SELECT id FROM runs WHERE ending IS NULL`)
	w.none(db, "I10: intents that a start left open", `SELECT hex(serial) FROM certificates WHERE status = 'intended'`)
	for _, text := range w.texts(db, `SELECT hex(serial) FROM certificates WHERE status = 'unresolved'`) {
		var serial [16]byte
		must(hex.Decode(serial[:], []byte(text)))(w.t)
		if record, err := r.Lookup(w.t.Context(), serial); err != nil || record.Status != station.StatusUnresolved {
			w.t.Errorf("I10: the registry says of %s: %+v, %v", text, record, err)
		}
	}
}

// notYetActive is I7 on the death mask: nothing is active that was not recorded.
func (w *world) notYetActive(p *plug, before int) {
	w.t.Helper()
	if active := w.active(); !p.happened("Registry.Activate") && active != before {
		w.t.Errorf("I7: %d active certificates before record, there were %d", active, before)
	}
}

// active counts active certificates.
func (w *world) active() int {
	w.t.Helper()
	db := w.open()
	defer db.Close()
	return len(w.texts(db, `SELECT hex(serial) FROM certificates WHERE status = 'active'`))
}
