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

// DefaultPoll is the time between two looks without a message of the kernel. A look reads the names in three directories.
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
	known, err := w.root.after(state{})
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
func (w *Watcher) work(ctx context.Context, known state, messages <-chan struct{}) {
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
		if now, err := w.root.after(known); err == nil { // an error ends by itself, or the next call says it where it matters
			note(pending, known.ports, now.ports)
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

// A state is what a Watcher compares.
type state struct {
	names  [3]string         // in the directories of devices, of ttys, and of names by place
	ports  map[string]string // the UARTs of each device with their names by place, as one text
	places map[string]string // tty, by its name by place
}

// after returns the state now. Most looks find the same names as the last one, and read nothing else: a station with 32 bays
// would need a part of a core for the links. Devices that change places between two looks, all with the same names of ttys, are not seen.
func (r root) after(last state) (state, error) {
	var entries [3][]string
	now := state{ports: map[string]string{}, places: map[string]string{}}
	for i, folder := range []string{usbDevices, ttyClass, byPath} {
		found, err := names(r.at(folder))
		if err != nil {
			return state{}, err
		}
		entries[i], now.names[i] = found, strings.Join(found, "\n")
	}
	if now.names == last.names {
		return last, nil
	}
	found, err := r.uarts(entries[0], entries[1])
	if err != nil {
		return state{}, err
	}
	names, err := r.namesByPlace(entries[2], entries[1], last.places, now.places)
	if err != nil {
		return state{}, err
	}
	for path, ports := range found {
		var all []string
		for _, port := range ports {
			tty := strings.TrimPrefix(port.Device, "/dev/")
			all = append(all, tty+" "+strings.Join(names[tty], " "))
		}
		now.ports[path] = strings.Join(all, "\n")
	}
	return now, nil
}

// namesByPlace returns the names of each tty. It reads only the links that are new, or whose tty is gone.
func (r root) namesByPlace(entries, ttys []string, last, places map[string]string) (map[string][]string, error) {
	names := map[string][]string{}
	for _, name := range entries {
		tty, known := last[name]
		if !known || !slices.Contains(ttys, tty) {
			var err error
			if tty, err = link(r.at(byPath, name)); err != nil {
				return nil, err
			}
		}
		places[name] = tty
		names[tty] = append(names[tty], name)
	}
	return names, nil
}
