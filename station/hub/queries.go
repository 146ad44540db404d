package hub

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A Table is the result of a query, as text.
type Table struct {
	Title string
	Head  []string
	Rows  [][]string
}

// table runs a query that gives text only. The names of its columns are the heads.
func (s *Store) table(ctx context.Context, query string, args ...any) (t Table, err error) {
	err = s.each(ctx, query, func(row []string) error {
		if t.Head == nil {
			t.Head = row
		} else {
			t.Rows = append(t.Rows, row)
		}
		return nil
	}, args...)
	return t, err
}

// each calls do with the heads, and then with each row.
func (s *Store) each(ctx context.Context, query string, do func(row []string) error, args ...any) error {
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		var head []string
		for _, field := range rows.FieldDescriptions() {
			head = append(head, field.Name)
		}
		for err = do(head); err == nil && rows.Next(); {
			var values []any
			if values, err = rows.Values(); err == nil {
				err = do(texts(values))
			}
		}
		rows.Close()
		return errors.Join(err, rows.Err())
	})
	if err != nil {
		return fmt.Errorf("asking the database: %w", err)
	}
	return nil
}

func texts(values []any) []string {
	row := make([]string, 0, len(values))
	for _, value := range values {
		text, _ := value.(string) // NULL is empty
		row = append(row, text)
	}
	return row
}

