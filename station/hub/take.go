package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/outbox"
	"hallmark/station/reason"
)

// ErrForged: what a station sent is not of its log.
var ErrForged = reason.New("hub-forged", "the entries or the checkpoint are not of the audit log of this station")

// clockBound is how far the clock of a station may differ from that of the hub.
const clockBound = 5 * time.Minute

// A state is what the hub has of a station.
type state struct {
	turn, next, signed int64
	branch             int
	size               int64      // of the log, as the station said last
	seen               *time.Time // when the station was here last; nil: never
	stopped            bool       // a fork or a rollback waits for a person
	frozen             bool       // no station gets a lease, see freeze.go
	finds, orders      bool       // there are open findings about the station, or orders for it
}

// A taking is one Push in one transaction.
type taking struct {
	*Store
	ctx       context.Context
	tx        pgx.Tx
	from      *Source
	push      *outbox.Push
	state     state
	tree      audit.Tree   // after the entries of the Push
	findings  []newFinding // that the Push shows
	unfit     error        // why the database cannot hold an entry; nil: nobody has tried
	refused   error        // why the entries were not taken, although the transaction is committed: for its findings
	rows      rows
	claims    *claims // of the entries; nil: none
	lastLease int64   // greatest number of a lease in the Answer
}

// Take takes a Push of a station, as a whole or not at all, and answers. The Answer is right after an error, too, if its version is not 0: the
// error is then ErrForged, and on record as a finding.
func (s *Store) Take(ctx context.Context, station int16, push *outbox.Push) (answer outbox.Answer, err error) {
	t, answer, err := s.takeOnce(ctx, station, push, nil)
	if isUnfit(err) { // no entry of a station is like this
		t, answer, err = s.takeOnce(ctx, station, push, err)
	}
	if err != nil {
		s.forget(station)
		return outbox.Answer{}, fmt.Errorf("taking entries of station %s: %w", t.from.Name, err)
	}
	if answer.Taken {
		s.remember(station, t.state.turn, t.tree)
	}
	// The leases are committed, and the station learns of them after the file has.
	if err := s.mark.raise(t.lastLease); err != nil {
		return outbox.Answer{}, err
	}
	answer.Leases = s.mark.value()
	return answer, t.refused
}

// takeOnce takes a Push in one transaction. With unfit, its entries are refused.
func (s *Store) takeOnce(ctx context.Context, station int16, push *outbox.Push, unfit error) (t *taking, answer outbox.Answer, err error) {
	t = &taking{Store: s, ctx: ctx, from: s.stations[station], push: push, unfit: unfit}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		t.tx = tx
		answer, err = t.take()
		return err
	})
	return t, answer, err
}

// isUnfit reports that the database cannot hold a value: a NUL in a text, or a text that is too long for an index (PostgreSQL, appendix A, classes 22 and 54).
func isUnfit(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (strings.HasPrefix(refused.Code, "22") || strings.HasPrefix(refused.Code, "54"))
}

func (t *taking) take() (answer outbox.Answer, err error) {
	// 1. One Push of a station at a time, and each turn once: a copy of a Push, or one that comes late, changes nothing.
	if err := t.lockState(); err != nil {
		return answer, err
	}
	if t.push.Turn != t.state.turn {
		return t.answer(false)
	}
	// 2. Does the station, or the hub, remember more than it should? Then no entry is taken.
	if err := t.compareMemories(); err != nil {
		return answer, err
	}
	fits := false
	if !t.state.stopped && (t.push.From == t.state.next || t.push.Size < t.state.next) {
		var err error
		if fits, err = t.continues(); err != nil {
			return answer, err
		}
	}
	// 3. Entries, and the checkpoint over them.
	if fits && len(t.findings) == 0 {
		if err := t.takeEntries(); err != nil {
			return answer, err
		}
	}
	taken := fits && len(t.findings) == 0
	if err := t.write(taken); err != nil {
		return answer, err
	}
	// 4. What only the hub sees.
	if taken {
		if err := errors.Join(t.lookAtClaims(), t.lookAtOrders()); err != nil {
			return answer, err
		}
	}
	if err := t.writeFindings(); err != nil {
		return answer, err
	}
	// 5. Leases follow from what the station has told.
	if err := t.told(); err != nil {
		return answer, err
	}
	return t.answer(taken)
}

