package registry

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// This file ends Runs: station.Registry's Close, and the bays that a Run stops.

// Close ends the record of a Run with ending, reason and step times. A Run that was refused
// gets its record here, closed from the beginning (I14). A Pass is refused unless the Run's
// certificate is active (I12). If the commit goes wrong, an admitted Run is over
// nevertheless: Admit of the board's next Run closes the record.
func (r *Registry) Close(ctx context.Context, run *station.Run) (outcome station.Outcome, err error) {
	err = r.write(ctx, func(w *work) (err error) {
		admitted, err := w.wasAdmitted(run)
		switch {
		case err != nil:
		case admitted:
			outcome, err = w.closeAdmitted(run)
		default:
			err = w.closeRefused(run)
		}
		switch {
		case err != nil:
		case run.StopBay:
			err = w.stopBay(run)
		case run.ScanBack && run.Ending == station.Pass:
			err = w.wantLabel(run)
		}
		return err
	})
	if err != nil {
		r.writer.over.Store(run.ID.String(), nil)
		return "", err // outcome must not be read: after ErrUnknownOutcome the call may still run
	}
	return outcome, nil
}

func (w *work) wasAdmitted(run *station.Run) (bool, error) {
	var n int
	err := w.row(`SELECT count(*) FROM runs WHERE id = ?`, []any{run.ID.String()}, &n)
	return n == 1, err
}

func (w *work) closeAdmitted(run *station.Run) (outcome station.Outcome, err error) {
	id, boardID := run.ID.String(), run.Identity.ID
	if _, err := w.openRun(id, boardID); err != nil {
		return "", err
	}
	if err := w.abandon(id, boardID); err != nil {
		return "", err
	}
	if run.Ending == station.Pass {
		if outcome, err = w.outcomeOf(run); err == nil {
			err = w.lockIsRead(run)
		}
		if err != nil {
			return "", fmt.Errorf("closing a Pass: %w", err)
		}
	}
	e := closing(run)
	e.Run.Outcome = string(outcome)
	written, err := w.append(e)
	if err != nil {
		return "", err
	}
	return outcome, w.closeRun(id, written)
}

// outcomeOf gives the outcome of a Run that passes. The certificate is confirmed if an
// earlier Run has passed with it. Otherwise this Run is the first that tells of the certificate.
func (w *work) outcomeOf(run *station.Run) (station.Outcome, error) {
	in, err := w.certificateOf(run)
	if err != nil {
		return "", err
	}
	if in.status != "active" {
		return "", in.unfit()
	}
	var passed, signed int
	var rework bool
	err = w.row(`SELECT c.rework, (SELECT count(*) FROM runs WHERE id = c.run), (SELECT count(*) FROM runs p JOIN runs signed ON signed.id = c.run
			WHERE p.board_id = c.board_id AND p.purpose = c.purpose AND p.ending = 'pass' AND p.last_entry > signed.first_entry)
		FROM certificates c WHERE c.id = ?`, []any{in.id}, &rework, &signed, &passed)
	switch {
	case err != nil:
		return "", err
	case signed == 0:
		return "", fmt.Errorf("%w: the Run that signed certificate %s has no row; restore registry.db from its backup", ErrDiffers, in.serial)
	case passed > 0:
		return station.Confirmed, nil
	case rework:
		return station.Reworked, nil
	}
	return station.Issued, nil
}

