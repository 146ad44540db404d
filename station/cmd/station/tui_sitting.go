package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/ui"
	"hallmark/ui/catalogue"
)

// A sitting is the operator's interface from its first look at the station's files
// to the last entry in the log. After open it has a line, whose HSM is opened
// when the screen stands (see desk.Examine) or, with lines of text, before the first one.
type sitting struct {
	*command
	ask    *screen
	places []place
	texts  *catalogue.Catalogue
	badges map[string]badge
	feed   *ui.Feed
	lines  *ui.Plain // nil: a screen
	bench  *bench
	line   *line
	desk   *desk
	who    ui.Operator // signed in at the start, if anybody is
}

// tui is the whole command.
func (c *command) tui(ctx context.Context, ask *screen) (err error) {
	// 1. What is asked for; nothing is touched before all of it makes sense.
	t, err := c.sitting(ask)
	if err != nil {
		return err
	}

	// 2. Files and registry, which turn a second station away before the screen opens.
	now, drain, done := watch(ctx)
	defer done()
	defer func() { err = errors.Join(err, t.bench.close()) }()
	if err := t.open(now, drain); err != nil {
		return err
	}

	// 3. The shift. Whatever ends it, Runs end first, then the log.
	defer context.AfterFunc(drain, t.line.close)()
	keeper := t.line.keepFrom(now)
	err = t.show(drain)
	if drain.Err() != nil { // there may be no terminal left to close
		err = &exitError{exitAborted, errInterrupted}
	}
	return errors.Join(err, t.line.end(keeper))
}

func (c *command) sitting(ask *screen) (*sitting, error) {
	s, err := existing(c.dir)
	if err != nil {
		return nil, err
	}
	t := &sitting{command: c, ask: ask, feed: ui.NewFeed(0), bench: ask.opening(s)}
	if t.places, t.texts, err = ask.read(c); err != nil {
		return nil, usage(err)
	}
	if t.badges, err = readBadges(s.in("badges.yaml")); err != nil {
		return nil, usage(err)
	}
	t.bench.show = t.feed.Log
	if ask.plain {
		t.lines = ui.NewPlain(c.stdout, t.texts, names(t.places), !ui.UTF8Locale(os.Getenv), false)
	}
	return t, nil
}

// open opens files and registry, makes the bays, and puts the start on record.
func (t *sitting) open(now, drain context.Context) (err error) {
	if err := t.bench.openRecord(drain); err != nil {
		return err
	}
	if err := t.emulated(); err != nil {
		return err
	}
	if t.line, err = newLine(now, t.bench, t.ask.fleet(t.bench), t.places, t.event); err != nil {
		return err
	}
	t.desk = &desk{bench: t.bench, line: t.line, badges: t.badges}
	if t.prompts() {
		t.bench.pin = untyped
	}
	return t.begin(drain)
}

// emulated refuses boards without hardware where the configuration does.
func (t *sitting) emulated() error {
	for _, p := range t.places {
		if p.model != nil && !t.bench.config.Boards.AllowEmulated {
			return usage(fmt.Errorf("--boards %s: %w", p.bay, errNotEmulated))
		}
	}
	return nil
}

func (s *screen) fleet(b *bench) *fleet {
	return &fleet{state: b.state, firmware: b.config.Firmware, folder: s.firmware, file: s.image, baud: b.config.Boards.Baud,
		network: b.overNetwork()}
}

// event hands on what the engine says.
func (t *sitting) event(e station.Event) {
	t.line.event(e)
	if t.feed.Push(e); t.lines != nil {
		t.lines.Event(e)
	}
}

// prompts reports whether the screen has to ask for the PIN.
func (t *sitting) prompts() bool {
	return t.lines == nil && t.bench.config.PINSource(string(t.bench.state)) == "prompt"
}

var errUntyped = errors.New("the PIN was not typed yet")

// untyped is the PIN source until somebody has typed it: the terminal is the screen's.
func untyped(context.Context) (hsm.Secret, error) { return hsm.Secret{}, errUntyped }

// begin puts the start on record, opens the work order and signs the operator in.
func (t *sitting) begin(ctx context.Context) (err error) {
	if err := t.bench.note("station.start", audit.Success, map[string]string{"boards": t.ask.boards}); err != nil {
		return err
	}
	badge := t.ask.operator
	if badge == "" && t.badges == nil {
		badge = operator()
	}
	if badge != "" {
		if t.who, err = t.desk.SignIn(ctx, badge); err != nil {
			t.who = ui.Operator{}
			return usage(fmt.Errorf("--operator: %w", err))
		}
	}
	if t.ask.order != "" {
		if _, err := t.line.Switch(ctx, t.ask.order, t.who.ID); err != nil {
			return usage(fmt.Errorf("--order: %w", err))
		}
	}
	t.line.refresh(ctx)
	return nil
}

// show is the interface until the operator leaves it or drain ends.
func (t *sitting) show(drain context.Context) error {
	if t.lines != nil {
		if err := t.bench.openLine(drain, t.event); err != nil {
			return err
		}
		t.line.ready()
		return t.converse(drain)
	}
	defer t.desk.leave() // before anything that an examination works with is closed
	return ui.Run(drain, t.options(), t.stdin)
}

func (t *sitting) options() ui.Options {
	l, d, engine := t.line, t.desk, t.bench.engine(nil)
	options := ui.Options{
		Needs: ui.Needs{Line: l, Bays: l, Facts: l, Badges: d, Orders: l, History: d, Detail: d, Doctor: d, Copier: d},
		Texts: t.texts, Feed: t.feed, Station: t.bench.config.Station, Steps: engine.Steps(), BayNames: names(t.places), Now: time.Now,
		Out: t.stdout, Colour: os.Getenv("NO_COLOR") == "", ASCII: !ui.UTF8Locale(os.Getenv), Bell: t.ask.bell, Takt: t.ask.takt,
		IdleLock: t.ask.idleLock, Operator: t.who, ShiftBegan: t.ask.shifts.began, Earlier: d.earlier,
	}
	if t.prompts() {
		options.Opener = d
	}
	return options
}
