package usb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Event says that a device came or went. A UART that comes later than its device, or that comes back under
// another number, is an event of its device, too.
type Event struct {
	Path string // USB path
	Came bool   // false: the device went
}

// A Watcher notices what is plugged in and pulled. The kernel's messages say when to look, and the tree says what
// has changed, so lost messages and messages in large numbers do no harm. The Watcher also looks by itself, because
// no message comes in a container.
type Watcher struct {
	root   root
	poll   time.Duration
	kernel *messages // nil: the machine has no messages
	stop   context.CancelFunc
	events chan []Event
	ended  sync.WaitGroup
	err    error // why Watch works without messages
}

// WatchOptions change how a Watcher works.
type WatchOptions struct {
	Root string        // "": "/", this machine
	Poll time.Duration // between two looks without a message; 0: DefaultPoll
}

// DefaultPoll is the time between two looks without a message of the kernel. A look reads four directories.
const DefaultPoll = 200 * time.Millisecond

// settle is how long a Watcher waits after a message, so that the about ten messages of one device make one look.
const settle = 10 * time.Millisecond

// Watch starts a Watcher, which works until ctx ends or Close is called. The devices that are plugged in
// already make no event.
func Watch(ctx context.Context, options WatchOptions) (*Watcher, error) {
	w := &Watcher{root: root(options.Root), poll: options.Poll, events: make(chan []Event)}
	if w.poll == 0 {
		w.poll = DefaultPoll
	}
	if w.root == "" || w.root == "/" {
		w.root = "/"
		w.kernel, w.err = listen(udevRuns(w.root))
	}
	return w, w.start(ctx)
}

func (w *Watcher) start(ctx context.Context) error {
	ctx, w.stop = context.WithCancel(ctx)
	known, err := w.root.snapshot()
	if err != nil {
		return errors.Join(fmt.Errorf("watching USB: %w", err), w.Close())
	}
	messages := make(chan struct{}, 1)
	if w.kernel != nil {
		w.ended.Go(func() { w.kernel.receive(messages) })
	}
	w.ended.Go(func() { w.work(ctx, known, messages) })
	return nil
}

// Polls returns why the Watcher works without messages of the kernel, or nil.
func (w *Watcher) Polls() error { return w.err }

// Events returns a channel with changes. Changes that nobody takes are kept, one for each USB path at most:
// the newest.
func (w *Watcher) Events() <-chan []Event { return w.events }

// Close ends the Watcher and waits for its goroutines.
func (w *Watcher) Close() error {
	w.stop()
	err := w.kernel.close()
	w.ended.Wait()
	if err != nil {
		return fmt.Errorf("closing the messages of the kernel: %w", err)
	}
	return nil
}

// work compares the tree with the last one at each message and at each tick.
func (w *Watcher) work(ctx context.Context, known map[string]string, messages <-chan struct{}) {
	tick := time.NewTicker(w.poll)
	defer tick.Stop()
	pending := map[string]bool{}
	for {
		var out chan<- []Event // nil while nothing has changed: a send waits for ever
		if len(pending) > 0 {
			out = w.events
		}
		select {
		case <-ctx.Done():
			return
		case out <- list(pending):
			clear(pending)
			continue
		case <-messages:
			sleep(ctx, settle)
		case <-tick.C:
		}
		if now, err := w.root.snapshot(); err == nil { // an error ends by itself, or the next call says it where it matters
			note(pending, known, now)
			known = now
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// note adds the difference of two snapshots to pending.
func note(pending map[string]bool, before, now map[string]string) {
	for path := range before {
		if _, there := now[path]; !there {
			pending[path] = false
		}
	}
	for path, ports := range now {
		if old, there := before[path]; !there || old != ports {
			pending[path] = true
		}
	}
}

func list(pending map[string]bool) []Event {
	var events []Event
	for _, path := range slices.SortedFunc(maps.Keys(pending), comparePaths) {
		events = append(events, Event{path, pending[path]})
	}
	return events
}

// snapshot returns each device with the names of its UARTs, as one text. It reads as little as possible: the
// names of devices, and where the ttys are.
func (r root) snapshot() (map[string]string, error) {
	entries, err := names(r.at(usbDevices))
	if err != nil {
		return nil, err
	}
	devices := map[string]string{}
	for path := range grouped(entries) {
		devices[path] = ""
	}
	ttys, err := r.ttys()
	if err != nil {
		return nil, err
	}
	stable, err := r.stableNames()
	if err != nil {
		return nil, err
	}
	for path, ports := range ttys {
		if _, there := devices[path]; !there {
			continue // gone since the directory of devices was read
		}
		var all []string
		for _, tty := range ports {
			all = append(all, tty.name+" "+stable.byPath[tty.name])
		}
		slices.Sort(all)
		devices[path] = strings.Join(all, "\n")
	}
	return devices, nil
}
