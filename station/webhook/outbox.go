package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/sender"
	"hallmark/station/workdir"
)

// ErrBusy: another process sends to this receiver now.
var ErrBusy = reason.New("webhook-busy", "another process sends the endings to this receiver")

// An Outbox sends the endings of one station to one receiver, in their order.
type Outbox struct {
	client *client
	path   string // of the cursor
	log    *slog.Logger
	source Source
	lock   *os.File
}

// A Source is the registry.
type Source interface {
	LogSize(ctx context.Context) (int64, error)
	// EndedFrom gives the Runs that ended in at most most entries from a number on, and the number of the first entry that it has not read.
	EndedFrom(ctx context.Context, from, most int64) (ended []registry.Ended, next int64, err error)
}

// A cursor says what the receiver has taken.
type cursor struct {
	Next int64 `json:"next"` // all endings before this entry of the audit log
}

// chunk is how many entries are read at once.
const chunk = 1000

// Open opens the outbox of a receiver. A new receiver is told of the endings from now on. Error: ErrBusy.
func Open(ctx context.Context, dir workdir.Dir, source Source, config Config, log *slog.Logger) (*Outbox, error) {
	o := &Outbox{client: newClient(config), path: Path(dir, config.Name), source: source, log: log.With("webhook", config.Name)}
	if err := os.MkdirAll(filepath.Dir(o.path), 0o700); err != nil {
		return nil, err
	}
	var err error
	if o.lock, err = os.OpenFile(o.path+".lock", os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(o.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("webhook %s: %w", config.Name, ErrBusy), o.lock.Close())
	}
	if err := o.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("webhook %s: %w", config.Name, err), o.lock.Close())
	}
	return o, nil
}

// Path is the file that says what a receiver has taken.
func Path(dir workdir.Dir, name string) string { return dir.In("outbox", name+".json") }

// begin stores the cursor of a new receiver before a Run can end.
func (o *Outbox) begin(ctx context.Context) error {
	next, err := Taken(o.path)
	if err == nil {
		size, err := o.source.LogSize(ctx)
		if err == nil && next > size {
			o.log.Warn("the audit log is shorter than what the receiver has taken: an older registry was put back", "taken", next, "entries", size)
			return o.store(size)
		}
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	size, err := o.source.LogSize(ctx)
	if err != nil {
		return err
	}
	return o.store(size)
}

// Taken gives the number of the first entry that may not have been taken. Error: fs.ErrNotExist for a receiver that was told nothing yet.
func Taken(path string) (int64, error) {
	text, err := workdir.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var c cursor
	if err := json.Unmarshal(text, &c); err != nil || c.Next < 0 {
		return 0, fmt.Errorf("%s: %w: want a number of an entry under next; remove the file to begin with the endings from now on", path, errors.Join(errCursor, err))
	}
	return c.Next, nil
}

var errCursor = errors.New("the file of an outbox cannot be read")

func (o *Outbox) store(next int64) error {
	text, err := json.Marshal(cursor{next})
	if err != nil {
		return err
	}
	return workdir.WriteFile(o.path, append(text, '\n'))
}

// Flush sends all endings that wait, and gives how many the receiver took. It ends at the first one that the receiver does not take.
func (o *Outbox) Flush(ctx context.Context) (sent int, err error) {
	next, err := Taken(o.path)
	for stored := next; err == nil; stored = next {
		var ended []registry.Ended
		var after int64
		if ended, after, err = o.source.EndedFrom(ctx, next, chunk); err != nil || after == next {
			return sent, err
		}
		for i := range ended {
			e := &ended[i]
			if len(o.client.Endings) == 0 || slices.Contains(o.client.Endings, e.Ending) {
				if err = o.client.send(ctx, e, time.Now()); err != nil {
					break
				}
				sent++
			}
			next = e.Entry.Seq + 1
		}
		if err == nil {
			next = after
		}
		if next != stored {
			err = errors.Join(err, o.store(next))
		}
	}
	return sent, err
}

// Waiting gives how many endings the receiver has not taken, and when the oldest of them was.
func (o *Outbox) Waiting(ctx context.Context) (n int, oldest time.Time, err error) {
	next, err := Taken(o.path)
	return Waiting(ctx, o.source, next, o.client.Endings, err)
}

// Waiting counts the endings from an entry on, and gives when the oldest of them was.
func Waiting(ctx context.Context, source Source, next int64, endings []string, err error) (n int, oldest time.Time, _ error) {
	for err == nil {
		var ended []registry.Ended
		var after int64
		if ended, after, err = source.EndedFrom(ctx, next, chunk); err != nil || after == next {
			break
		}
		for i := range ended {
			if len(endings) == 0 || slices.Contains(endings, ended[i].Ending) {
				if n++; n == 1 {
					oldest = ended[i].Entry.Time.Time
				}
			}
		}
		next = after
	}
	return n, oldest, err
}

// Close closes the outbox. What waits stays.
func (o *Outbox) Close() error {
	o.client.http.CloseIdleConnections()
	return o.lock.Close()
}

// LogSize implements sender.Outbox.
func (o *Outbox) LogSize(ctx context.Context) (int64, error) { return o.source.LogSize(ctx) }

// Send implements sender.Outbox.
func (o *Outbox) Send(ctx context.Context) error {
	_, err := o.Flush(ctx)
	return err
}

// lastPause is the longest pause after a refusal.
const lastPause = 5 * time.Minute

// Start begins to send beside a station.
func Start(o *Outbox) *sender.Sender {
	return sender.Start(o, sender.Options{Log: o.log, LastPause: lastPause,
		Waits: "the endings of Runs wait, and are sent again; the line goes on", Again: "the receiver takes the endings of Runs again"})
}
