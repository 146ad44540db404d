// Package outbox tells the hub of a plant what is in the audit log of this station. The log is the outbox: each entry is there in the transaction of the
// row that follows from it, in order, and is never changed. So the sender keeps no copy of entries, and asks the hub which entry it lacks. A crash of either
// side loses none, and repeats none: the hub takes each Push once. No Run waits for the hub, and a hub that is away stops no Run.
package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/sender"
	"hallmark/station/workdir"
)

// ErrBusy: another process sends to the hub now.
var ErrBusy = reason.New("hub-outbox-busy", "another process sends the audit log to the hub")

// A Source is the registry.
type Source interface {
	LogSize(ctx context.Context) (int64, error)
	// Bodies gives the entries [from, to).
	Bodies(ctx context.Context, from, to int64) ([][]byte, error)
	// RootAt gives the root of the first size entries.
	RootAt(ctx context.Context, size int64) (tlog.Hash, error)
	// CheckpointUpTo gives the newest checkpoint over at most size entries, or nil.
	CheckpointUpTo(ctx context.Context, size int64) ([]byte, error)
	// Certificate gives the certificate with a serial number, or nil.
	Certificate(ctx context.Context, serial string) ([]byte, error)
}

// memory is what a station remembers of the hub over a restart.
type memory struct {
	Taken    int64     `json:"taken"`    // entries that the hub has taken
	Leases   int64     `json:"leases"`   // greatest number of leases that the hub has told
	Findings []Finding `json:"findings"` // open ones, as the hub said last
	Known    []Finding `json:"known"`    // those of them that are on record here. A hub that was restored gives a number again, so the number alone says nothing
}

// Handlers are called by the goroutine that sends, one at a time.
type Handlers struct {
	// Order opens or revises a work order. An order that was opened before is no error.
	Order func(ctx context.Context, o Order) error
	// Finding notes a finding that was not there before.
	Finding func(ctx context.Context, f Finding) error
}

// An Outbox sends the audit log of one station to its hub.
type Outbox struct {
	client   *client
	path     string // of the memory
	log      *slog.Logger
	source   Source
	handlers Handlers
	lock     *os.File

	turn, next int64 // as the hub said last; turn -1: it said nothing yet
	stored     time.Time

	mu     sync.Mutex
	memory memory
}

// Path is the file that says what the hub has taken.
func Path(dir workdir.Dir) string { return dir.In("outbox", "hub.state") }

// Open opens the outbox. Error: ErrBusy.
func Open(dir workdir.Dir, source Source, config Config, handlers Handlers, log *slog.Logger) (*Outbox, error) {
	o := &Outbox{client: newClient(config), path: Path(dir), source: source, handlers: handlers, log: log.With("hub", config.URL), turn: -1}
	if err := os.MkdirAll(filepath.Dir(o.path), 0o700); err != nil {
		return nil, err
	}
	var err error
	if o.lock, err = os.OpenFile(o.path+".lock", os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(o.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(ErrBusy, o.lock.Close())
	}
	if o.memory, err = remember(o.path); err != nil {
		return nil, errors.Join(err, o.lock.Close())
	}
	return o, nil
}

var errMemory = errors.New("the file of the outbox to the hub cannot be read; remove it: the hub tells what it has")

func remember(path string) (m memory, err error) {
	text, err := workdir.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil || m.Taken < 0 {
		return m, fmt.Errorf("%s: %w", path, errors.Join(errMemory, err))
	}
	return m, nil
}

// Remembered gives how many entries the hub has taken, as far as the station remembers, and its open findings. An archive must leave the entries after
// these.
func Remembered(dir workdir.Dir) (taken int64, findings []Finding, err error) {
	m, err := remember(Path(dir))
	return m.Taken, m.Findings, err
}

// storeEvery is how often the memory goes to the disk while only the number of entries changes: an older number does no harm.
const storeEvery = time.Second

// keep changes the memory, and stores what must not be forgotten.
func (o *Outbox) keep(change func(*memory)) error {
	o.mu.Lock()
	before := o.memory
	change(&o.memory)
	now := o.memory
	o.mu.Unlock()
	before.Taken = now.Taken
	if reflect.DeepEqual(before, now) && time.Since(o.stored) < storeEvery {
		return nil
	}
	return o.store(now)
}

func (o *Outbox) store(m memory) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	o.stored = time.Now()
	return workdir.WriteFile(o.path, append(text, '\n'))
}

// Findings gives the open findings about this station, as the hub said last, also before a restart.
func (o *Outbox) Findings() []Finding {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.memory.Findings)
}

