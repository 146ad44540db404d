package main

import (
	"context"
	"errors"

	"hallmark/station/operate"
	"hallmark/ui"
)

// runPlain is the operator's interface without a screen. Each input line is a command or a
// scan. The end of the input means "quit".
func (s *session) runPlain(ctx context.Context) error {
	life, stop := context.WithCancel(ctx)
	entered := make(chan string)
	read := make(chan error, 1)
	go func() { read <- ui.ReadLines(life, s.stdin, entered) }()
	err := s.readLines(ctx, entered)
	stop()
	return errors.Join(err, <-read)
}

// readLines does the entered lines until "quit".
func (s *session) readLines(ctx context.Context, entered <-chan string) error {
	console := operate.Console{Controller: s.controller, Operators: s.operators, Who: s.who}
	for {
		select {
		case <-ctx.Done():
			return nil
		case text, more := <-entered:
			if !more || text == "quit" || text == "q" {
				return s.controller.Drain(context.WithoutCancel(ctx), console.Who.ID)
			}
			if err := console.Do(ctx, text); err != nil {
				_ = s.lines.Refuse(err) // end gives the error
			}
		}
	}
}
