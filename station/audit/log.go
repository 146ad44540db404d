// Package audit is the evidence: an RFC 6962 Merkle tree of events. The tree lies in
// the same database as the rows that the events explain, and is written in the same
// transaction.
//
// The owner of the database begins and commits transactions; this package does
// neither. Entries are appended through a [Batch], and the owner tells the Batch
// when the transaction is committed. Checkpoints are C2SP signed notes over the
// tree. [Verify] recomputes everything that it reports.
//
// A log cannot show that its own newest entries are missing. So keep checkpoints
// elsewhere, and hand them to Verify.
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

// Schema is the SQL that makes the tables of an empty log.
//
//go:embed schema.sql
var Schema string

// Config is the configuration of [Read] and [Open].
type Config struct {
	Station string // name of the station in each entry
	Now     func() time.Time
	Random  io.Reader // for the ids of entries
	// ClockBound is how far the clock may be behind the newest entry. Beyond it
	// Append returns ErrClockBack. 0 means 2 minutes.
	ClockBound time.Duration
	// Seek is a type of entries that Read looks for, from the number SeekFrom on. Read looks
	// through the newest entries anyway, and one pass takes half of the time of two.
	Seek     string
	SeekFrom int64
	// Beyond gets each entry behind the newest checkpoint, in order; nil: nobody wants them. Each is in the tree, and nobody has signed it.
	Beyond func(Entry)
}

// Conn is the connection that writes to the log.
type Conn interface {
	Querier
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// A Log is the audit log of one database. The database has one writer.
type Log struct {
	config Config
	sought []Entry // of the type Config.Seek
	insert *sql.Stmt

	covered int64 // entries under the newest checkpoint, when the log was read

	mu   sync.Mutex
	edge edge      // of the committed entries
	high time.Time // time of the newest committed entry; see ClockStep
}

// Errors of opening and appending.
var (
	// ErrClockBack: the clock is before the newest entry, so the times of the entries would be out of order.
	ErrClockBack = errors.New("clock is behind the newest audit entry")
	// ErrRolledBack: the database is older than a checkpoint that was signed over its entries.
	ErrRolledBack = errors.New("audit log is shorter than its checkpoint: the database was rolled back")
)

// A ClockError says how far the clock is behind. It wraps ErrClockBack.
type ClockError struct{ Now, Newest time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("%v: it says %s, the newest entry %s; set the clock right and start again, or accept the step if the older time was the wrong one",
		ErrClockBack, e.Now.UTC().Format(time.RFC3339), e.Newest.UTC().Format(time.RFC3339))
}
func (e *ClockError) Unwrap() error { return ErrClockBack }

// Open reads a log as Read does, and appends to it through db, which must be the only
// connection that writes.
func Open(ctx context.Context, db Conn, c Config) (*Log, error) {
	l, err := Read(ctx, db, c)
	if err != nil {
		return nil, err
	}
	return l, l.AppendTo(ctx, db)
}

// Read reads the state of the log, and compares it with the newest stored checkpoint. It writes
// nothing. Nobody may write between Read and AppendTo. Errors: ErrEntry, ErrGap, ErrHash, ErrRolledBack,
// ErrRoot, ErrCheckpointMissing, the errors of [OpenCheckpoint], and those of q.
func Read(ctx context.Context, q Querier, c Config) (*Log, error) {
	if c.ClockBound <= 0 {
		c.ClockBound = 2 * time.Minute
	}
	l := &Log{config: c}
	size, err := Size(ctx, q)
	if err != nil {
		return nil, err
	}
	if l.edge, err = edgeAt(ctx, q, size); err != nil {
		return nil, fmt.Errorf("opening audit log: %w: %w", ErrHash, err)
	}
	if err := l.compare(ctx, q, size); err != nil {
		return nil, fmt.Errorf("opening audit log: %w", err)
	}
	return l, nil
}

// compare compares the log with its newest checkpoint, and looks at what its newest entries tell.
func (l *Log) compare(ctx context.Context, q Querier, size int64) error {
	if size == 0 {
		return nil
	}
	newest, signed, err := Newest(ctx, q)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: there is none", ErrCheckpointMissing)
	} else if err != nil {
		return fmt.Errorf("reading the newest checkpoint: %w", err)
	}
	if err := checkNewest(ctx, q, newest, signed); err != nil {
		return err
	}
	if err := l.readBeyond(ctx, q, newest); err != nil {
		return err
	}
	from, kinds := newest, []string{TypeCheckpoint}
	if l.config.Seek != "" {
		from, kinds = min(from, l.config.SeekFrom), append(kinds, l.config.Seek)
	}
	told, err := OfTypes(ctx, q, from, kinds...)
	if err != nil {
		return err
	}
	for _, e := range told {
		if e.Type == l.config.Seek && e.Seq >= l.config.SeekFrom {
			l.sought = append(l.sought, e)
		}
	}
	return announced(ctx, q, newest, told)
}

