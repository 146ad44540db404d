package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/report"
	"hallmark/station/workdir"
	"hallmark/ui"
	"hallmark/ui/catalogue"
)

// A screen holds the flags of `tui`.
type screen struct {
	batch    // the flags for boards, order, firmware and clock
	lang     string
	scheme   ui.ColourScheme
	plain    bool
	bell     bool
	takt     time.Duration
	idleLock time.Duration
	operator string
	exports  string // folder; empty: that of the station directory
	shifts   operate.Shifts
}

const tuiHelp = `tui is the operator's screen: one tile for each bay, scan to start. It is what station
does without a subcommand. ` + "`?`" + ` shows the keys. F12 or Ctrl-G does what is asked; every other key only shows something.

DIR/badges.yaml names the operators, one line for each badge:
  OP-1001: {id: anna, name: Anna Schmidt, role: lead}
The role is operator, lead or engineer (docs/orders.md). Without the file the operator is the user of this machine, and others sign in by typing their id.

Where pin_source is "prompt" the screen asks for the PIN. If the HSM is lost the line pauses; when
it is back, the Runs that it cost are started again.

With --plain, TERM=dumb, or without a terminal it writes lines and reads commands:
a bay's number starts it, "stop NUMBER" stops it, "acknowledge NUMBER" releases a bay that a clone stopped. At a terminal a command only asks,
and Ctrl-G does it. A scanned label (OP-..., WO-..., BAY-..., a board) does what it does on the screen, "help" lists these commands, "quit" ends. NO_COLOR takes the colours away.

--jsonl FILE adds the JSON line of each Run to FILE, as batch does. A reader that stops reading stops no Run. With --plain --jsonl - the JSON lines
are on standard output, and the lines for people on standard error.

A closed terminal and SIGTERM are an orderly end: no Run is cut between signing and recording.

`

func (c *command) tuiCommand() *cobra.Command {
	var s screen
	cmd := &cobra.Command{
		Use:   "tui [--boards LIST]",
		Short: "Opens the operator's screen; also without a subcommand",
		Long:  tuiHelp + reason.ExitHelp,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.tui(cmd.Context(), &s) },
	}
	s.flags(cmd)
	return cmd
}

func (s *screen) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.boards, "boards", "", boardsHelp)
	flags.StringVar(&s.order, "order", "", "work order that the shift begins with")
	flags.StringVar(&s.lang, "lang", "", "language of the screen: "+strings.Join(catalogue.Languages(), ", ")+" (default: from LANG)")
	flags.Var(&s.scheme, "theme", "colours of the screen: dark, light, contrast, none (default dark; NO_COLOR: none)")
	flags.BoolVar(&s.plain, "plain", false, "lines of text instead of a screen")
	flags.StringVar(&s.jsonl, "jsonl", "", "add one JSON line for each Run to this file, as batch writes them; with --plain, - is standard output")
	flags.StringVar(&s.exports, "exports", "", "folder for the files that the screen exports (default: DIR/copies)")
	flags.BoolVar(&s.bell, "bell", false, "ring when a Run ends")
	flags.DurationVar(&s.takt, "takt", 0, "target for the time between two boards, such as 40s")
	flags.DurationVar(&s.idleLock, "idle-lock", 0, "lock the screen after so long without a key, such as 10m")
	flags.Var(&s.shifts, "shifts", "when shifts begin, such as 06:00,14:00,22:00; numbers are of one shift (default 00:00)")
	flags.StringVar(&s.operator, "operator", "", "badge that is signed in at the start; without badges.yaml the id of the operator")
	s.emulationFlags(cmd)
}

// read checks the flags, and returns the bays and the texts of the screen.
func (s *screen) read(c *command, dir workdir.Dir) ([]instance.BaySpec, *catalogue.Catalogue, error) {
	bays, err := s.selectBays(dir)
	if err != nil {
		return nil, nil, err
	}
	if len(bays) > ui.MaxBays {
		return nil, nil, fmt.Errorf("%s, the screen has room for %d; use `station batch`", reason.Count(len(bays), "bay", "bays"), ui.MaxBays)
	}
	if s.takt < 0 || s.idleLock < 0 {
		return nil, nil, errors.New("--takt and --idle-lock: want a time such as 40s or 10m, or leave them out")
	}
	if err := errors.Join(reason.CheckOptional("--order", s.order), dir.MayCopyTo(s.exports)); err != nil {
		return nil, nil, err
	}
	s.plain = s.plain || os.Getenv("TERM") == "dumb" || !terminal(c.stdin) || !terminal(c.stdout)
	if s.jsonl == report.Standard && !s.plain {
		return nil, nil, errors.New("--jsonl -: the screen is on standard output; name a file, or use --plain")
	}
	if s.lang == "" {
		s.lang = catalogue.FromEnvironment(os.Getenv)
	}
	texts, err := catalogue.Load(s.lang)
	if err != nil {
		err = fmt.Errorf("--lang: %w", err)
	}
	return bays, texts, err
}

func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
