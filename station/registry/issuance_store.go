package registry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"hallmark/devices"
	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// This file has the methods of issuance.Store.

// Intend writes the intent, which ties board, key and serial number together before
// anything is signed (I1). If a stored certificate answers the request, Intend writes
// nothing and returns that certificate (I9).
func (r *Registry) Intend(ctx context.Context, in issuance.Intent) ([]byte, error) {
	var stored []byte
	err := r.write(ctx, func(w *work) (err error) {
		stored, err = w.intend(in, r.config.Now())
		if err == nil || ofDatabase(err) {
			return err
		}
		return &refusal{err, intentEntry(in, "cert.issue.denied", audit.Denied, wordOf(err))}
	})
	if err != nil {
		return nil, err // stored must not be read: after ErrUnknownOutcome the call may still run
	}
	return stored, nil
}

func (w *work) intend(in issuance.Intent, now time.Time) (stored []byte, err error) {
	// 1. The Run is open, and is for this board and this purpose.
	order, err := w.openRunFor(in)
	if err != nil {
		return nil, err
	}
	// 2. The key belongs to this board (I4).
	if err := w.ownKey(in); err != nil {
		return nil, err
	}
	if err := w.keepsCertificates(in); err != nil {
		return nil, err
	}
	// 3. The work order allows the profile.
	if err := w.profileAllowed(order, in); err != nil {
		return nil, err
	}
	// 4. A stored certificate answers the request (I9), or else a new one is allowed (I3).
	if stored, err = w.mayIssue(in, now); err != nil || stored != nil {
		return stored, err
	}
	return nil, w.writeIntent(in, order)
}

func (w *work) writeIntent(in issuance.Intent, order sql.NullString) error {
	// 1. The work order has room for one more board.
	counted, err := w.count(order, in.BoardID)
	if err != nil {
		return err
	}
	// 2. The audit entry, then the row that follows from it.
	e := intentEntry(in, "cert.issue.intent", audit.Success, "")
	e.WorkOrder = counted
	written, err := w.append(e)
	if err != nil {
		return err
	}
	return w.insertIntent(in, order, written.Time.String())
}

// openRun checks that the Run is open and for this board, and gives its work order.
func (w *work) openRun(run string, boardID devices.BoardID) (order sql.NullString, err error) {
	open, err := w.openRunOf(run, boardID)
	return open.order, err
}

// openRunInUse checks in addition that the board was not scrapped or put on hold while the Run was open.
func (w *work) openRunInUse(run string, boardID devices.BoardID) (openRun, error) {
	open, err := w.openRunOf(run, boardID)
	if err == nil && open.scrapped.String != "" {
		err = fmt.Errorf("%w: %s at %s", ErrScrapped, boardID, open.scrapped.String)
	}
	if err == nil {
		err = w.notHeld(boardID)
	}
	return open, err
}

// openRun is what the registry has about an open Run and its board.
type openRun struct {
	order, scrapped sql.NullString
	purpose         devices.Purpose
}

// openRunQuery looks the board up in a subquery: ” says that it is not scrapped, NULL that it has no row. At a join SQLite weighs
// plans by the values of the parameters, and so prepares the statement again at each call (sqlite3_reoptimize in its source).
const openRunQuery = `SELECT work_order, purpose, (SELECT coalesce(scrapped, '') FROM boards WHERE id = board_id)
	FROM runs WHERE id = ? AND board_id = ? AND ending IS NULL`

func (w *work) openRunOf(run string, boardID devices.BoardID) (open openRun, err error) {
	err = w.row(openRunQuery, []any{run, boardID.String()}, &open.order, purpose(&open.purpose), &open.scrapped)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !open.scrapped.Valid {
		err = fmt.Errorf("%w: Run %s, board %s", ErrUnknownRun, run, boardID)
	}
	return open, err
}

// openRunFor checks in addition that the Run was admitted for the intent's purpose.
func (w *work) openRunFor(in issuance.Intent) (order sql.NullString, err error) {
	open, err := w.openRunInUse(in.Run, in.BoardID)
	if err == nil && open.purpose != in.Purpose {
		err = fmt.Errorf("%w: Run %s is for %s, not %s", ErrUnknownRun, in.Run, open.purpose, in.Purpose)
	}
	return open.order, err
}

