package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/ui"
)

// A line is the bench as the operator's screen works with it: it implements
// ui.Line, ui.Bays and ui.FactsSource. Each Run has a goroutine that end waits for.
type line struct {
	bench   *bench
	life    context.Context     // its end ends Runs wherever they are
	events  func(station.Event) // of the engine
	reports *reports
	log     *slog.Logger
	runs    sync.WaitGroup
	suspect chan struct{} // holds one element when the HSM is to be probed

	mu        sync.Mutex // covers what follows
	open      *opened    // nil before ready
	slots     []*slot
	busy      int           // Runs under way
	quiet     chan struct{} // closed while there is none
	order     ui.Order
	operator  string // who switched automatic on
	automatic bool
	draining  bool // until the Runs under way have ended
	closed    bool // for good
	anchored  time.Time
	uncovered int    // Runs that have ended since the last checkpoint
	auditBad  string // why the record cannot be read
	unwritten string // why the last Run was not recorded
	away      error  // why the HSM does not answer, nil while it does
}

// opened is what the line has when HSM and engine are open.
type opened struct {
	station *station.Station
	token   *hsm.Token
	audit   crypto.Signer
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
	passed    time.Time
	presence  presence
	lost      *ui.Start // the Run that the HSM's loss cost, to be started again
	resumed   int       // how often that was done in a row
}

var (
	errNoBay      = errors.New("there is no such bay")
	errBaySkipped = errors.New("bay is skipped: take it back in first")
	errNotOpen    = errors.New("the line is not open: see the examination")
)

// newLine makes a slot for each place.
func newLine(life context.Context, b *bench, f *fleet, places []place, events func(station.Event)) (*line, error) {
	images, err := f.images(places)
	if err != nil {
		return nil, err
	}
	reports, err := openReports(b, "", "")
	if err != nil {
		return nil, err
	}
	l := &line{bench: b, life: life, events: events, reports: reports, log: b.log, suspect: make(chan struct{}, 1), quiet: make(chan struct{})}
	close(l.quiet)
	for _, p := range places {
		s := &slot{place: p, board: 1}
		if p.model != nil {
			s.presence.now = ui.BoardPresent
		}
		s.bay = &station.Bay{Name: p.bay, Next: l.factory(s, f, images[p.model])}
		l.slots = append(l.slots, s)
	}
	return l, nil
}

// ready lets Runs begin. The bench is open then, and stays as it is.
func (l *line) ready() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = &opened{l.bench.station, l.bench.token, l.bench.audit}
	if l.draining || l.closed {
		l.open.station.Drain()
	}
}

// opened gives nil before ready.
func (l *line) opened() *opened {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
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
	if err := l.whyNot(s, ask.Bay); err != nil {
		return err
	}
	if s.last == station.Pass && ask.Rework == "" {
		s.board++
	}
	ctx, cancel := context.WithCancel(l.life)
	s.running, s.committed, s.lost, s.expect, s.cancel = true, false, nil, ask.Expect, cancel
	s.presence.appeared = false
	if l.busy++; l.busy == 1 {
		l.quiet = make(chan struct{})
	}
	l.runs.Go(func() { l.run(ctx, s, l.open.station, ask) })
	return nil
}

// whyNot needs mu.
func (l *line) whyNot(s *slot, bay string) error {
	switch {
	case l.draining || l.closed || l.life.Err() != nil:
		return station.ErrDraining
	case l.open == nil:
		return errNotOpen
	case l.away != nil:
		return fmt.Errorf("%w: %w", ui.ErrHSMAway, l.away)
	case s.running:
		return fmt.Errorf("%s: %w", bay, ui.ErrBusy)
	case s.skipped != "":
		return fmt.Errorf("%s: %w (%s)", bay, errBaySkipped, s.skipped)
	case s.bay.Stopped() != nil:
		return fmt.Errorf("%s: %w", bay, s.bay.Stopped())
	}
	return nil
}