// Send sends all entries that wait. It returns ErrNotTaken if the hub does not take them.
func (o *Outbox) Send(ctx context.Context) error {
	for misses := 0; ; {
		push, err := o.newest(ctx)
		if err != nil {
			return err
		}
		answer, err := o.client.push(ctx, push)
		if err != nil {
			return err
		}
		if err := o.heed(ctx, push, &answer); err != nil {
			return err
		}
		switch {
		case answer.Taken && answer.Next >= push.Size:
			return nil
		case answer.Taken:
			misses = 0
		case push.Turn == -1: // now the outbox knows what the hub has
		default:
			if misses++; misses > 2 {
				return fmt.Errorf("%w: it has %s, and this log has %d%s", ErrNotTaken, reason.Count(answer.Next, "entry", "entries"), push.Size, why(answer.Findings))
			}
		}
	}
}

// why names the findings for which a hub takes no entries.
func why(findings []Finding) string {
	for _, f := range findings {
		if f.Kind == FindingFork || f.Kind == FindingRollback {
			return fmt.Sprintf("; finding %d, %s: %s", f.ID, f.Kind, reason.Printable(f.Text))
		}
	}
	return ""
}

// newest makes the next Push.
func (o *Outbox) newest(ctx context.Context) (*Push, error) {
	size, err := o.source.LogSize(ctx)
	if err != nil {
		return nil, err
	}
	p := &Push{Version: Version, Turn: o.turn, Size: size, From: min(o.next, size), Taken: o.memory.Taken, Leases: o.memory.Leases}
	if o.turn >= 0 && p.From < size {
		if p.Entries, err = o.source.Bodies(ctx, p.From, min(size, p.From+MaxEntries)); err != nil {
			return nil, err
		}
		p.Entries = p.Entries[:fitting(p.Entries)]
	}
	root, err := o.source.RootAt(ctx, p.From)
	if err != nil {
		return nil, err
	}
	p.Root = root[:]
	if p.Checkpoint, err = o.source.CheckpointUpTo(ctx, p.From+int64(len(p.Entries))); err != nil {
		return nil, err
	}
	p.Certificates, err = o.certificates(ctx, p.Entries)
	return p, err
}

// fitting gives how many entries are sent at once.
func fitting(bodies [][]byte) int {
	octets := 0
	for i, body := range bodies {
		if octets += len(body); octets > maxBodies && i > 0 {
			return i
		}
	}
	return len(bodies)
}

// certificates gives the certificates that entries tell of.
func (o *Outbox) certificates(ctx context.Context, entries [][]byte) (all [][]byte, err error) {
	for _, body := range entries {
		if !bytes.Contains(body, []byte(`"type":"cert.issued"`)) {
			continue // most entries are not decoded
		}
		e, err := audit.Decode(body)
		if err != nil {
			return nil, err
		}
		if e.Cert == nil {
			continue
		}
		der, err := o.source.Certificate(ctx, e.Cert.Serial)
		if err != nil {
			return nil, err
		}
		if der != nil {
			all = append(all, der)
		}
	}
	return all, nil
}

// heed does what an Answer says.
func (o *Outbox) heed(ctx context.Context, push *Push, a *Answer) error {
	heard := push.Turn >= 0 && a.Turn == push.Turn+1 // the hub has compared what this station remembers with what it has
	o.turn, o.next = a.Turn, a.Next
	err := o.keep(func(m *memory) {
		if a.Taken || heard {
			m.Taken = a.Next
		}
		if heard {
			m.Leases = a.Leases
		}
		m.Leases, m.Findings = max(m.Leases, a.Leases), a.Findings
	})
	for _, f := range slices.Backward(a.Findings) { // the oldest first
		if err == nil && !slices.Contains(o.memory.Known, f) {
			if err = o.handlers.Finding(ctx, f); err == nil {
				err = o.keep(func(m *memory) { m.Known = append(slices.Clone(m.Known), f) })
			}
		}
	}
	if err == nil {
		err = o.keep(func(m *memory) { m.Known = a.Findings }) // closed ones are forgotten
	}
	for _, order := range a.Orders {
		if bad := o.handlers.Order(ctx, order); bad != nil {
			o.log.Warn("an order of the hub is not opened", "error", bad)
		}
	}
	return err
}

// Close closes the outbox. What waits stays in the log.
func (o *Outbox) Close() error {
	o.client.http.CloseIdleConnections()
	return errors.Join(o.store(o.memory), o.lock.Close())
}

// LogSize implements sender.Outbox.
func (o *Outbox) LogSize(ctx context.Context) (int64, error) { return o.source.LogSize(ctx) }

const (
	sayHello  = 5 * time.Second // between two Pushes of an idle station: so the hub sees that it is there, and gives it orders
	lastPause = time.Minute     // longest pause after a refusal
)

// A Sender sends beside a station, until End.
type Sender struct {
	*sender.Sender
	outbox *Outbox
}

// Start begins to send.
func Start(o *Outbox) *Sender {
	return &Sender{sender.Start(o, sender.Options{Log: o.log, Hello: sayHello, LastPause: lastPause,
		Waits: "the entries of the audit log wait, and are sent again; the line goes on", Again: "the hub takes the entries of the audit log again"}), o}
}

// Findings gives the open findings about this station.
func (s *Sender) Findings() []Finding { return s.outbox.Findings() }