// Times are shown in UTC, to the second.
const (
	stationsQuery = `SELECT s.name AS "station", coalesce(to_char(st.seen AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), 'never') AS "seen",
		CASE WHEN st.seen > now() - interval '30 seconds' THEN 'live' ELSE 'away' END AS "link", st.next::text AS "entries", (st.size - st.next)::text AS "waiting", (st.next - st.signed)::text AS "not signed",
		d.runs::text AS "Runs in 24 h", coalesce(round(100.0 * d.passed / nullif(d.passed + d.rejected, 0), 1)::text, '') AS "yield %",
		(SELECT count(*) FROM finding_open f WHERE f.station = s.id OR f.other = s.id)::text AS "findings"
		FROM station s JOIN station_state st ON st.station = s.id
		CROSS JOIN LATERAL (SELECT count(*) AS runs, count(*) FILTER (WHERE ending = 'pass') AS passed, count(*) FILTER (WHERE ending = 'reject') AS rejected
			FROM run r WHERE r.station = s.id AND r.at > now() - interval '24 hours') d ORDER BY s.name`
	ordersQuery = `SELECT w.id AS "order", w.product AS "product", w.quota::text AS "ordered", coalesce(sum(o.counted), 0)::text AS "certified", coalesce(sum(l.leased), 0)::text AS "leased",
		greatest(w.quota - coalesce(sum(l.share), 0), 0)::text AS "left", to_char(w.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "until",
		coalesce(string_agg(s.name || ' ' || coalesce(o.counted, 0) || '/' || coalesce(l.leased, 0), ', ' ORDER BY s.name), '') AS "stations",
		CASE WHEN EXISTS (SELECT 1 FROM work_order_closed c WHERE c.work_order = w.id) THEN 'closed' WHEN w.until < now() THEN 'ended' ELSE 'open' END AS "state"
		FROM work_order w LEFT JOIN work_order_station m ON m.work_order = w.id LEFT JOIN station s ON s.id = m.station
		LEFT JOIN station_order o ON o.station = m.station AND o.work_order = w.id
		LEFT JOIN order_share l ON l.work_order = w.id AND l.station = m.station
		GROUP BY w.id ORDER BY max(w.opened) DESC LIMIT 200`
	findingsQuery = `SELECT f.id::text AS "number", f.kind AS "finding", s.name AS "station", coalesce(o.name, '') AS "other station", coalesce(f.board_id::text, f.subject) AS "about",
		f.detail AS "what", to_char(f.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS "since"
		FROM finding_open f JOIN station s ON s.id = f.station LEFT JOIN station o ON o.id = f.other ORDER BY f.id DESC LIMIT 500`
	rejectsQuery = `SELECT reason AS "reason", ending AS "ending", count(*)::text AS "Runs", string_agg(DISTINCT s.name, ', ') AS "stations"
		FROM run r JOIN station s ON s.id = r.station WHERE r.at > now() - interval '24 hours' AND r.ending <> 'pass' GROUP BY reason, ending ORDER BY count(*) DESC LIMIT 50`
	// The newest Runs are enough: a step that is slow now is slow in each of them.
	stepsQuery = `SELECT step->>'name' AS "step", count(*)::text AS "Runs", round(percentile_cont(0.5) WITHIN GROUP (ORDER BY (step->>'took_us')::numeric) / 1000)::text AS "median ms",
		round(percentile_cont(0.95) WITHIN GROUP (ORDER BY (step->>'took_us')::numeric) / 1000)::text AS "95 % ms", round(avg((step->>'outside_us')::numeric) / 1000)::text AS "of it board and wire, ms"
		FROM (SELECT steps FROM station s CROSS JOIN LATERAL (SELECT steps FROM run WHERE station = s.id AND at > now() - interval '24 hours' ORDER BY at DESC LIMIT 20) newest) r
		CROSS JOIN LATERAL jsonb_array_elements(r.steps) step GROUP BY 1 ORDER BY percentile_cont(0.5) WITHIN GROUP (ORDER BY (step->>'took_us')::numeric) DESC`
	runsQuery = `SELECT to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS "ended", s.name AS "station", r.bay AS "bay", r.ending AS "ending", r.reason AS "reason", r.outcome AS "outcome",
		r.purpose AS "key", r.operator AS "operator", encode(r.firmware, 'hex') AS "firmware", r.seq::text AS "entry"
		FROM run r JOIN station s ON s.id = r.station WHERE r.board_id = $1 ORDER BY r.at DESC LIMIT 200`
	certificatesQuery = `SELECT encode(c.serial, 'hex') AS "serial number", coalesce((SELECT e.status FROM certificate_event e WHERE e.serial = c.serial ORDER BY e.at DESC, e.seq DESC LIMIT 1), 'intended') AS "status",
		c.purpose AS "key", s.name AS "station", coalesce(c.work_order, '') AS "order", c.profile AS "profile", to_char(c.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS "signed",
		to_char(c.not_after AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS "valid until"
		FROM certificate c JOIN station s ON s.id = c.station WHERE c.board_id = $1 ORDER BY c.at DESC LIMIT 200`
	affectedQuery = `SELECT r.board_id::text AS "board", s.name AS "station", to_char(max(r.at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS "newest Run", count(*)::text AS "Runs"
		FROM run r JOIN station s ON s.id = r.station WHERE r.firmware = $1 AND r.at >= $2 AND r.at < $3 AND r.board_id IS NOT NULL GROUP BY r.board_id, s.name ORDER BY max(r.at) DESC LIMIT $4`
)

// boardOf finds the BoardID that a text names: a BoardID, or the serial number of a certificate in hexadecimal, with or without colons.
func (s *Store) boardOf(ctx context.Context, text string) (id uuid.UUID, found bool, err error) {
	text = strings.TrimSpace(text)
	if serial, bad := hex.DecodeString(strings.ReplaceAll(text, ":", "")); bad == nil && len(serial) == 16 {
		err = s.pool.QueryRow(ctx, `SELECT board_id FROM certificate WHERE serial = $1`, serial).Scan(&id)
		if err == nil {
			return id, true, nil
		} else if err != pgx.ErrNoRows {
			return id, false, fmt.Errorf("looking for a serial number: %w", err)
		}
	}
	if id, err = uuid.Parse(text); err != nil {
		return id, false, nil // it names no board
	}
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM run WHERE board_id = $1) OR EXISTS (SELECT 1 FROM board WHERE board_id = $1)`, id).Scan(&found)
	if err != nil {
		err = fmt.Errorf("looking for a board: %w", err)
	}
	return id, found, err
}