// lockState reads what the hub has of the station, in one query. Other transactions about the station wait until this one ends. What the subqueries give may be
// from before such a wait; then the turn has changed, and nothing is taken.
func (t *taking) lockState() error {
	return t.tx.QueryRow(t.ctx, `SELECT turn, branch, next, signed, size, seen, EXISTS (SELECT 1 FROM finding_open f WHERE f.station = st.station AND kind = ANY($2)), EXISTS (`+frozenQuery("$3")+`),
		EXISTS (SELECT 1 FROM finding_open f WHERE f.station = st.station OR f.other = st.station), EXISTS (SELECT 1 FROM work_order_station m WHERE m.station = st.station)
		FROM station_state st WHERE st.station = $1 FOR UPDATE OF st`, t.from.ID, []string{outbox.FindingFork, outbox.FindingRollback}, t.ids()).
		Scan(&t.state.turn, &t.state.branch, &t.state.next, &t.state.signed, &t.state.size, &t.state.seen, &t.state.stopped, &t.state.frozen, &t.state.finds, &t.state.orders)
}

// compareMemories compares what the station remembers with what the hub has.
func (t *taking) compareMemories() error {
	if t.push.Leases > t.mark.value() {
		return t.freezeNow(fmt.Sprintf("station %s was told of %s, the hub knows %d", t.from.Name, reason.Count(t.push.Leases, "lease", "leases"), t.mark.value()))
	}
	if t.push.Taken > t.state.next && t.push.Size >= t.push.Taken { // otherwise the station itself went back
		var accepted bool // a person has just accepted another log, so the hub wants entries again
		err := t.tx.QueryRow(t.ctx, `SELECT EXISTS (SELECT 1 FROM branch WHERE station = $1 AND number = $2 AND number > 0 AND base = $3)`, t.from.ID, t.state.branch, t.state.next).Scan(&accepted)
		if err != nil || accepted {
			return err
		}
		return t.freezeNow(fmt.Sprintf("the hub had taken %s of station %s, and has %d", reason.Count(t.push.Taken, "entry", "entries"), t.from.Name, t.state.next))
	}
	return nil
}

// continues reports whether the log of the station begins with what the hub has.
func (t *taking) continues() (bool, error) {
	if t.push.Size < t.state.next {
		t.find(outbox.FindingRollback, nil, "", fmt.Sprintf("the log has %s, and the hub has %d", reason.Count(t.push.Size, "entry", "entries"), t.state.next))
		return false, nil
	}
	tree, err := t.treeAt(t.state.next)
	if err != nil {
		return false, err
	}
	if head := tree.Head(); head.Root != tlog.Hash(t.push.Root) {
		t.find(outbox.FindingFork, nil, "", fmt.Sprintf("the first %s of the log have the root %s, and the hub has %s",
			reason.Count(head.Size, "entry", "entries"), tlog.Hash(t.push.Root), head.Root))
		return false, nil
	}
	t.tree = tree
	return true, nil
}

// treeAt gives the tree of the first size entries.
func (t *taking) treeAt(size int64) (audit.Tree, error) {
	if known, ok := t.remembered(); ok && size == t.state.next {
		return known, nil
	}
	var wanted []int64
	for level := range 62 {
		if size>>level&1 == 1 {
			wanted = append(wanted, size>>level<<level-1)
		}
	}
	// A later branch has the entries from its base on; before it those of the branches before are right.
	rows, err := t.tx.Query(t.ctx, `SELECT DISTINCT ON (seq) seq, hashes FROM entry WHERE station = $1 AND seq = ANY($2) ORDER BY seq, branch DESC`, t.from.ID, wanted)
	if err != nil {
		return audit.Tree{}, err
	}
	stored := map[int64][]byte{}
	var seq int64
	var hashes []byte
	if _, err := pgx.ForEachRow(rows, []any{&seq, &hashes}, func() error { stored[seq] = append([]byte{}, hashes...); return nil }); err != nil {
		return audit.Tree{}, err
	}
	return audit.TreeAt(size, func(seq int64) ([]byte, error) { return stored[seq], nil })
}

