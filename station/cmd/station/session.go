package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/auditor"
	"hallmark/station/health"
	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/report"
	"hallmark/station/workdir"
	"hallmark/ui"
	"hallmark/ui/catalogue"
)

// A sessionPlan holds the parsed flags of the operator's interface.
type sessionPlan struct {
	*command
	ask   *screen
	dir   workdir.Dir
	bays  []instance.BaySpec
	texts *catalogue.Catalogue
	feed  *ui.Feed
	lines *ui.Plain     // nil: a screen
	view  *report.Queue // the reader of the lines
}

// A session is the operator's interface while files and registry are open. On a screen, the
// checks at the start of the shift open the HSM. With lines of text, the HSM is opened before
// the first line.
type session struct {
	*sessionPlan
	record     *instance.Record
	reports    *report.Files
	controller *operate.Controller
	operators  operate.Operators
	checker    *health.Checker
	who        operate.Operator // operator that --operator signs in at the start, may be zero
}

// tui is the whole command, from the flags to the exit code.
func (c *command) tui(ctx context.Context, ask *screen) (err error) {
	// 1. Check all flags before anything is opened.
	plan, err := c.plan(ask)
	if err != nil {
		return err
	}

	// 2. Open files and registry. The registry's lock refuses a second process before the screen opens.
	now, drain, done := watch(ctx)
	defer done()
	files, err := instance.OpenFiles(plan.dir, plan.options())
	if err != nil {
		return err
	}
	defer func() { err = afterwards(err, files.Close()) }()
	s, err := plan.open(now, drain, files)
	if err != nil {
		return err
	}

	// 3. The shift. At its end the Runs end first, and then a checkpoint is signed.
	defer context.AfterFunc(drain, s.controller.Close)()
	supervisor := s.controller.Supervise(now)
	err = s.show(drain)
	if drain.Err() != nil { // after a signal, the terminal may be closed already
		err = &exitError{exitAborted, errInterrupted}
	}
	trouble := s.end(supervisor)
	return afterwards(errors.Join(err, s.unread()), trouble)
}

// end ends the Runs, and then signs a checkpoint.
func (s *session) end(supervisor *operate.Supervisor) error {
	s.controller.Close()
	s.controller.WaitForRuns()
	supervisor.End()
	stopped := s.record.Note("station.stop", audit.Success, nil)
	return errors.Join(s.reports.Close(), stopped, s.controller.End())
}

// unread returns why lines of text were lost. A reader that has closed its pipe wants no more text.
func (s *session) unread() error {
	if s.lines == nil {
		return nil
	}
	if err := cmp.Or(s.lines.Err(), s.view.Flush()); !report.Closed(err) {
		return err
	}
	return nil
}

func (c *command) plan(ask *screen) (*sessionPlan, error) {
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return nil, err
	}
	p := &sessionPlan{command: c, ask: ask, dir: dir, feed: ui.NewFeed(0)}
	if p.bays, p.texts, err = ask.read(c, dir); err != nil {
		return nil, reason.Usage(err)
	}
	observers := report.NewObservers(c.stdout, c.stderr, ask.jsonl == report.Standard) // a reader that stops, or XOFF, stops no Run and no signal
	if c.stderr, p.view = observers.Stderr, observers.View; ask.plain {
		p.lines = ui.NewPlain(p.view, p.texts, instance.BayNames(p.bays), !ui.UTF8Locale(os.Getenv), false)
	}
	return p, nil
}

func (p *sessionPlan) options() instance.Options {
	options := p.ask.options()
	options.Show = p.feed.Log
	return options
}

// open opens the registry, makes the bays, and records the start in the audit log.
func (p *sessionPlan) open(now, drain context.Context, files *instance.Files) (*session, error) {
	record, err := files.OpenRecord(drain)
	if err != nil {
		return nil, err
	}
	if err := record.Migrate(drain); err != nil {
		return nil, err
	}
	boards, err := files.Boards(p.bays, p.ask.images)
	if err != nil {
		return nil, err
	}
	options := p.ask.reports(files, p.stdout)
	options.Issuing, options.Follow = files.Issuing.Raw, true
	reports, err := report.Open(options)
	if err != nil {
		return nil, err
	}
	reports.Rebuild(drain, record.Registry)
	s := &session{sessionPlan: p, record: record, reports: reports}
	s.controller = operate.New(now, record, operate.Options{Bays: p.bays, Boards: boards, Events: s.event, Ended: reports.Add, Paused: s.paused, Report: reports.Trouble})
	s.operators = operate.Operators{Controller: s.controller, Badges: files.Operators}
	s.checker = health.ForShift(record, s.prompts(), s.ready)
	s.checker.Examine(p.bays, boards)
	return s, s.begin(drain)
}

