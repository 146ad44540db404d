package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hallmark/station/operate"
	"hallmark/station/reason"
)

// converse is the interface without a screen: a line is a command or a scan. The
// end of input is "quit".
func (s *session) converse(ctx context.Context) error {
	life, stop := context.WithCancel(ctx)
	typed := make(chan string)
	read := make(chan error, 1)
	go func() { read <- s.listen(life, typed) }()
	err := s.obey(ctx, typed)
	stop()
	return errors.Join(err, <-read)
}

// obey does what is typed.
func (s *session) obey(ctx context.Context, typed <-chan string) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case text, more := <-typed:
			if !more || text == "quit" || text == "q" {
				return s.controller.Drain(context.WithoutCancel(ctx), s.who.ID)
			}
			if err := s.act(ctx, text); err != nil {
				if err := s.lines.Say(reason.OneLine(err)); err != nil {
					return err
				}
			}
		}
	}
}

// longestLine is more than a label or a command has, in octets; of a longer line, which somebody
// pasted, the rest is dropped.
const longestLine = 256

// listen hands lines on until there are no more, or ctx ends.
func (s *session) listen(ctx context.Context, typed chan<- string) error {
	defer close(typed)
	in := bufio.NewReaderSize(interruptible(ctx, s.stdin), longestLine)
	for rest := false; ; {
		line, more, err := in.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a line: %w", err)
		}
		first := !rest
		if rest = more; !first {
			continue
		}
		select {
		case typed <- strings.TrimSpace(string(line)):
		case <-ctx.Done():
			return nil
		}
	}
}

// interruptible makes reads from a file end, as at its end, when ctx does.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	if file, ok := in.(*os.File); ok {
		return &waiting{ctx, file}
	}
	return in
}

type waiting struct {
	ctx context.Context
	*os.File
}

// waitLook is how often a wait for input looks whether it is still wanted, in milliseconds.
const waitLook = 100

func (w *waiting) Read(b []byte) (int, error) {
	for w.ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLIN}}, waitLook)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("waiting for input: %w", err)
		case ready > 0:
			return w.File.Read(b)
		}
	}
	return 0, io.EOF
}

var (
	errCommand  = errors.New("want a bay's number, \"stop NUMBER\", a badge (OP-...), a work order (WO-...) or \"quit\"")
	errSignedIn = errors.New("sign in first: scan a badge")
)

// act does what one line says.
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

// signIn leaves who is signed in where the badge is refused.
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

// numbered gives the name of a bay by its number, from 1.
func (s *session) numbered(text string) (string, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > len(s.bays) {
		return "", fmt.Errorf("%q: %w", text, errCommand)
	}
	return s.bays[n-1].Name, nil
}
