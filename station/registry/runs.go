package registry

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// This file has the methods of station.Registry.

// typeAdmitted is the entry that begins a Run. The row of the Run names its number.
const typeAdmitted = "board.admitted"

// Admit opens the Run's record. A BoardID that the registry knows from other hardware,
// or that has an open Run in another bay, is a clone (I4): the error wraps
// station.ErrClone. Admit writes an audit entry about each refusal.
func (r *Registry) Admit(ctx context.Context, run *station.Run) error {
	if run == nil || run.Identity == nil {
		return fmt.Errorf("admitting a Run without an identity: %w", ErrUnknownBoard)
	}
	logged, err := r.searchOrder(ctx, run.Order)
	if err != nil {
		return err
	}
	return r.write(ctx, func(w *work) error {
		err := w.admit(run, logged, &r.config)
		if r.config.RequireOrder && run.Order == "" {
			err = station.ErrOrderNeeded
		}
		if err == nil || ofDatabase(err) {
			return err
		}
		e := runEntry(run, "board.refused", audit.Denied)
		e.Reason = wordOf(err)
		return &refusal{err, e}
	})
}

func (w *work) admit(run *station.Run, logged loggedOrder, rules *Config) error {
	order, err := w.orderOf(run, logged, rules)
	if err != nil {
		return err
	}
	// 1. The audit entry with what the board says of itself.
	e := runEntry(run, typeAdmitted, audit.Success)
	e.WorkOrder = order
	written, err := w.append(e)
	if err != nil {
		return err
	}
	at := written.Time.String()
	// 2. The BoardID belongs to this hardware (I4).
	if err := w.sameHardware(run, at); err != nil {
		return err
	}
	// 3. The board has no other open Run.
	if err := w.endOlder(run); err != nil {
		return err
	}
	return w.exec(`INSERT INTO runs (id, board_id, purpose, hardware_id, bay, operator, work_order, rework, begun, admitted, first_entry,
		board_type, firmware, firmware_sha256, huk) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)`,
		run.ID.String(), run.Identity.ID.String(), run.Purpose.String(), []byte(run.Identity.HardwareID), text(run.Bay), text(run.Operator),
		sql.NullString{String: run.Order, Valid: run.Order != ""}, text(run.Rework), at, written.Seq,
		e.Board.Type, e.Board.Firmware, e.Board.SHA256, e.Board.HUK)
}

// orderOf gives the work order of a Run. It refuses an order that is not open, is not signed as the station wants or is not valid
// now, and a board whose firmware is not on the order's list.
func (w *work) orderOf(run *station.Run, logged loggedOrder, rules *Config) (*audit.WorkOrder, error) {
	if run.Order == "" {
		return nil, nil
	}
	order, err := w.orderOnRecord(run.Order, logged)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%q: %w", run.Order, ErrUnknownOrder)
	}
	if err != nil {
		return nil, err
	}
	if err := order.isOpen(); err != nil {
		return nil, fmt.Errorf("%q: %w", run.Order, err)
	}
	if err := w.termsOf(run.Order).allow(run.Order, rules); err != nil {
		return nil, err
	}
	return &order.WorkOrder, w.firmwareAllowed(run)
}

