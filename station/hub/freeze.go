package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"hallmark/station/outbox"
	"hallmark/station/reason"
)

// A hub that was restored from yesterday has forgotten the leases of today, and would give the same boards twice. It learns them from the logs: a station
// has opened each lease that it uses. So no lease is given until each station of the plant has told the hub all of its log, or a person has accepted.

// an executer changes the database.
type executer interface {
	Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error)
}

// frozenQuery has the freezes that wait. stations is the parameter with the stations of the configuration.
func frozenQuery(stations string) string {
	return `SELECT f.id FROM lease_freeze f WHERE NOT EXISTS (SELECT 1 FROM freeze_accepted a WHERE a.frozen = f.id)
	AND EXISTS (SELECT 1 FROM unnest(` + stations + `::smallint[]) s WHERE NOT EXISTS (SELECT 1 FROM freeze_told t WHERE t.frozen = f.id AND t.station = s))`
}

func (s *Store) ids() (all []int16) {
	for id := range s.stations {
		all = append(all, id)
	}
	return all
}

// freeze notes that the hub is older than what somebody remembers. While one freeze waits there is no other.
// marked is the number in the file that the database does not reach, or nil.
func (s *Store) freeze(ctx context.Context, into executer, why string, marked *int64) error {
	s.log.Warn("the hub is older than it was: no leases until each station has told all", "why", why)
	_, err := into.Exec(ctx, `INSERT INTO lease_freeze (why, marked) VALUES ($1, $2)`, why, marked)
	if err != nil {
		return fmt.Errorf("noting that the hub is older: %w", err)
	}
	return nil
}

func (t *taking) freezeNow(why string) error {
	if t.state.frozen {
		return nil
	}
	if err := t.freeze(t.ctx, t.tx, why, nil); err != nil {
		return err
	}
	t.state.frozen = true
	t.findings = append(t.findings, newFinding{kind: outbox.FindingRestored, subject: t.now().UTC().Format(time.RFC3339), detail: why})
	return nil
}

// told notes a station that has told all.
func (t *taking) told() error {
	if t.state.next < t.push.Size || !t.state.frozen {
		return nil
	}
	_, err := t.tx.Exec(t.ctx, `INSERT INTO freeze_told (frozen, station) SELECT id, $2 FROM (`+frozenQuery("$1")+`) f ON CONFLICT DO NOTHING`, t.ids(), t.from.ID)
	if err != nil {
		return err
	}
	return t.tx.QueryRow(t.ctx, `SELECT EXISTS (`+frozenQuery("$1")+`)`, t.ids()).Scan(&t.state.frozen)
}

// lookAtOrders finds orders of which more boards may be certified than were ordered. That happens after a restore only: of the hub, when a person has given
// leases again before each station had told all, or of a station, which then counts from an older number.
func (t *taking) lookAtOrders() error {
	for id, o := range t.rows.orders {
		if (!o.ours || o.revision < 1) && t.state.branch == 0 {
			continue
		}
		var given, certified, quota int64
		err := t.tx.QueryRow(t.ctx, `SELECT (SELECT coalesce(sum(share), 0) FROM order_share WHERE work_order = w.id),
			CASE WHEN $2 THEN (SELECT count(DISTINCT board_id) FROM certificate WHERE work_order = w.id) ELSE 0 END, quota FROM work_order w WHERE id = $1`,
			id, t.state.branch > 0).Scan(&given, &certified, &quota)
		if errors.Is(err, pgx.ErrNoRows) {
			continue // an order of this station alone
		} else if err != nil {
			return fmt.Errorf("comparing an order with its leases: %w", err)
		}
		if over := max(given, certified); over > quota {
			t.find(outbox.FindingOver, nil, id, fmt.Sprintf("its leases or certificates are %s, and its quota is %d", reason.Count(over, "board", "boards"), quota))
		}
	}
	return nil
}

// AcceptRestore gives leases again although a station has not told all. Its lease may then be given twice.
func (s *Store) AcceptRestore(ctx context.Context, operator, why string) (int64, error) {
	tag, err := s.pool.Exec(ctx, `INSERT INTO freeze_accepted (frozen, operator, reason) SELECT id, $2, $3 FROM (`+frozenQuery("$1")+`) f`, s.ids(), operator, why)
	if err != nil {
		return 0, fmt.Errorf("accepting a restored hub: %w", err)
	}
	return tag.RowsAffected(), nil
}