// readBeyond reads what lies behind the newest checkpoint, and finds the time that the clock must not be far behind.
func (l *Log) readBeyond(ctx context.Context, q Querier, newest int64) (err error) {
	l.covered = newest
	if l.high, err = highWaterAt(ctx, q, newest); err != nil {
		return err
	}
	return beyond(ctx, q, newest, l.edge.head(), func(e Entry) {
		l.high = e.unsignedHighWater(l.high)
		if l.config.Beyond != nil {
			l.config.Beyond(e)
		}
	})
}

// Covered gives the number of entries under the newest checkpoint, when the log was read.
func (l *Log) Covered() int64 { return l.covered }

// Sought gives the entries of the type Config.Seek that Read found.
func (l *Log) Sought() []Entry { return l.sought }

// AppendTo names the connection that Append writes to, in the transaction that db is in.
func (l *Log) AppendTo(ctx context.Context, db Conn) (err error) {
	if l.insert, err = db.PrepareContext(ctx, `INSERT INTO audit_entry (seq, body, hashes) VALUES (?, ?, ?)`); err != nil {
		return fmt.Errorf("opening audit log: %w", err)
	}
	return nil
}

// Size returns the number of entries.
func Size(ctx context.Context, q Querier) (size int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(seq) + 1, 0) FROM audit_entry`).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("asking for the size of the audit log: %w", err)
	}
	return size, nil
}

// Close releases the prepared statement. The database stays open.
func (l *Log) Close() error {
	if l.insert == nil {
		return nil
	}
	return l.insert.Close()
}

// Head returns size and root of the committed entries.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edge.head()
}

// ClockStep returns a [*ClockError] while the clock is more than Config.ClockBound
// behind the newest entry.
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

// A Batch is the log's part of one transaction. One goroutine uses it, and at most
// one Batch of a Log is in use at a time. When the transaction is rolled back, drop
// the Batch: the Log changes only in Committed.
type Batch struct {
	log *Log
	Mark
}

// A Mark is a state of a Batch, to go back to together with a SAVEPOINT.
type Mark struct {
	edge edge
	high time.Time
}

// Begin starts the log's part of a transaction. It does not begin the transaction.
func (l *Log) Begin() *Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Batch{log: l, Mark: Mark{l.edge, l.high}}
}

// Rewind drops the entries that were appended since the mark was copied.
func (b *Batch) Rewind(to Mark) { b.Mark = to }

// Committed makes the entries of the Batch part of the Log. Call it exactly when the
// commit of the transaction returned without an error.
func (b *Batch) Committed() {
	b.log.mu.Lock()
	defer b.log.mu.Unlock()
	b.log.edge, b.log.high = b.edge, b.high
}

// Head returns size and root, the entries of the Batch included.
func (b *Batch) Head() Head { return b.edge.head() }

// Size returns the number of entries, those of the Batch included.
func (b *Batch) Size() int64 { return b.edge.size }

// Append adds an entry and returns the entry as it was written. After an error the
// transaction must not be committed, or must go back to a savepoint together with
// Rewind. Errors: [*ClockError], those of [Encode], and those of the database.
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

// highWater returns the time that the clock must not be far behind after this
// entry. A refused step of the clock does not change it; an accepted step sets it back.
func (e *Entry) highWater(before time.Time) time.Time {
	step := e.Type == TypeClockStep
	if step && e.Outcome == Success || !step && e.Time.After(before) {
		return e.Time.Time
	}
	return before
}

// newID returns a UUIDv7 (RFC 9562 section 5.7) of the given time.
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

// Types of entries that this package uses itself.
const (
	TypeGenesis          = "log.genesis"
	TypeCheckpointIntent = "log.checkpoint.intent" // before the signature
	TypeCheckpoint       = "log.checkpoint"        // after the signature, with size and root of the checkpoint
	TypeClockStep        = "clock.step"            // denied: the clock went back; success: an operator accepted the step
)
