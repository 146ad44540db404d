package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/registry"
	"hallmark/ui"
)

// A line is the bench as the operator's screen works with it: it implements
// ui.Line, ui.Bays and ui.FactsSource. Each Run has a goroutine that Wait waits for.
type line struct {
	bench   *bench
	life    context.Context // its end ends Runs wherever they are
	reports *reports
	log     *slog.Logger
	runs    sync.WaitGroup
	suspect chan struct{} // holds one element when the HSM is to be probed

	mu        sync.Mutex // covers what follows
	slots     []*slot
	order     ui.Order
	operator  string // who switched automatic on
	automatic bool
	draining  bool
	anchored  time.Time
	auditBad  string
	away      error // why the HSM does not answer, nil while it does
}

// A slot is a bay with what the screen asked of it.
type slot struct {
	bay       *station.Bay
	place     place
	board     int // number of the emulated board that sits in the bay
	skipped   string
	expect    string
	running   bool
	committed bool // the Run has reached sign: it goes to its end
	cancel    context.CancelFunc
	last      station.Ending
	again     bool // the HSM was lost in its last Run
}

var (
	errNoBay      = errors.New("there is no such bay")
	errBaySkipped = errors.New("bay is skipped: take it back in first")
)

// newLine makes a slot for each place.
func newLine(life context.Context, b *bench, f *fleet, places []place, reports *reports) (*line, error) {
	images, err := f.images(places)
	if err != nil {
		return nil, err
	}
	l := &line{bench: b, life: life, reports: reports, log: b.log, suspect: make(chan struct{}, 1)}
	for _, p := range places {
		s := &slot{place: p, board: 1}
		s.bay = &station.Bay{Name: p.bay, Next: l.factory(s, f, images[p.model])}
		l.slots = append(l.slots, s)
	}
	return l, nil
}

// factory gives the board that sits in the bay, and holds it to the label that was scanned.
func (l *line) factory(s *slot, f *fleet, image string) next {
	take := func(ctx context.Context) (station.Board, io.Closer, error) {
		l.mu.Lock()
		number := s.board
		l.mu.Unlock()
		return f.board(ctx, s.place, image, number)
	}
	if s.place.model == nil {
		take = f.serial(s.place)
	}
	return func(ctx context.Context) (station.Board, io.Closer, error) {
		board, closer, err := take(ctx)
		l.mu.Lock()
		expect := s.expect
		l.mu.Unlock()
		if err != nil || expect == "" {
			return board, closer, err
		}
		want, err := devices.ParseBoardID(expect)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("reading the scanned label: %w", err), closer.Close())
		}
		return labelled{board.(client), want}, closer, nil
	}
}

// client is all that the engine asks of a board.
type client interface {
	station.Board
	station.BoardCounters
	station.BoardWaits
}

// labelled refuses a board whose label says something else than the board, before
// anything but its identity was asked.
type labelled struct {
	client
	want devices.BoardID
}

// Identify refuses with a station.SwappedError.
func (b labelled) Identify(ctx context.Context) (devices.Identity, error) {
	id, err := b.client.Identify(ctx)
	if err == nil && id.ID != b.want {
		err = fmt.Errorf("comparing the board with its label: %w", &station.SwappedError{Want: b.want, Got: id.ID})
	}
	return id, err
}

