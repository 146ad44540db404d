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

	"hallmark/ui"
)

// converse is the interface without a screen: a line is a command or a scan. The
// end of input is "quit".
func (t *sitting) converse(ctx context.Context) error {
	life, stop := context.WithCancel(ctx)
	typed := make(chan string)
	read := make(chan error, 1)
	go func() { read <- t.listen(life, typed) }()
	err := t.obey(ctx, typed)
	stop()
	return errors.Join(err, <-read)
}

// obey does what is typed.
func (t *sitting) obey(ctx context.Context, typed <-chan string) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case text, more := <-typed:
			if !more || text == "quit" || text == "q" {
				return t.line.Drain(context.WithoutCancel(ctx), t.who.ID)
			}
			if err := t.act(ctx, text); err != nil {
				if err := t.lines.Say(oneLine(err)); err != nil {
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
func (t *sitting) listen(ctx context.Context, typed chan<- string) error {
	defer close(typed)
	in := bufio.NewReaderSize(interruptible(ctx, t.stdin), longestLine)
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
func (t *sitting) act(ctx context.Context, text string) (err error) {
	upper := strings.ToUpper(text)
	switch stopping, isStop := strings.CutPrefix(text, "stop "); {
	case text == "":
		return nil
	case strings.HasPrefix(upper, "OP-"):
		return t.signIn(ctx, text)
	case t.who.ID == "":
		return errSignedIn
	case strings.HasPrefix(upper, "WO-"):
		_, err = t.line.Switch(ctx, text, t.who.ID)
		return err
	case isStop:
		bay, err := t.line.numbered(stopping)
		if err != nil {
			return err
		}
		return t.line.Stop(ctx, bay, t.who.ID)
	}
	bay, err := t.line.numbered(text)
	if err != nil {
		return err
	}
	return t.line.Start(ctx, ui.Start{Bay: bay, Operator: t.who.ID, Order: t.line.orderID()})
}

// signIn leaves who is signed in where the badge is refused.
func (t *sitting) signIn(ctx context.Context, badge string) error {
	who, err := t.desk.SignIn(ctx, badge)
	if err != nil {
		return err
	}
	before := t.who.ID
	if t.who = who; before != "" && before != who.ID {
		err = t.desk.SignOut(ctx, before, "another operator signed in")
	}
	return err
}

// numbered gives the name of a bay by its number, from 1.
func (l *line) numbered(text string) (string, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > len(l.slots) {
		return "", fmt.Errorf("%q: %w", text, errCommand)
	}
	return l.slots[n-1].bay.Name, nil
}

func (l *line) orderID() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.order.ID
}
