package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/ui"
	"hallmark/ui/catalogue"
)

// A screen is what `tui` was asked to show.
type screen struct {
	batch    // boards, order, firmware and clock mean the same
	lang     string
	plain    bool
	bell     bool
	takt     time.Duration
	idleLock time.Duration
	operator string
}

const tuiHelp = `tui is the operator's screen: one tile for each bay, scan to start. It is what station
does without a subcommand. ` + "`?`" + ` shows the keys.

DIR/badges.yaml names the operators, one line for each badge:
  OP-1001: {id: anna, name: Anna Schmidt}
Without it the operator is the user of this machine, and others sign in by typing their id.

With --plain, TERM=dumb, or without a terminal it writes lines and reads commands:
a bay's number starts it, "stop NUMBER" stops it, a scanned badge (OP-...) or work order (WO-...)
does what it does on the screen, "quit" ends. NO_COLOR takes the colours away.

A closed terminal and SIGTERM are an orderly end: no Run is cut between signing and recording.

`

func (c *command) tuiCommand() *cobra.Command {
	var s screen
	cmd := &cobra.Command{
		Use:   "tui --boards LIST",
		Short: "Opens the operator's screen; also without a subcommand",
		Long:  tuiHelp + exitHelp,
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.tui(cmd.Context(), &s) },
	}
	s.flags(cmd)
	return cmd
}

func (s *screen) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.boards, "boards", "", "bays: qemu:8, posix:32, qemu-an521:4, /dev/ttyACM0,/dev/ttyACM1 (required)")
	flags.StringVar(&s.order, "order", "", "work order that the shift begins with")
	flags.StringVar(&s.lang, "lang", "", "language of the screen: en or de (default: from LANG)")
	flags.BoolVar(&s.plain, "plain", false, "lines of text instead of a screen")
	flags.BoolVar(&s.bell, "bell", false, "ring when a Run ends")
	flags.DurationVar(&s.takt, "takt", 0, "target for the time between two boards, such as 40s")
	flags.DurationVar(&s.idleLock, "idle-lock", 0, "lock the screen after so long without a key, such as 10m")
	flags.StringVar(&s.operator, "operator", "", "badge or id that is signed in at the start")
	flags.StringVar(&s.firmware, "firmware", "", "build directory of the firmware of emulated boards")
	flags.BoolVar(&s.clock, "accept-clock", false, acceptClockHelp)
}