// takeEntries decodes the entries, adds them to the tree, and compares the tree with the checkpoint.
func (t *taking) takeEntries() error {
	if t.unfit != nil {
		t.forged(t.unfit)
		return nil
	}
	signed, err := t.openCheckpoint()
	if err != nil {
		t.forged(err)
		return nil
	}
	if signed.Size > 0 && signed.Size < t.state.next {
		signed = audit.Head{} // an old one says nothing new: the tree begins with what was verified, or will be under a newer one
	}
	if signed.Size > 0 && signed.Size == t.state.next && !t.fits(signed) {
		return nil
	}
	for i, body := range t.push.Entries {
		seq := t.push.From + int64(i)
		e, err := audit.Decode(body)
		if err == nil && e.Seq != seq {
			err = fmt.Errorf("entry %d says that it is %d", seq, e.Seq)
		}
		if err == nil {
			err = t.rows.add(t, &e, body, t.tree.Add(body))
		}
		if err != nil {
			t.forged(fmt.Errorf("entry %d: %w", seq, err))
			return nil
		}
		if seq+1 == signed.Size && !t.fits(signed) {
			return nil
		}
	}
	t.rows.certificates(t)
	return nil
}

// openCheckpoint verifies the checkpoint with the audit key of the station. A size of 0 says that there is none.
func (t *taking) openCheckpoint() (audit.Head, error) {
	if len(t.push.Checkpoint) == 0 {
		return audit.Head{}, nil
	}
	head, err := audit.OpenCheckpoint(t.push.Checkpoint, t.from.Key)
	if err == nil && head.Size > t.push.From+int64(len(t.push.Entries)) {
		err = fmt.Errorf("the checkpoint is over %s, and the entries end at %d", reason.Count(head.Size, "entry", "entries"), t.push.From+int64(len(t.push.Entries)))
	}
	return head, err
}

// fits reports whether the tree is that of a checkpoint which the audit key signed. If not, the key has signed another log: that is a fork, with its proof.
func (t *taking) fits(signed audit.Head) bool {
	if t.tree.Head() == signed {
		t.rows.signed = signed.Size
		return true
	}
	t.find(outbox.FindingFork, nil, "", fmt.Sprintf("the audit key has signed another log: %s with the root %s, and the entries have %s",
		reason.Count(signed.Size, "entry", "entries"), signed.Root, t.tree.Head().Root))
	t.rows.refused = t.push.Checkpoint
	return false
}

// forged notes what is not of the log. It is a finding, because only who has the TLS key of the station can send it.
func (t *taking) forged(why error) {
	t.refused = fmt.Errorf("%w: %w", ErrForged, why)
	t.find(outbox.FindingForged, nil, "", reason.OneLine(why)) // one open finding, whatever number of messages: others must stay in sight
}

// write stores what the Push means, and what the hub has now, in one exchange with the database. A Push that was not taken uses up its turn as well, so that its copy
// finds nothing new.
func (t *taking) write(taken bool) error {
	batch, r := &pgx.Batch{}, &t.rows
	t.state.turn++
	if taken {
		t.lookAtClock()
		t.queueRows(batch)
		t.queueClaims(batch)
		t.state.next += int64(len(t.push.Entries))
		t.state.signed = max(t.state.signed, r.signed)
	}
	batch.Queue(`UPDATE station_state SET turn = $2, next = $3, signed = $4, size = $5, seen = $6, log_time = coalesce($7, log_time) WHERE station = $1`,
		t.from.ID, t.state.turn, t.state.next, t.state.signed, t.push.Size, t.now(), r.newest)
	if err := t.tx.SendBatch(t.ctx, batch).Close(); err != nil {
		return fmt.Errorf("storing entries: %w", err)
	}
	return nil
}

// answer says what the hub has now.
func (t *taking) answer(taken bool) (outbox.Answer, error) {
	a := outbox.Answer{Version: outbox.Version, Turn: t.state.turn, Taken: taken, Next: t.state.next, Signed: t.state.signed}
	var err, bad error
	if t.state.orders {
		a.Orders, err = t.orders()
	}
	if t.state.finds || len(t.findings) > 0 {
		a.Findings, bad = t.openFindings()
	}
	return a, errors.Join(err, bad)
}

// remembered gives the tree after the newest turn, if this process has taken it.
func (t *taking) remembered() (audit.Tree, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.trees[t.from.ID]
	return known.tree, ok && known.turn == t.state.turn
}

func (s *Store) remember(station int16, turn int64, tree audit.Tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trees[station] = kept{turn, tree}
}

func (s *Store) forget(station int16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.trees, station)
}
