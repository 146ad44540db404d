// Package audit is the evidence: an RFC 6962 Merkle tree of events in the
// same database, and the same transaction, as the rows they explain.
//
// A [Log] is appended to within a transaction of its owner, through a [Batch];
// the owner tells the Batch when the transaction is committed. Nothing here
// begins or commits. Checkpoints are C2SP signed notes over the tree, and [Verify]
// believes nothing that it did not recompute.
//
// What a log cannot show by itself is its own missing tail: keep checkpoints
// elsewhere and hand them to Verify.
package audit

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Schema makes the tables of an empty log.
//
//go:embed schema.sql
var Schema string

// Config is what Open needs.
type Config struct {
	Station string // name that each entry carries
	Now     func() time.Time
	Random  io.Reader // for entry ids
	// ClockBound is how far the clock may be behind the newest entry before
	// Append refuses with ErrClockBack. 0 means 2 minutes.
	ClockBound time.Duration
}

// Conn is the connection that writes.
type Conn interface {
	Querier
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// Log is the audit log of one database that has one writer.
type Log struct {
	config Config
	insert *sql.Stmt

	mu   sync.Mutex
	edge edge      // of what is committed
	high time.Time // newest committed entry; the clock must not be far behind
}

// Errors of opening and appending.
var (
	// ErrClockBack: the clock stands before the newest entry. Evidence would be out of order.
	ErrClockBack = errors.New("clock is behind the newest audit entry")
	// ErrRolledBack: the database is older than a checkpoint that was signed over it.
	ErrRolledBack = errors.New("audit log is shorter than its checkpoint: the database was rolled back")
)

// ClockError says by how much. It wraps ErrClockBack.
type ClockError struct{ Now, Newest time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("%v: it says %s, the newest entry %s; set the clock right and start again, or accept the step if the older time was the wrong one",
		ErrClockBack, e.Now.UTC().Format(time.RFC3339), e.Newest.UTC().Format(time.RFC3339))
}
func (e *ClockError) Unwrap() error { return ErrClockBack }

// Open reads where the log stands and compares it with its newest checkpoint.
// db is the one connection that writes; Append runs in whatever transaction it is in.
func Open(ctx context.Context, db Conn, c Config) (*Log, error) {
	if c.ClockBound <= 0 {
		c.ClockBound = 2 * time.Minute
	}
	l := &Log{config: c}
	size, err := Size(ctx, db)
	if err != nil {
		return nil, err
	}
	if l.edge, err = edgeAt(ctx, db, size); err != nil {
		return nil, fmt.Errorf("opening audit log: %w: %w", ErrHash, err)
	}
	if err := checkNewest(ctx, db, size); err != nil {
		return nil, fmt.Errorf("opening audit log: %w", err)
	}
	if l.high, err = highWater(ctx, db); err != nil {
		return nil, fmt.Errorf("opening audit log: %w", err)
	}
	l.insert, err = db.PrepareContext(ctx, `INSERT INTO audit_entry (seq, body, hashes) VALUES (?, ?, ?)`)
	if err != nil {
		return nil, fmt.Errorf("opening audit log: %w", err)
	}
	return l, nil
}

// Size is the number of entries.
func Size(ctx context.Context, q Querier) (size int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(seq) + 1, 0) FROM audit_entry`).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("asking for the size of the audit log: %w", err)
	}
	return size, nil
}

// Close releases what Open prepared; the database stays open.
func (l *Log) Close() error { return l.insert.Close() }

// Head gives size and root of what is committed.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edge.head()
}

// ClockStep gives a ClockError while the clock is too far behind the newest entry.
func (l *Log) ClockStep() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config.step(l.config.Now(), l.high)
}

func (c *Config) step(now, high time.Time) error {
	if now.Before(high.Add(-c.ClockBound)) {
		return &ClockError{Now: now, Newest: high}
	}
	return nil
}

// A Batch is the part of one transaction that the log has. It is used by one
// goroutine, and at most one Batch of a Log is in use at a time. If the
// transaction is rolled back the Batch is dropped, and the Log never knew.
type Batch struct {
	log *Log
	Mark
}

// Mark is a place in a Batch to go back to, with a SAVEPOINT.
type Mark struct {
	edge edge
	high time.Time
}

// Begin starts the log's part of a transaction.
func (l *Log) Begin() *Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Batch{log: l, Mark: Mark{l.edge, l.high}}
}

// Rewind forgets what was appended since the mark was copied.
func (b *Batch) Rewind(to Mark) { b.Mark = to }

// Committed makes the Batch part of the Log. It is called exactly when the
// transaction's commit returned without error.
func (b *Batch) Committed() {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	b.log.edge, b.log.high = b.edge, b.high
}

// Head gives size and root with what the Batch appended so far.
func (b *Batch) Head() Head { return b.edge.head() }

// Size is the number of entries with what the Batch appended so far.
func (b *Batch) Size() int64 { return b.edge.size }

// Append adds an entry and gives it as it was written. After an error the
// transaction must not be committed, or must go back to a savepoint together
// with Rewind.
func (b *Batch) Append(ctx context.Context, e Entry) (Entry, error) {
	written, err := b.append(ctx, e)
	if err != nil {
		return Entry{}, fmt.Errorf("appending %s to the audit log: %w", e.Type, err)
	}
	return written, nil
}

func (b *Batch) append(ctx context.Context, e Entry) (Entry, error) {
	c := &b.log.config
	now := c.Now().UTC()
	if err := c.step(now, b.high); err != nil && e.Type != TypeClockStep {
		return e, err
	}
	id, err := newID(now, c.Random)
	if err != nil {
		return e, err
	}
	e.V, e.Seq, e.ID, e.Time, e.Station = Version, b.edge.size, id, Time{now}, c.Station
	body, err := Encode(e)
	if err != nil {
		return e, err
	}
	hashes := b.edge.add(body)
	if _, err := b.log.insert.ExecContext(ctx, e.Seq, body, hashes); err != nil {
		return e, err
	}
	b.high = e.highWater(b.high)
	return e, nil
}

// highWater is the time that the clock must not be far behind after this
// entry: a refused step of the clock does not count, an accepted one does.
func (e *Entry) highWater(before time.Time) time.Time {
	step := e.Type == TypeClockStep
	if step && e.Outcome == Success || !step && e.Time.After(before) {
		return e.Time.Time
	}
	return before
}

// newID is a UUIDv7 (RFC 9562 section 5.7) of the given time.
func newID(now time.Time, random io.Reader) (string, error) {
	var id uuid.UUID
	if _, err := io.ReadFull(random, id[6:]); err != nil {
		return "", fmt.Errorf("drawing an entry id: %w", err)
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id.String(), nil
}

// Types of entries that this package itself knows.
const (
	TypeGenesis   = "log.genesis"
	TypeClockStep = "clock.step" // denied: the clock went back; success: an operator accepted that
)

// highWater gives the time of the newest entry that counts for the clock: a
// refused step does not.
func highWater(ctx context.Context, q Querier) (time.Time, error) {
	rows, err := q.QueryContext(ctx, `SELECT body FROM audit_entry ORDER BY seq DESC`)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the newest entry: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var body sql.RawBytes
		if err := rows.Scan(&body); err != nil {
			return time.Time{}, fmt.Errorf("reading the newest entry: %w", err)
		}
		e, err := Decode(body)
		if err != nil {
			return time.Time{}, fmt.Errorf("reading the newest entry: %w: %w", ErrEntry, err)
		}
		if e.Type != TypeClockStep || e.Outcome == Success {
			return e.Time.Time, nil
		}
	}
	return time.Time{}, rows.Err()
}