// closeRefused writes the record of a Run whose board was not admitted.
func (w *work) closeRefused(run *station.Run) error {
	if run.Ending == station.Pass {
		return fmt.Errorf("closing a Pass: %w: Run %s", ErrUnknownRun, run.ID)
	}
	e := closing(run)
	e.Details["admitted"] = "false"
	if run.Order != "" {
		e.WorkOrder = &audit.WorkOrder{ID: text(run.Order)}
	}
	written, err := w.append(e)
	if err != nil {
		return err
	}
	var boardID, hardware any
	var said audit.Board
	if run.Identity != nil {
		boardID, hardware, said = run.Identity.ID.String(), []byte(run.Identity.HardwareID), *e.Board
	}
	now := written.Time.String()
	return w.exec(`INSERT INTO runs (id, board_id, purpose, hardware_id, bay, operator, work_order, rework, begun, admitted,
		closed, ending, reason, first_entry, last_entry, board_type, firmware, firmware_sha256, huk, probe, target, flashed_sha256)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		run.ID.String(), boardID, run.Purpose.String(), hardware, e.Run.Bay, e.Run.Operator, workOrder(e), e.Run.Rework,
		now, now, string(endings[written.Type]), written.Reason, written.Seq, written.Seq,
		said.Type, said.Firmware, said.SHA256, said.HUK, e.Details[detailProbe], e.Details[detailTarget], e.Details[detailFlashed])
}

func workOrder(e audit.Entry) sql.NullString {
	if e.WorkOrder == nil {
		return sql.NullString{}
	}
	return sql.NullString{String: e.WorkOrder.ID, Valid: true}
}

// endings has the ending of a Run for each type of entry that closes a Run.
var endings = map[string]station.Ending{
	"run.pass": station.Pass, "run.reject": station.Reject, "run.fault": station.Fault, "run.aborted": station.Aborted,
}

func (w *work) closeRun(run string, written audit.Entry) error {
	var outcome sql.NullString
	if written.Run.Outcome != "" {
		outcome = sql.NullString{String: written.Run.Outcome, Valid: true}
	}
	return w.exec(`UPDATE runs SET closed = ?, ending = ?, reason = ?, outcome = ?, last_entry = ?, probe = ?, target = ?, flashed_sha256 = ? WHERE id = ?`,
		written.Time.String(), string(endings[written.Type]), written.Reason, outcome, written.Seq,
		written.Details[detailProbe], written.Details[detailTarget], written.Details[detailFlashed], run)
}

// outcomes has the outcome of the closing entry for each ending.
var outcomes = map[station.Ending]audit.Outcome{
	station.Pass: audit.Success, station.Reject: audit.Denied, station.Fault: audit.Failure, station.Aborted: audit.Failure,
}

func closing(run *station.Run) audit.Entry {
	e := runEntry(run, "run."+string(run.Ending), outcomes[run.Ending])
	e.Reason = text(run.Reason)
	e.Details = map[string]string{
		"wire_sent": strconv.FormatInt(run.Wire.Sent, 10), "wire_received": strconv.FormatInt(run.Wire.Received, 10),
		"wire_retries": strconv.Itoa(run.Wire.Retries),
	}
	if run.Err != nil {
		e.Details["error"] = text(run.Err.Error())
	}
	if run.Sealed {
		e.Details["sealed"] = "true"
	}
	byProbe(run, e.Details)
	flashed(run, e.Details)
	if run.Lock != nil {
		e.Details[detailState] = string(run.Lock.State)
	}
	for _, step := range run.Steps {
		e.Run.Steps = append(e.Run.Steps, audit.Step{Name: step.Name, Retries: step.Retries,
			TookUS: step.Took.Microseconds(), OutsideUS: step.Outside.Microseconds()})
	}
	return e
}

// Types of the entries about a bay that was stopped (I13).
const (
	typeBayStopped      = "bay.stopped"
	typeBayAcknowledged = "bay.acknowledged"
)

// Types of the entries about the label of a board that passed, for which its bay waits. label.wanted stands directly behind the
// entry that ends the Run; label.read has the outcome success if it was the right label.
const (
	typeLabelWanted = "label.wanted"
	typeLabelRead   = "label.read"
)

// serialsOnLabel gives the serial numbers of a board's active certificates in hex, with spaces. A label may have each of them.
const serialsOnLabel = `SELECT coalesce(group_concat(serial, ' '), '') FROM
	(SELECT lower(hex(serial)) AS serial FROM certificates WHERE board_id = ? AND status = 'active' ORDER BY id)`

// wantLabel notes that the bay of the Run waits for the label of the board.
func (w *work) wantLabel(run *station.Run) error {
	e := runEntry(run, typeLabelWanted, audit.Success)
	var serials string
	if err := w.row(serialsOnLabel, []any{e.Board.ID}, &serials); err != nil {
		return err
	}
	e.Details = map[string]string{"bay": e.Run.Bay, "board": e.Board.ID, "serial": serials}
	_, err := w.append(e)
	return err
}

// ErrBayFree: the bay is not stopped.
var ErrBayFree = reason.New("bay-free", "the bay is not stopped, so there is nothing to acknowledge")

// stopBay notes that the bay of the Run stays stopped until an operator acknowledges (I13).
func (w *work) stopBay(run *station.Run) error {
	e := runEntry(run, typeBayStopped, audit.Denied)
	e.Reason = text(run.Reason)
	written, err := w.append(e)
	if err != nil {
		return err
	}
	var boardID any
	if e.Board != nil {
		boardID = e.Board.ID
	}
	return w.exec(`INSERT INTO bays (name, stopped, reason, board_id, run) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (name) DO UPDATE SET stopped = ?2, reason = ?3, board_id = ?4, run = ?5`,
		e.Run.Bay, written.Time.String(), written.Reason, boardID, e.Run.ID)
}

// AcknowledgeBay lets a stopped bay go on, and notes who said so. It returns ErrBayFree for
// a bay that is not stopped.
func (r *Registry) AcknowledgeBay(ctx context.Context, bay, operator string) error {
	return r.write(ctx, func(w *work) error {
		n, err := w.change(`UPDATE bays SET stopped = NULL WHERE name = ? AND stopped IS NOT NULL`, text(bay))
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: %q", ErrBayFree, bay)
		}
		if err != nil {
			return err
		}
		_, err = w.append(audit.Entry{Actor: actor(operator), Category: audit.CategoryLine, Type: typeBayAcknowledged, Outcome: audit.Success,
			Details: map[string]string{"bay": text(bay)}})
		return err
	})
}

// StoppedBay is a bay that waits for the acknowledgement of an operator (I4, I13).
type StoppedBay struct {
	Name, Since, Reason string // Since: RFC 3339; Reason: the word of the refusal
	BoardID             devices.BoardID
	Run                 string
}

// StoppedBays gives the bays that are stopped, in the order of their names.
func (r *Reader) StoppedBays(ctx context.Context) ([]StoppedBay, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT name, stopped, reason, board_id, run FROM bays WHERE stopped IS NOT NULL ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("listing the stopped bays: %w", err)
	}
	return collect(rows, func(b *StoppedBay) []any { return []any{&b.Name, &b.Since, &b.Reason, board(&b.BoardID), &b.Run} })
}

// runEntry makes an audit entry about a Run and its board. A board that did not say who it is has no part in the entry.
func runEntry(run *station.Run, kind string, outcome audit.Outcome) audit.Entry {
	e := audit.Entry{
		Actor: actor(run.Operator), Category: audit.CategoryLine, Type: kind, Outcome: outcome,
		Run: &audit.Run{ID: run.ID.String(), Bay: text(run.Bay), Operator: text(run.Operator), Purpose: run.Purpose.String(), Rework: text(run.Rework)},
	}
	if id := run.Identity; id != nil {
		e.Board = &audit.Board{
			ID: id.ID.String(), HardwareID: id.HardwareID.String(), Type: text(id.BoardType), Firmware: text(id.Firmware),
			SHA256: hex.EncodeToString(id.FirmwareHash[:]), HUK: hukOf(id),
		}
	}
	return e
}

// hukOf gives the source of the board's HUK, and under TF-M the caller for which the
// key was derived.
func hukOf(id *devices.Identity) string {
	source := strconv.Itoa(int(id.HUK))
	if id.HUK.HasCaller() {
		source += " caller " + strconv.Itoa(int(id.Caller))
	}
	return source
}

func actor(operator string) audit.Actor {
	if operator == "" {
		return audit.Itself()
	}
	return audit.Actor{ID: text(operator), Kind: "human"}
}
