package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

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
	for {
		select {
		case <-ctx.Done():
			return nil
		case text, more := <-entered:
			if !more || text == "quit" || text == "q" {
				return s.controller.Drain(context.WithoutCancel(ctx), s.who.ID)
			}
			if err := s.act(ctx, text); err != nil {
				_ = s.lines.Refuse(err) // end gives the error
			}
		}
	}
}

var (
	errCommand  = errors.New("want a bay's number, \"stop NUMBER\", a badge (OP-...), a work order (WO-...) or \"quit\"")
	errSignedIn = errors.New("sign in first: scan a badge")
)

// act does the command of one line.
func (s *session) act(ctx context.Context, text string) (err error) {
	upper := strings.ToUpper(text)
	switch stopping, isStop := strings.CutPrefix(text, "stop "); {
	case text == "":
		return nil
	case strings.HasPrefix(upper, "OP-"):
		return s.signIn(ctx, text)
	case s.who.ID == "":
		return errSignedIn
	case strings.HasPrefix(upper, "WO-"):
		_, err = s.controller.Switch(ctx, text, s.who.ID)
		return err
	case isStop:
		bay, err := s.numbered(stopping)
		if err != nil {
			return err
		}
		return s.controller.Stop(ctx, bay, s.who.ID)
	}
	bay, err := s.numbered(text)
	if err != nil {
		return err
	}
	return s.controller.Start(ctx, operate.Start{Bay: bay, Operator: s.who.ID, Order: s.controller.OrderID()})
}

// signIn signs another operator in. If the badge is refused, the present operator stays signed in.
func (s *session) signIn(ctx context.Context, badge string) error {
	who, err := s.operators.SignIn(ctx, badge)
	if err != nil {
		return err
	}
	before := s.who.ID
	if s.who = who; before != "" && before != who.ID {
		err = s.operators.SignOut(ctx, before, "another operator signed in")
	}
	return err
}

// numbered returns the name of a bay by its number. Bays count from 1.
func (s *session) numbered(text string) (string, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > len(s.bays) {
		return "", fmt.Errorf("%q: %w", text, errCommand)
	}
	return s.bays[n-1].Name, nil
}