func (w *work) ownKey(in issuance.Intent) error {
	inserted, err := w.change(`INSERT INTO keys (spki_sha256, board_id, purpose, algorithm) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		in.SPKISHA256[:], in.BoardID.String(), in.Purpose.String(), cmp.Or(in.Algorithm, devices.AlgorithmP256))
	if err != nil {
		return err
	}
	if inserted == 1 {
		return w.isFirstKey(in)
	}
	var same int
	err = w.row(`SELECT count(*) FROM keys WHERE spki_sha256 = ? AND board_id = ? AND purpose = ?`,
		[]any{in.SPKISHA256[:], in.BoardID.String(), in.Purpose.String()}, &same)
	if err != nil || same == 1 {
		return err
	}
	return fmt.Errorf("%w: key %x, board %s", issuance.ErrKeyElsewhere, in.SPKISHA256, in.BoardID)
}

// isFirstKey refuses a new key of a board that has certificates for the purpose: the row of their key
// was deleted (I4).
func (w *work) isFirstKey(in issuance.Intent) error {
	var n int
	err := w.row(`SELECT count(*) FROM certificates WHERE board_id = ? AND purpose = ?`, []any{in.BoardID.String(), in.Purpose.String()}, &n)
	if err == nil && n > 0 {
		err = fmt.Errorf("%w: board %s has %s for purpose %s and no key; restore registry.db from its backup", ErrDiffers, in.BoardID,
			reason.Count(n, "certificate", "certificates"), in.Purpose)
	}
	return err
}

// keepsCertificates refuses a board that lost a certificate which was active: the station would sign a
// second one beside it (I3). Each Pass with a new certificate has a certificate of its own.
func (w *work) keepsCertificates(in issuance.Intent) error {
	var activated, passed int
	err := w.row(`SELECT count(*) FILTER (WHERE status IN ('active', 'superseded', 'revoked', 'scrapped')),
		(SELECT count(*) FROM runs WHERE board_id = ?1 AND purpose = ?2 AND outcome IN ('issued', 'reworked'))
		FROM certificates WHERE board_id = ?1 AND purpose = ?2`, []any{in.BoardID.String(), in.Purpose.String()}, &activated, &passed)
	if err == nil && passed > activated {
		err = fmt.Errorf("%w: board %s passed with %s for purpose %s, and %d of them are there; restore registry.db from its backup", ErrDiffers, in.BoardID,
			reason.Count(passed, "new certificate", "new certificates"), in.Purpose, activated)
	}
	return err
}

// standing is what the registry has for one request.
type standing struct {
	stored                []byte // the certificate that answers the request; nil: none does
	open, active, revoked int    // how many certificates of the board and purpose have this status
	current               int    // how many active ones answer the request, unless it is a rework
	compromised           int    // how many were revoked because their key, which is the key of the request, is known to others
}

// standingQuery looks at each certificate of the board and purpose once. One that
// answers the request gets a rank: the active certificate the highest, then the newest;
// at a rework (?6) the active certificate is no answer. der comes from the row with the
// highest rank (https://sqlite.org/lang_select.html#bareagg), and is NULL when no row has
// a rank. An ORDER BY would cost a temporary table for each request.
const standingQuery = `SELECT iif(max(CASE WHEN
		spki_sha256 = ?3 AND profile_sha256 = ?4 AND issuer_sha256 = ?5
		AND (status IN ('issued', 'delivered') OR status = 'active' AND NOT ?6) AND not_after > ?7
		THEN (status = 'active') << 62 | id END) IS NULL, NULL, der),
	count(*) FILTER (WHERE status = 'intended'),
	count(*) FILTER (WHERE status = 'active'),
	count(*) FILTER (WHERE status = 'active' AND spki_sha256 = ?3 AND profile_sha256 = ?4 AND issuer_sha256 = ?5 AND not_after > ?7),
	count(*) FILTER (WHERE status = 'revoked' AND der IS NOT NULL),
	count(*) FILTER (WHERE status = 'revoked' AND reason = '` + ReasonKeyCompromise + `' AND spki_sha256 = ?3)
	FROM certificates WHERE board_id = ?1 AND purpose = ?2`

func (w *work) standingFor(in issuance.Intent, now time.Time) (s standing, err error) {
	err = w.row(standingQuery, []any{in.BoardID.String(), in.Purpose.String(), in.SPKISHA256[:], in.ProfileSHA256[:],
		in.IssuerSHA256[:], in.Rework, stamp(now)}, &s.stored, &s.open, &s.active, &s.current, &s.revoked, &s.compromised)
	return s, err
}

// mayIssue gives the stored certificate that answers the request, or nil when a new
// certificate may be signed. A rework that ended early has left a certificate beside the
// active one: only a rework delivers it, because only a rework replaces the active one (I3).
func (w *work) mayIssue(in issuance.Intent, now time.Time) (stored []byte, err error) {
	s, err := w.standingFor(in, now)
	switch {
	case err != nil:
		return nil, err
	case s.compromised > 0:
		return nil, fmt.Errorf("%w: %s", issuance.ErrKeyCompromised, in.BoardID)
	case s.stored != nil && (in.Rework || s.active == s.current):
		return s.stored, nil
	case s.open > 0:
		return nil, fmt.Errorf("%w: %s", issuance.ErrInFlight, in.BoardID)
	case s.active > 0 && !in.Rework:
		return nil, fmt.Errorf("%w: %s", issuance.ErrAlreadyActive, in.BoardID)
	case s.active == 0 && s.revoked > 0 && !in.Rework:
		return nil, fmt.Errorf("%w: %s", issuance.ErrRevoked, in.BoardID)
	case in.Purpose != devices.PurposeTLS:
		return nil, w.hasTLS(in.BoardID)
	}
	return nil, nil
}

// hasTLS refuses a board without an active certificate for its TLS key. The TLS key
// proves in the handshake which board it is (I6), so it is certified first.
func (w *work) hasTLS(boardID devices.BoardID) error {
	var tls row
	err := w.row(rowColumns+`WHERE board_id = ? AND purpose = 'tls' ORDER BY status = 'active' DESC, id DESC LIMIT 1`, []any{boardID.String()}, tls.into()...)
	if err := attests(&tls, err); err != nil {
		return fmt.Errorf("%w: %s", err, boardID)
	}
	return nil
}

func (w *work) insertIntent(in issuance.Intent, order sql.NullString, now string) error {
	_, err := w.change(`INSERT INTO certificates (serial, board_id, purpose, spki_sha256, issuer_sha256, profile, profile_sha256,
		tbs_sha256, csr_sha256, not_before, not_after, rework, run, work_order, intended, changed, status)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'intended')`,
		in.Serial[:], in.BoardID.String(), in.Purpose.String(), in.SPKISHA256[:], in.IssuerSHA256[:], in.Profile, in.ProfileSHA256[:],
		in.TBSSHA256[:], in.CSRSHA256[:], stamp(in.NotBefore), stamp(in.NotAfter), in.Rework, in.Run, order, now, now)
	if !refusedByRow(err) {
		return err
	}
	if _, taken := w.bySerial(in.Serial); taken == nil {
		return fmt.Errorf("%w: %x: %w", issuance.ErrSerialTaken, in.Serial, err)
	}
	return fmt.Errorf("writing the intent's row: %w", err)
}

// Issued stores the certificate of an open intent.
func (r *Registry) Issued(ctx context.Context, serial [16]byte, der []byte) error {
	sum := sha256.Sum256(der)
	return r.write(ctx, func(w *work) error {
		in, err := w.openIntent(serial)
		if err != nil {
			return err
		}
		e := in.entry("cert.issued", audit.Success)
		e.Cert.SHA256, e.Cert.Status = hex.EncodeToString(sum[:]), "issued"
		written, err := w.append(e)
		if err != nil {
			return err
		}
		err = w.exec(`UPDATE certificates SET status = 'issued', der = ?, sha256 = ?, changed = ? WHERE id = ?`,
			der, sum[:], written.Time.String(), in.id)
		if err != nil {
			return err
		}
		if err := w.scrapIssued(in.boardID); err != nil {
			return err
		}
		return w.revokeIssued(in)
	})
}

// revokeIssued revokes the certificate that the HSM signed while a person revoked the others of its key as compromised.
func (w *work) revokeIssued(in row) error {
	var n int
	err := w.row(`SELECT count(*) FROM certificates WHERE status = 'revoked' AND reason = ? AND board_id = ? AND purpose = ?
		AND spki_sha256 = (SELECT spki_sha256 FROM certificates WHERE id = ? AND status = 'issued')`,
		[]any{ReasonKeyCompromise, in.boardID.String(), in.purpose.String(), in.id}, &n)
	if err != nil || n == 0 {
		return err
	}
	return w.revoke([16]byte(in.serial), ReasonKeyCompromise, "", nil)
}

// Failed closes an open intent without a certificate.
func (r *Registry) Failed(ctx context.Context, serial [16]byte, cause error) error {
	return r.write(ctx, func(w *work) error {
		in, err := w.openIntent(serial)
		if err != nil {
			return err
		}
		if errors.Is(cause, issuance.ErrUnresolved) {
			return w.unresolved(in, issuance.ErrUnresolved, cause.Error())
		}
		return w.notSigned(in, cause.Error())
	})
}

// unresolved closes an intent for which the HSM may have signed (I10).
func (w *work) unresolved(in row, why *reason.Sentinel, cause string) error {
	e := in.entry("cert.issue.unresolved", audit.Unknown)
	e.Reason, e.Cert.Status, e.Details = why.Word(), "unresolved", map[string]string{"cause": text(cause)}
	return w.changeStatus(in.id, e)
}

func (w *work) notSigned(in row, cause string) error {
	e := in.entry("cert.issue.failed", audit.Failure)
	e.Reason, e.Cert.Status, e.Details = issuance.ErrNotSigned.Word(), "failed", map[string]string{"cause": text(cause)}
	var err error
	if e.WorkOrder, err = w.uncount(in); err != nil {
		return err
	}
	return w.changeStatus(in.id, e)
}

// uncount takes the board out of the work order again, unless another certificate of
// this order was signed for the board.
func (w *work) uncount(in row) (*audit.WorkOrder, error) {
	if !in.order.Valid {
		return nil, nil
	}
	err := w.exec(`UPDATE work_orders SET counted = counted - 1 WHERE id = ?1 AND NOT EXISTS
		(SELECT 1 FROM certificates WHERE board_id = ?2 AND work_order = ?1 AND status != 'failed' AND id != ?3)`,
		in.order.String, in.boardID.String(), in.id)
	if err != nil {
		return nil, err
	}
	now, err := w.orderNow(in.order.String)
	return &now.WorkOrder, err
}
