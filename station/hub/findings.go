package hub

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"hallmark/station/outbox"
	"hallmark/station/reason"
)

// newFinding is what a Push shows.
type newFinding struct {
	kind            string
	board           *uuid.UUID
	other           *int16
	subject, detail string
}

func (t *taking) find(kind string, board *uuid.UUID, subject, detail string) {
	t.findings = append(t.findings, newFinding{kind: kind, board: board, subject: subject, detail: detail})
}

// writeFindings stores what is new. The same finding is stored once while it is open, and findings about two stations are shown to both.
func (t *taking) writeFindings() error {
	for _, f := range t.findings {
		f.detail = outbox.Shorten(f.detail)
		_, err := t.tx.Exec(t.ctx, `INSERT INTO finding (kind, station, other, board_id, subject, detail)
			SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM finding_open WHERE kind = $1 AND station = $2 AND other IS NOT DISTINCT FROM $3 AND subject = $5)`,
			f.kind, t.from.ID, f.other, f.board, f.subject, f.detail)
		if err != nil {
			return fmt.Errorf("storing a finding: %w", err)
		}
		t.log.Warn("finding", "kind", f.kind, "station", t.from.Name, "subject", f.subject, "detail", f.detail)
	}
	if t.rows.refused != nil {
		if _, err := t.tx.Exec(t.ctx, `INSERT INTO checkpoint_refused (station, note, why) VALUES ($1, $2, $3)`, t.from.ID, t.rows.refused, outbox.FindingFork); err != nil {
			return fmt.Errorf("storing the proof of a fork: %w", err)
		}
	}
	return nil
}

// openFindings gives the open findings about the station, the newest first.
func (t *taking) openFindings() ([]outbox.Finding, error) {
	rows, err := t.tx.Query(t.ctx, `SELECT id, kind, coalesce(board_id::text, ''), subject, detail FROM finding_open WHERE station = $1 OR other = $1 ORDER BY id DESC LIMIT $2`, t.from.ID, outbox.MaxFindings)
	if err != nil {
		return nil, fmt.Errorf("reading findings: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (f outbox.Finding, err error) {
		return f, row.Scan(&f.ID, &f.Kind, &f.Board, &f.Subject, &f.Text)
	})
}

// ErrFinding: there is no such open finding.
var ErrFinding = reason.New("hub-finding", "there is no open finding with this number")

// CloseFinding says that a person has looked at a finding. A fork or a rollback is closed by Accept.
func (s *Store) CloseFinding(ctx context.Context, id int64, operator, why string) error {
	tag, err := s.pool.Exec(ctx, `INSERT INTO finding_closed (finding, operator, reason) SELECT id, $2, $3 FROM finding_open WHERE id = $1 AND kind <> ALL($4)`,
		id, operator, why, []string{outbox.FindingFork, outbox.FindingRollback})
	if err != nil {
		return fmt.Errorf("closing a finding: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%w: %d; `hub accept` goes on with a log that was forked or rolled back", ErrFinding, id)
	}
	return nil
}

// Accept goes on with the log of a station that does not continue what the hub has. Everything stays: the new branch shares the first base entries with the
// branch before, and the station sends the others again.
func (s *Store) Accept(ctx context.Context, station *Source, base int64, operator, why string) error {
	defer s.forget(station.ID)
	return s.inTx(ctx, func(tx pgx.Tx) error {
		var next int64
		var branch int
		if err := tx.QueryRow(ctx, `SELECT next, branch FROM station_state WHERE station = $1 FOR UPDATE`, station.ID).Scan(&next, &branch); err != nil {
			return err
		}
		if base < 0 || base > next {
			return reason.Usage(fmt.Errorf("--base %d: want 0 to %d, the entries that the hub has", base, next))
		}
		tag, err := tx.Exec(ctx, `INSERT INTO finding_closed (finding, operator, reason) SELECT id, $2, $3 FROM finding_open WHERE station = $1 AND kind = ANY($4)`,
			station.ID, operator, why, []string{outbox.FindingFork, outbox.FindingRollback})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("%w: the log of station %s was neither forked nor rolled back", ErrFinding, station.Name)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO branch (station, number, base, operator, reason) VALUES ($1, $2, $3, $4, $5)`, station.ID, branch+1, base, operator, why); err != nil {
			return err
		}
		// A closing after the base is not in the new branch: the station may go on with the order.
		if _, err := tx.Exec(ctx, `UPDATE station_order SET closed_at = NULL WHERE station = $1 AND closed_at >= $2`, station.ID, base); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE station_state SET branch = $2, next = $3, signed = least(signed, $3), turn = turn + 1 WHERE station = $1`, station.ID, branch+1, base)
		return err
	})
}
