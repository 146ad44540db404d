package hub

import (
	"context"
	"fmt"
	"time"

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
func (s *Store) freeze(ctx context.Context, why string) error { return s.freezeIn(ctx, s.pool, why) }

func (s *Store) freezeIn(ctx context.Context, into executer, why string) error {
	s.log.Warn("the hub is older than it was: no leases until each station has told all", "why", why)
	_, err := into.Exec(ctx, `INSERT INTO lease_freeze (why) VALUES ($1)`, why)
	if err != nil {
		return fmt.Errorf("noting that the hub is older: %w", err)
	}
	return nil
}

func (t *taking) freezeNow(why string) error {
	if t.state.frozen {
		return nil
	}
	if err := t.freezeIn(t.ctx, t.tx, why); err != nil {
		return err
	}
	t.state.frozen = true
	t.findings = append(t.findings, newFinding{kind: outbox.FindingRestored, subject: t.now().UTC().Format(time.RFC3339), detail: why})
	return nil
}

// told learns leases from the log, and notes a station that has told all.
func (t *taking) told() error {
	for id, o := range t.rows.orders {
		if !o.ours || o.revision < 1 {
			continue
		}
		if err := t.learn(id, o); err != nil {
			return err
		}
	}
	if t.state.next < t.push.Size || !t.state.frozen {
		return nil
	}
	_, err := t.tx.Exec(t.ctx, `INSERT INTO freeze_told (frozen, station) SELECT id, $2 FROM (`+frozenQuery("$1")+`) f ON CONFLICT DO NOTHING`, t.ids(), t.from.ID)
	if err != nil {
		return err
	}
	return t.tx.QueryRow(t.ctx, `SELECT EXISTS (`+frozenQuery("$1")+`)`, t.ids()).Scan(&t.state.frozen)
}

// learn stores a lease that the hub has signed and forgotten. The log of the station has it.
func (t *taking) learn(order string, o *orderState) error {
	number := t.mark.value() + 1
	tag, err := t.tx.Exec(t.ctx, `INSERT INTO lease (number, work_order, station, revision, share, until, file, signature)
		SELECT greatest($1, (SELECT coalesce(max(number), 0) + 1 FROM lease)), $2, $3, $4, $5, $6, '', '' WHERE EXISTS (SELECT 1 FROM work_order WHERE id = $2)
			AND NOT EXISTS (SELECT 1 FROM lease WHERE work_order = $2 AND station = $3 AND revision >= $4)`, number, order, t.from.ID, o.revision, o.share, o.until)
	if err != nil {
		return fmt.Errorf("storing a lease that was forgotten: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	if err := t.mark.raise(number); err != nil {
		return err
	}
	return t.tooMany(order)
}

// tooMany finds an order whose leases are more than its quota.
func (t *taking) tooMany(order string) error {
	var given, quota int64
	err := t.tx.QueryRow(t.ctx, `SELECT (SELECT sum(s) FROM (SELECT max(share) AS s FROM lease WHERE work_order = $1 GROUP BY station) shares), quota FROM work_order WHERE id = $1`, order).Scan(&given, &quota)
	if err != nil || given <= quota {
		return err
	}
	t.findings = append(t.findings, newFinding{kind: outbox.FindingOver, subject: order, detail: fmt.Sprintf("its leases are %s, and its quota is %d", reason.Count(given, "board", "boards"), quota)})
	return t.writeFindings()
}

// AcceptRestore gives leases again although a station has not told all. Its lease may then be given twice.
func (s *Store) AcceptRestore(ctx context.Context, operator, why string) (int64, error) {
	tag, err := s.pool.Exec(ctx, `INSERT INTO freeze_accepted (frozen, operator, reason) SELECT id, $2, $3 FROM (`+frozenQuery("$1")+`) f`, s.ids(), operator, why)
	if err != nil {
		return 0, fmt.Errorf("accepting a restored hub: %w", err)
	}
	return tag.RowsAffected(), nil
}