// run is one Run in its goroutine.
func (l *line) run(ctx context.Context, s *slot, engine *station.Station, ask ui.Start) {
	defer s.cancel()
	bench := &station.Bench{Station: engine, Bays: []*station.Bay{s.bay}, Operator: ask.Operator, Order: ask.Order, Rework: ask.Rework}
	runs, err := bench.Run(ctx)
	if err != nil && len(runs) == 0 {
		l.log.Warn("a Run was not begun", "bay", ask.Bay, "error", err)
	}
	for _, run := range runs {
		l.reports.add(run)
		if run.Err != nil {
			l.log.Warn("Run ended", "bay", run.Bay, "run", run.ID, "ending", run.Ending, "reason", run.Reason, "error", run.Err)
		}
	}
	l.ended(s, runs, ask)
	l.refresh(context.WithoutCancel(ctx))
}

// ended frees the bay.
func (l *line) ended(s *slot, runs []*station.Run, ask ui.Start) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.running = false
	if l.uncovered += len(runs); len(runs) > 0 { // one for each key of the board; the last one decides
		run := runs[len(runs)-1]
		s.last, s.passed = run.Ending, run.Finished
		if l.unwritten = ""; errors.Is(run.Err, station.ErrRegistry) {
			l.unwritten = oneLine(run.Err)
		}
		l.judge(s, run, ask)
	}
	if l.busy--; l.busy == 0 {
		close(l.quiet)
		l.rearm()
	}
}

// hsmReasons are those of a Fault in the step sign that the HSM's loss may be behind.
var hsmReasons = []string{"signing", "not-signed", "timeout", "unresolved"}

// judge needs mu. What the HSM may have cost is kept, and the HSM is probed.
func (l *line) judge(s *slot, run *station.Run, ask ui.Start) {
	steps := len(run.Steps)
	if run.Ending != station.Fault || steps == 0 || run.Steps[steps-1].Name != "sign" || !slices.Contains(hsmReasons, run.Reason) {
		s.resumed = 0
		return
	}
	ask.Expect = run.Identity.ID.String() // whoever changes the board meanwhile starts it himself
	s.lost = &ask
	select {
	case l.suspect <- struct{}{}:
	default:
	}
}

// event takes notice of what the engine says before the screen does.
func (l *line) event(e station.Event) {
	begun, signs := e.Kind == station.RunStarted, e.Kind == station.StepStarted && e.Step == "sign"
	if !begun && !signs {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, err := l.find(e.Bay); err == nil {
		s.committed = signs
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

// Drain implements ui.Line. When all Runs have ended the line can be started again.
func (l *line) Drain(ctx context.Context, operator string) error {
	noted := l.bench.said(ctx, "line.drain", audit.Success, operator, nil)
	l.mu.Lock()
	l.drain()
	if l.busy == 0 {
		l.rearm()
	}
	l.mu.Unlock()
	return errors.Join(noted, l.wait(ctx))
}

// close starts no more Runs, for good, and ends those before sign.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.drain()
}

// drain needs mu.
func (l *line) drain() {
	l.draining, l.automatic = true, false
	for _, s := range l.slots {
		s.lost = nil
	}
	if l.open != nil {
		l.open.station.Drain()
	}
}

// rearm needs mu. An engine that was drained stays so; the next Runs get another one.
func (l *line) rearm() {
	if !l.draining || l.closed {
		return
	}
	if l.open != nil {
		engine, err := station.New(l.bench.engine(l.events))
		if err != nil {
			l.log.Error("starting the line again", "error", err)
			return
		}
		l.open = &opened{engine, l.open.token, l.open.audit}
	}
	l.draining = false
}

// wait returns when no Run is under way, or when ctx is done.
func (l *line) wait(ctx context.Context) error {
	l.mu.Lock()
	quiet := l.quiet
	l.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for Runs: %w", ctx.Err())
	}
}

// end waits for Runs and for the keeper, and signs the log as it stands.
func (l *line) end(k *keeper) error {
	l.close()
	l.runs.Wait() // bounded: each Run has its own time-out, and a second signal cuts it
	k.end()
	errs := append(slices.Clip(l.reports.errs), l.reports.close(), l.bench.note("station.stop", audit.Success, nil))
	if l.opened() != nil {
		errs = append(errs, l.bench.checkpoint())
	}
	return errors.Join(errs...)
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
		s.skipped, s.lost = reason, nil
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

// leaveAlone starts nothing more by itself: nobody is there.
func (l *line) leaveAlone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.automatic = false
	for _, s := range l.slots {
		s.lost = nil
	}
}
