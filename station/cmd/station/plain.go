package main

import (
	"context"
	"errors"

	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/ui"
)

// errNoCommand: nobody sits at this input. A job that forgot the word `batch` must not look passed.
var errNoCommand = errors.New("no terminal and no command: use `station batch` to enrol boards without an operator, or write commands to standard input (see `station tui --help`)")

// runPlain is the operator's interface without a screen. Each input line is a command or a scan. At a terminal a command waits for
// the go key. The end of the input means "quit", but an input without any command is refused.
func (s *session) runPlain(ctx context.Context) error {
	life, stop := context.WithCancel(ctx)
	entered := make(chan ui.Entered)
	read := make(chan error, 1)
	go func() {
		read <- ui.ReadLines(life, s.stdin, ui.Typing{Echo: s.view, Suffix: s.record.Config.LabelReader().After}, entered)
	}()
	console := operate.Console{Controller: s.controller, Operators: s.operators, Who: s.who, Labels: s.record.Config.LabelReader(), Tells: s.lines}
	if terminal(s.stdin) {
		console.Ask = s.lines.Ask
	}
	err := s.readLines(ctx, &console, entered)
	stop()
	failed := <-read // the terminal is given back, so Ctrl-C is a signal again while Runs end
	if !errors.Is(err, operate.ErrQuit) {
		return errors.Join(err, failed)
	}
	return errors.Join(s.controller.Drain(context.WithoutCancel(ctx), console.Who.ID), failed)
}

// readLines does the entered lines until "quit" or the end of the input, which are operate.ErrQuit.
func (s *session) readLines(ctx context.Context, console *operate.Console, entered <-chan ui.Entered) error {
	for commands := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case e, more := <-entered:
			if !more && commands == 0 && ctx.Err() == nil {
				return reason.Usage(errNoCommand)
			}
			if e != (ui.Entered{}) {
				commands++
			}
			if err := s.lines.Enter(ctx, console, e); !more || errors.Is(err, operate.ErrQuit) {
				return operate.ErrQuit
			} else if err != nil {
				_ = s.lines.Refuse(err) // end gives the error
			}
		}
	}
}