func (w *work) sameHardware(run *station.Run, now string) error {
	id := run.Identity
	inserted, err := w.change(`INSERT INTO boards (id, hardware_id, type, first_seen) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		id.ID.String(), []byte(id.HardwareID), text(id.BoardType), now)
	if err != nil {
		return err
	}
	if inserted == 1 {
		return w.isNew(id.ID)
	}
	var hardware []byte
	var scrapped sql.NullString
	err = w.row(`SELECT hardware_id, scrapped FROM boards WHERE id = ?`, []any{id.ID.String()}, &hardware, &scrapped)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(hardware, []byte(id.HardwareID)):
		return fmt.Errorf("%w: %s is known on %x, now on %s", station.ErrClone, id.ID, hardware, id.HardwareID)
	case scrapped.Valid:
		return fmt.Errorf("%w: %s at %s", ErrScrapped, id.ID, scrapped.String)
	}
	return w.notHeld(id.ID)
}

// isNew refuses a board that had Runs and has no row: on other hardware it would not be known as a
// clone (I4). No row is ever deleted.
func (w *work) isNew(id devices.BoardID) error {
	var n int
	err := w.row(`SELECT count(*) FROM runs WHERE board_id = ? AND admitted`, []any{id.String()}, &n)
	if err == nil && n > 0 {
		err = fmt.Errorf("%w: board %s has %s and no row; restore registry.db from its backup", ErrDiffers, id, reason.Count(n, "Run", "Runs"))
	}
	return err
}

// endOlder closes an older Run of the same board, if one is open. An older Run in the
// same bay has ended, because a bay has one Run at a time. A Run whose Close went wrong
// has ended, too. Any other open Run means that two boards have this BoardID.
func (w *work) endOlder(run *station.Run) error {
	var older, bay string
	err := w.row(`SELECT id, bay FROM runs WHERE board_id = ? AND ending IS NULL`, []any{run.Identity.ID.String()}, &older, &bay)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case bay != text(run.Bay) && !w.isOver(older):
		return fmt.Errorf("%w: %s is in bay %q and in bay %q at once", station.ErrClone, run.Identity.ID, bay, run.Bay)
	}
	return w.interrupt(older, run.Identity.ID)
}

// interrupt closes a Run that has ended without a call of Close.
func (w *work) interrupt(run string, boardID devices.BoardID) error {
	if err := w.abandon(run, boardID); err != nil {
		return err
	}
	written, err := w.append(audit.Entry{
		Actor: audit.Itself(), Category: audit.CategoryLine, Type: "run.fault", Outcome: audit.Unknown, Reason: errInterrupted.Word(),
		Board: &audit.Board{ID: boardID.String()}, Run: &audit.Run{ID: run},
	})
	if err != nil {
		return err
	}
	return w.closeRun(run, written)
}

// abandon closes the open intent of a Run that ends, if there is one, as unresolved
// (I10).
func (w *work) abandon(run string, boardID devices.BoardID) error {
	var in row
	err := w.row(rowColumns+`WHERE status = 'intended' AND board_id = ? AND run = ?`, []any{boardID.String(), run}, in.into()...)
	if none(err) {
		return nil
	} else if err != nil {
		return err
	}
	return w.unresolved(in, errInterrupted, "the Run ended between intent and result")
}

// Delivered notes that the certificate was read back from the board. A second call, and
// a call for an active certificate, change nothing.
func (r *Registry) Delivered(ctx context.Context, run *station.Run) error {
	return r.write(ctx, func(w *work) error {
		in, err := w.certificateOf(run)
		if err != nil {
			return err
		}
		switch in.status {
		case "delivered", "active":
			return nil
		case "issued":
			if err := readBack(in, run); err != nil {
				return fmt.Errorf("delivering: %w", err)
			}
			e := in.entry("cert.delivered", audit.Success)
			e.Run.ID, e.Cert.Status = run.ID.String(), "delivered"
			return w.changeStatus(in.id, e)
		}
		return fmt.Errorf("delivering: %w", in.unfit())
	})
}

// Activate makes a delivered certificate the active one. At a rework the certificate
// that was active becomes superseded, and the mark of the board is spent, in the same
// transaction (I3, I7). A second call changes nothing.
func (r *Registry) Activate(ctx context.Context, run *station.Run) error {
	return r.write(ctx, func(w *work) error {
		in, err := w.certificateOf(run)
		if err != nil {
			return err
		}
		switch in.status {
		case "active":
			return nil
		case "delivered":
			return w.activate(in, run)
		}
		return fmt.Errorf("activating: %w", in.unfit())
	})
}

// readBack checks that the Run has read this certificate back from the board's flash (I6).
func readBack(in row, run *station.Run) error {
	if run.ReadBack == nil || !bytes.Equal(run.ReadBack[:], in.sha256) {
		return fmt.Errorf("%w: %x", ErrNotReadBack, in.serial)
	}
	return nil
}

func (w *work) activate(in row, run *station.Run) error {
	if err := errors.Join(readBack(in, run), presented(in, run)); err != nil {
		return fmt.Errorf("activating: %w", err)
	}
	if err := w.attested(in, run); err != nil {
		return err
	}
	if err := w.supersede(in, run); err != nil {
		return err
	}
	mark, err := w.spendMark(in, run)
	if err != nil {
		return err
	}
	e := in.entry("cert.activated", audit.Success)
	e.Run.ID, e.Cert.Status = run.ID.String(), "active"
	h := run.Handshake
	e.Details = map[string]string{"tls_version": hex16(h.TLSVersion), "cipher_suite": hex16(h.CipherSuite),
		"read_back_sha256": hex.EncodeToString(run.ReadBack[:]), "presented_sha256": hex.EncodeToString(h.CertificateSHA256[:])}
	if run.StoreRead != nil {
		e.Details["probe_read_sha256"] = hex.EncodeToString(run.StoreRead[:])
	}
	if h.OverNetwork {
		e.Details["over"] = "network"
	}
	if run.Receipt != nil {
		e.Details["receipt"] = base64.StdEncoding.EncodeToString(run.Receipt)
		if run.Identity != nil && run.Identity.Sealed {
			e.Details["sealed"] = "true" // as the receipt says, too
		}
	}
	if mark >= 0 {
		e.Details[detailMark] = strconv.FormatInt(mark, 10)
	}
	return w.changeStatus(in.id, e)
}

// presented checks that the board did a handshake in this Run, and for a TLS key that it
// presented this certificate (I6).
func presented(in row, run *station.Run) error {
	h := run.Handshake
	if h == nil || in.purpose == devices.PurposeTLS && !bytes.Equal(h.CertificateSHA256[:], in.sha256) {
		return fmt.Errorf("%w: %x", ErrNotPresented, in.serial)
	}
	return nil
}

// attested checks I6 for a key that does no handshake: the board must have done the
// handshake with its active TLS certificate.
func (w *work) attested(in row, run *station.Run) error {
	if in.purpose == devices.PurposeTLS {
		return nil
	}
	var tls row
	err := w.row(rowColumns+`WHERE board_id = ? AND purpose = 'tls' AND sha256 = ?`, []any{in.boardID.String(), run.Handshake.CertificateSHA256[:]}, tls.into()...)
	if err := attests(&tls, err); err != nil {
		return fmt.Errorf("activating: %w: %s", err, in.boardID)
	}
	return nil
}

// attests checks that a TLS certificate, which was read with err, is active, so that it attests another key of its board. The board
// of a revoked one is refused as at its next Run.
func attests(tls *row, err error) error {
	switch {
	case none(err):
		return issuance.ErrTLSFirst
	case err != nil:
		return err
	case tls.status == "revoked":
		return tls.unfit()
	case tls.status != "active":
		return issuance.ErrTLSFirst
	}
	return nil
}

func hex16(n uint16) string { return "0x" + strconv.FormatUint(0x10000+uint64(n), 16)[1:] }

// supersede ends the active certificate at a rework. Without a rework a second active
// certificate is refused.
func (w *work) supersede(in row, run *station.Run) error {
	var old row
	err := w.row(rowColumns+`WHERE board_id = ? AND purpose = ? AND status = 'active'`, []any{in.boardID.String(), in.purpose.String()}, old.into()...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	if run.Rework == "" {
		return fmt.Errorf("activating: %w: another certificate is active and this is no rework", ErrWrongStatus)
	}
	e := old.entry("cert.superseded", audit.Success)
	e.Run.ID, e.Cert.Status, e.Reason = run.ID.String(), "superseded", "rework"
	e.Run.Rework, e.Details = text(run.Rework), map[string]string{"by": hex.EncodeToString(in.serial)}
	return w.changeStatus(old.id, e)
}

// certificateOf finds the certificate of an open Run, and checks that it belongs to the
// Run's board and purpose.
func (w *work) certificateOf(run *station.Run) (row, error) {
	if run.Certificate == nil || run.Identity == nil {
		return row{}, ErrNoCertificate
	}
	if _, err := w.openRunInUse(run.ID.String(), run.Identity.ID); err != nil {
		return row{}, err
	}
	in, err := w.bySerial(run.Certificate.Serial)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return row{}, fmt.Errorf("%w: %x", station.ErrUnknownCertificate, run.Certificate.Serial)
	case err != nil:
		return row{}, err
	case in.boardID != run.Identity.ID || in.purpose != run.Purpose || !bytes.Equal(in.sha256, run.Certificate.SHA256[:]):
		return row{}, fmt.Errorf("%w: %x is not this board's, or not for this purpose", station.ErrUnknownCertificate, run.Certificate.Serial)
	}
	return in, nil
}