// tui is the whole command.
func (c *command) tui(ctx context.Context, ask *screen) (err error) {
	// 1. What is asked for.
	s, err := existing(c.dir)
	if err != nil {
		return err
	}
	places, texts, err := ask.read(c)
	if err != nil {
		return usage(err)
	}
	badges, err := readBadges(s.in("badges.yaml"))
	if err != nil {
		return usage(err)
	}

	// 2. The bench, which turns a second station away before the screen opens.
	now, drain, done := watch(ctx)
	defer done()
	var l *line
	feed, lines := ui.NewFeed(0), (*ui.Plain)(nil)
	if ask.plain {
		lines = ui.NewPlain(c.stdout, texts, names(places), !ui.UTF8Locale(os.Getenv), false)
	}
	b, err := open(drain, ask.opening(s), func(e station.Event) {
		l.event(e)
		if feed.Push(e); lines != nil {
			lines.Event(e)
		}
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	reports, err := openReports(b, "", "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reports.close()) }()
	if l, err = ask.line(now, b, places, reports); err != nil {
		return err
	}
	d := &desk{bench: b, line: l, badges: badges}
	who, err := ask.begin(drain, l, d)
	if err != nil {
		return err
	}

	// 3. The shift. Whatever ends the screen, Runs end first, then the log.
	defer context.AfterFunc(drain, l.close)()
	life, stop := context.WithCancel(now)
	kept := make(chan struct{})
	go func() { defer close(kept); l.keep(life) }()
	options := ui.Options{
		Needs: ui.Needs{Line: l, Bays: l, Facts: l, Badges: d, Orders: l, History: d, Detail: d, Doctor: d, Copier: d},
		Texts: texts, Feed: feed, Station: b.config.Station, Steps: b.station.Steps(), BayNames: names(places), Now: time.Now,
		Out: c.stdout, Colour: os.Getenv("NO_COLOR") == "", ASCII: !ui.UTF8Locale(os.Getenv), Bell: ask.bell, Takt: ask.takt,
		IdleLock: ask.idleLock, Operator: who,
	}
	if ask.plain {
		err = l.converse(drain, c, d, lines, who)
	} else {
		err = ui.Run(drain, options, c.stdin)
	}
	return errors.Join(ended(drain, err), l.end(now, stop, kept), errors.Join(reports.errs...))
}

// ended says why the screen ended. After a stop signal there may be no terminal left to close.
func ended(drain context.Context, err error) error {
	if drain.Err() != nil {
		return &exitError{exitAborted, errInterrupted}
	}
	return err
}

// end waits for Runs and signs the log as it stands.
func (l *line) end(now context.Context, stop context.CancelFunc, kept <-chan struct{}) error {
	l.close()
	l.runs.Wait() // bounded: each Run has its own time-out, and a second signal cuts it
	stop()
	<-kept
	return errors.Join(l.bench.note("station.stop", audit.Success, nil), l.bench.checkpoint())
}

// read checks the flags before anything is touched.
func (s *screen) read(c *command) ([]place, *catalogue.Catalogue, error) {
	if s.boards == "" {
		return nil, nil, fmt.Errorf("--boards is missing: %w", errBoards)
	}
	places, err := parsePlaces(s.boards)
	if err != nil {
		return nil, nil, err
	}
	if len(places) > ui.MaxBays {
		return nil, nil, fmt.Errorf("--boards: %d bays, the screen has room for %d; use `station batch`", len(places), ui.MaxBays)
	}
	if s.takt < 0 || s.idleLock < 0 {
		return nil, nil, errors.New("--takt and --idle-lock: want a time such as 40s or 10m, or leave them out")
	}
	s.plain = s.plain || os.Getenv("TERM") == "dumb" || !terminal(c.stdin) || !terminal(c.stdout)
	if s.lang == "" {
		s.lang = catalogue.Pick(locale())
	}
	texts, err := catalogue.Load(s.lang)
	if err != nil {
		err = fmt.Errorf("--lang: %w", err)
	}
	return places, texts, err
}

func locale() string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}

func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func names(places []place) []string {
	var all []string
	for _, p := range places {
		all = append(all, p.bay)
	}
	return all
}

// line makes the bays.
func (s *screen) line(life context.Context, b *bench, places []place, reports *reports) (*line, error) {
	for _, p := range places {
		if p.model != nil && !b.config.Boards.AllowEmulated {
			return nil, usage(fmt.Errorf("--boards %s: %w", p.bay, errNotEmulated))
		}
	}
	f := &fleet{state: b.state, firmware: b.config.Firmware, folder: s.firmware, baud: b.config.Boards.Baud}
	return newLine(life, b, f, places, reports)
}

// begin puts the start on record, opens the work order and signs the operator in.
func (s *screen) begin(ctx context.Context, l *line, d *desk) (who ui.Operator, err error) {
	if err := l.bench.note("station.start", audit.Success, map[string]string{"boards": s.boards}); err != nil {
		return who, err
	}
	badge := s.operator
	if badge == "" && d.badges == nil {
		badge = operator()
	}
	if badge != "" {
		if who, err = d.SignIn(ctx, badge); err != nil {
			return ui.Operator{}, usage(fmt.Errorf("--operator: %w", err))
		}
	}
	if s.order != "" {
		if _, err := l.Switch(ctx, s.order, who.ID); err != nil {
			return ui.Operator{}, usage(fmt.Errorf("--order: %w", err))
		}
	}
	l.refresh(ctx)
	return who, nil
}

// converse is the interface without a screen: a line is a command or a scan. The
// end of input is "quit".
func (l *line) converse(ctx context.Context, c *command, d *desk, out *ui.Plain, who ui.Operator) error {
	typed := make(chan string)
	go func() { // ends with the input or with the process: a read cannot be called back
		defer close(typed)
		for in := bufio.NewScanner(c.stdin); in.Scan(); {
			select {
			case typed <- strings.TrimSpace(in.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case text, more := <-typed:
			if !more || text == "quit" || text == "q" {
				return l.Drain(context.WithoutCancel(ctx), who.ID)
			}
			if err := l.command(ctx, d, text, &who); err != nil {
				if err := out.Say(err.Error()); err != nil {
					return err
				}
			}
		}
	}
}

var errCommand = errors.New("want a bay's number, \"stop NUMBER\", a badge (OP-...), a work order (WO-...) or \"quit\"")

func (l *line) command(ctx context.Context, d *desk, text string, who *ui.Operator) (err error) {
	upper := strings.ToUpper(text)
	switch stopping, isStop := strings.CutPrefix(text, "stop "); {
	case text == "":
		return nil
	case strings.HasPrefix(upper, "OP-"):
		*who, err = d.SignIn(ctx, text)
		return err
	case who.ID == "":
		return errors.New("sign in first: scan a badge")
	case strings.HasPrefix(upper, "WO-"):
		_, err = l.Switch(ctx, text, who.ID)
		return err
	case isStop:
		bay, err := l.numbered(stopping)
		if err != nil {
			return err
		}
		return l.Stop(ctx, bay, who.ID)
	}
	bay, err := l.numbered(text)
	if err != nil {
		return err
	}
	l.mu.Lock()
	order := l.order.ID
	l.mu.Unlock()
	return l.Start(ctx, ui.Start{Bay: bay, Operator: who.ID, Order: order})
}

// numbered gives the name of a bay by its number, from 1.
func (l *line) numbered(text string) (string, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > len(l.slots) {
		return "", fmt.Errorf("%q: %w", text, errCommand)
	}
	return l.slots[n-1].bay.Name, nil
}