// Start implements ui.Line.
func (l *line) Start(ctx context.Context, ask ui.Start) error {
	if ask.Order != "" {
		if _, err := l.bench.openedOrder(ctx, ask.Order); err != nil {
			return err
		}
	}
	if err := l.bench.roomOnDisk(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.find(ask.Bay)
	if err != nil {
		return err
	}
	return l.begin(s, ask)
}

// begin needs mu.
func (l *line) begin(s *slot, ask ui.Start) error {
	switch {
	case l.draining || l.life.Err() != nil:
		return station.ErrDraining
	case l.away != nil:
		return fmt.Errorf("%w: %w", ui.ErrHSMAway, l.away)
	case s.running:
		return fmt.Errorf("%s: %w", ask.Bay, ui.ErrBusy)
	case s.skipped != "":
		return fmt.Errorf("%s: %w (%s)", ask.Bay, errBaySkipped, s.skipped)
	case s.bay.Stopped() != nil:
		return fmt.Errorf("%s: %w", ask.Bay, s.bay.Stopped())
	}
	if s.last == station.Pass {
		s.board++
	}
	ctx, cancel := context.WithCancel(l.life)
	s.running, s.committed, s.again, s.expect, s.cancel = true, false, false, ask.Expect, cancel
	l.runs.Go(func() { l.run(ctx, s, ask) })
	return nil
}

// run is one Run in its goroutine.
func (l *line) run(ctx context.Context, s *slot, ask ui.Start) {
	defer s.cancel()
	bench := &station.Bench{Station: l.bench.station, Bays: []*station.Bay{s.bay}, Operator: ask.Operator, Order: ask.Order}
	runs, err := bench.Run(ctx)
	if err != nil && l.bench.station != nil && len(runs) == 0 {
		l.log.Warn("a Run was not begun", "bay", ask.Bay, "error", err)
	}
	l.mu.Lock()
	s.running = false
	for _, run := range runs {
		l.ended(s, run)
	}
	l.mu.Unlock()
	l.refresh(context.WithoutCancel(ctx))
}

// ended needs mu.
func (l *line) ended(s *slot, run *station.Run) {
	s.last = run.Ending
	l.reports.add(run)
	if run.Err != nil {
		l.log.Warn("Run ended", "bay", run.Bay, "run", run.ID, "ending", run.Ending, "reason", run.Reason, "error", run.Err)
	}
	if run.Ending == station.Fault && slices.Contains([]string{"signing", "not-signed", "timeout", "unresolved"}, run.Reason) {
		s.again = true
		select {
		case l.suspect <- struct{}{}:
		default:
		}
	}
}

// event takes notice of what the engine says before the screen does.
func (l *line) event(e station.Event) {
	if e.Kind != station.StepStarted || e.Step != "sign" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, err := l.find(e.Bay); err == nil {
		s.committed = true
	}
}

func (l *line) find(bay string) (*slot, error) {
	for _, s := range l.slots {
		if s.bay.Name == bay {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", errNoBay, bay)
}

// Stop implements ui.Line: a Run that has reached sign goes to its end.
func (l *line) Stop(ctx context.Context, bay, operator string) error {
	if err := l.bench.said(ctx, "bay.stop", audit.Success, operator, map[string]string{"bay": bay}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.find(bay)
	if err == nil && s.running && !s.committed {
		s.cancel()
	}
	return err
}

// Drain implements ui.Line.
func (l *line) Drain(ctx context.Context, operator string) error {
	noted := l.bench.said(ctx, "line.drain", audit.Success, operator, nil)
	l.close()
	return errors.Join(noted, l.wait(ctx))
}

// close starts no more Runs and ends those before sign.
func (l *line) close() {
	l.mu.Lock()
	l.draining, l.automatic = true, false
	l.mu.Unlock()
	l.bench.station.Drain()
}

// wait returns when all Runs have ended, or when ctx is done.
func (l *line) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { l.runs.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for Runs: %w", ctx.Err())
	}
}

// Skip implements ui.Bays.
func (l *line) Skip(ctx context.Context, bay, reason, operator string) error {
	what := "bay.skipped"
	if reason == "" {
		what = "bay.returned"
	}
	return l.change(ctx, what, bay, operator, map[string]string{"reason": reason}, func(s *slot) error {
		if s.running {
			return fmt.Errorf("%s: %w", bay, ui.ErrBusy)
		}
		s.skipped = reason
		return nil
	})
}

// Acknowledge implements ui.Bays.
func (l *line) Acknowledge(ctx context.Context, bay, operator string) error {
	return l.change(ctx, "bay.acknowledged", bay, operator, nil, func(s *slot) error { s.bay.Acknowledge(); return nil })
}

// change puts on record what is then done to a bay.
func (l *line) change(ctx context.Context, what, bay, operator string, details map[string]string, do func(*slot) error) error {
	l.mu.Lock()
	s, err := l.find(bay)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	all := map[string]string{"bay": bay}
	for name, value := range details {
		if value != "" {
			all[name] = value
		}
	}
	if err := l.bench.said(ctx, what, audit.Success, operator, all); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return do(s)
}

// Automatic implements ui.Bays.
func (l *line) Automatic(ctx context.Context, on bool, operator, _ string) error {
	if err := l.bench.said(ctx, "line.automatic", audit.Success, operator, map[string]string{"on": fmt.Sprint(on)}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.automatic, l.operator = on, operator
	return nil
}

// said puts an operator's act on record.
func (b *bench) said(ctx context.Context, what string, outcome audit.Outcome, operator string, details map[string]string) error {
	return b.registry.Event(ctx, registry.Event{Type: what, Outcome: outcome, Operator: operator, Details: details})
}
