package registry

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"hallmark/devices"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

// This file has the row of a certificate, and the entries that change it.

// changeStatus writes the audit entry, and then status, reason and time of the entry
// into the row.
func (w *work) changeStatus(id int64, e audit.Entry) error {
	written, err := w.append(e)
	if err != nil {
		return err
	}
	return w.exec(`UPDATE certificates SET status = ?, reason = ?, changed = ? WHERE id = ?`,
		e.Cert.Status, e.Reason, written.Time.String(), id)
}

// row has the columns of a certificate that a change of its status needs.
type row struct {
	id      int64
	serial  []byte
	boardID devices.BoardID
	purpose devices.Purpose
	run     string
	order   sql.NullString
	status  string
	reason  string
	sha256  []byte
}

const rowColumns = `SELECT id, serial, board_id, purpose, run, work_order, status, reason, sha256 FROM certificates `

func (r *row) into() []any {
	return []any{&r.id, &r.serial, board(&r.boardID), purpose(&r.purpose), &r.run, &r.order, &r.status, &r.reason, &r.sha256}
}

// entry makes an audit entry about the certificate.
func (r *row) entry(kind string, outcome audit.Outcome) audit.Entry {
	return audit.Entry{
		Actor: audit.Itself(), Category: audit.CategoryIssuance, Type: kind, Outcome: outcome,
		Board: &audit.Board{ID: r.boardID.String()},
		Cert:  &audit.Cert{Serial: hex.EncodeToString(r.serial), Purpose: r.purpose.String(), SHA256: hex.EncodeToString(r.sha256)},
		Run:   &audit.Run{ID: r.run},
	}
}

func (w *work) bySerial(serial [16]byte) (in row, err error) {
	err = w.row(rowColumns+`WHERE serial = ?`, []any{serial[:]}, in.into()...)
	return in, err
}

func (w *work) openIntent(serial [16]byte) (row, error) {
	in, err := w.bySerial(serial)
	if errors.Is(err, sql.ErrNoRows) || err == nil && in.status != "intended" {
		return row{}, fmt.Errorf("%w: %x", ErrNoIntent, serial)
	}
	return in, err
}

// intentEntry makes the audit entry of an intent. It has the value of each column that
// insertIntent writes, so that VerifyAudit can compare the two.
func intentEntry(in issuance.Intent, kind string, outcome audit.Outcome, reason string) audit.Entry {
	return audit.Entry{
		Actor: audit.Itself(), Category: audit.CategoryIssuance, Type: kind, Outcome: outcome, Reason: reason,
		Board: &audit.Board{ID: in.BoardID.String()},
		Run:   &audit.Run{ID: in.Run},
		Cert: &audit.Cert{
			Serial: hex.EncodeToString(in.Serial[:]), Purpose: in.Purpose.String(), Algorithm: otherAlgorithm(in.Algorithm), Rework: in.Rework,
			SPKISHA256: hex.EncodeToString(in.SPKISHA256[:]), TBSSHA256: hex.EncodeToString(in.TBSSHA256[:]),
			CSRSHA256: hex.EncodeToString(in.CSRSHA256[:]), Issuer: hex.EncodeToString(in.IssuerSHA256[:]),
			Profile: in.Profile, ProfileSHA256: hex.EncodeToString(in.ProfileSHA256[:]),
			NotBefore: stamp(in.NotBefore), NotAfter: stamp(in.NotAfter),
		},
	}
}

// otherAlgorithm is the algorithm of a key as an entry names it: entries leave the algorithm of all keys so far out.
func otherAlgorithm(name string) string {
	if name == devices.AlgorithmP256 {
		return ""
	}
	return name
}