// ready lets Runs begin, and returns the finding of the last check.
func (s *session) ready(opened *instance.Instance) (string, error) {
	return fmt.Sprintf("%s, %s", reason.Count(len(s.bays), "bay", "bays"), reason.Count(len(opened.Steps()), "step", "steps")), s.controller.Ready(opened)
}

// event passes an event of the engine to the screen or to the lines.
func (s *session) event(e station.Event) {
	if s.feed.Push(e); s.lines != nil {
		s.lines.Event(e)
	}
}

// paused says in lines of text why Runs pause. A screen shows it from the facts.
func (s *session) paused(why error) {
	if s.lines != nil {
		s.lines.Paused(why)
	}
}

// prompts reports whether the screen must ask for the PIN.
func (s *session) prompts() bool {
	return s.lines == nil && s.record.Config.PINSource(string(s.dir)) == "prompt"
}

// begin records the start in the audit log, opens the work order and signs the operator in.
func (s *session) begin(ctx context.Context) (err error) {
	if err := s.record.Note("station.start", audit.Success, map[string]string{"boards": s.ask.named(s.bays)}); err != nil {
		return err
	}
	badge := s.ask.operator
	if badge == "" && s.record.Operators == nil {
		badge = instance.LocalUser()
	}
	if badge != "" {
		if s.who, err = s.operators.SignIn(ctx, badge); err != nil {
			return reason.Usage(fmt.Errorf("--operator: %w", err))
		}
	}
	if s.ask.order != "" {
		if _, err := s.controller.Switch(ctx, s.ask.order, s.who.ID); err != nil {
			return reason.Usage(fmt.Errorf("--order: %w", err))
		}
	}
	s.controller.Refresh(ctx)
	return nil
}

// show runs the interface until the operator leaves it or drain ends.
func (s *session) show(drain context.Context) error {
	if s.lines != nil {
		opened, err := s.record.OpenAll(drain)
		if err != nil {
			return err
		}
		if err := s.controller.Ready(opened); err != nil {
			return err
		}
		facts, err := s.controller.Facts(drain)
		if err != nil {
			return err
		}
		s.lines.Greet(s.record.Config.Station, s.who.ID != "")
		s.lines.Opened(facts)
		return s.runPlain(drain)
	}
	defer s.checker.Leave() // the checks must end before the parts that they use are closed
	return ui.Run(drain, s.screenOptions(), s.stdin)
}

func (s *session) screenOptions() ui.Options {
	c, history := s.controller, operate.History{Registry: s.record.Registry.Reader}
	exports := auditor.RunExport{Record: s.record, Folder: s.ask.exports}
	options := ui.Options{
		Interfaces: ui.Interfaces{Controller: c, Bays: c, Facts: c, Badges: s.operators, Orders: c, History: history, Detail: history, Doctor: s.checker, Copier: s.dir, Exporter: exports},
		Texts:      s.texts, Labels: s.record.Config.LabelReader(), Feed: s.feed, Station: s.record.Config.Station, Steps: s.record.Steps(), BayNames: instance.BayNames(s.bays), Now: s.record.Now,
		Out: s.stdout, ErrorLog: s.dir.LogFile(), Colour: os.Getenv("NO_COLOR") == "", ColourScheme: s.ask.scheme, ASCII: !ui.UTF8Locale(os.Getenv), Bell: s.ask.bell, Takt: s.ask.takt,
		IdleLock: s.ask.idleLock, Operator: s.who, ShiftBegan: s.ask.shifts.Began, Earlier: history.Earlier,
	}
	if s.prompts() {
		options.Opener = s.checker
	}
	return options
}
