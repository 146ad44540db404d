package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"hallmark/station/operate"
)

// At a terminal a scanner types into the lines of `station tui --plain`. The kernel's line editor would take octets of a label as keys:
// ETX would end the station, FS would kill it, EOT would end the input, NAK would remove what was typed. So the station edits the line
// itself, and Ctrl-G is the only key that acts, as on the screen.

// Typing says how lines are typed at a terminal.
type Typing struct {
	Echo   io.Writer // shows what is typed
	Suffix string    // the scanner types this behind each label (label.Reader.After), may be empty
}

// takeLines switches the kernel's line editor and signal keys off. give restores the terminal.
func takeLines(fd int) (give func() error, err error) {
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("taking the terminal: %w", err)
	}
	raw := *before
	raw.Lflag &^= unix.ICANON | unix.ISIG | unix.IEXTEN | unix.ECHO
	raw.Iflag &^= unix.IXON | unix.BRKINT // DC3 of a label would stop the output
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return nil, fmt.Errorf("taking the terminal: %w", err)
	}
	return func() error {
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, before); err != nil {
			return fmt.Errorf("giving the terminal back: %w", err)
		}
		return nil
	}, nil
}

// readTyped sends what is typed at a terminal.
func readTyped(ctx context.Context, fd int, input io.Reader, how Typing, entered chan<- Entered) (err error) {
	give, err := takeLines(fd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, give()) }()
	read := make(chan piece, longest) // a whole label waits here while a line is done, so each piece has its own time
	failed := make(chan error, 1)
	go func() { defer close(read); failed <- readPieces(ctx, input, read) }()
	t := &lineEditor{echo: how.Echo, suffix: how.Suffix, send: func(e Entered) {
		select {
		case entered <- e:
		case <-ctx.Done():
		}
	}}
	for {
		var quiet <-chan time.Time
		if t.goHeld {
			quiet = time.After(slow)
		}
		select {
		case p, more := <-read:
			if !more {
				return <-failed
			}
			if t.goHeld && p.at.Sub(t.last) > slow {
				t.goes()
			}
			t.take(p)
		case <-quiet:
			if len(read) == 0 {
				t.goes()
			}
		}
	}
}

// A piece is what one read gave. It has the time of the read: what is done with it may come later.
type piece struct {
	octets []byte
	at     time.Time
}

func readPieces(ctx context.Context, input io.Reader, read chan<- piece) error {
	for {
		buffer := make([]byte, longestInput)
		n, err := input.Read(buffer)
		if n > 0 {
			select {
			case read <- piece{buffer[:n], time.Now()}:
			case <-ctx.Done():
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, unix.EIO): // EIO: the terminal was closed
			return nil
		case err != nil:
			return fmt.Errorf("reading a line: %w", err)
		}
	}
}

// A lineEditor holds the line that is typed at present.
type lineEditor struct {
	echo   io.Writer
	suffix string // ends a line
	send   func(Entered)
	line   []byte
	last   time.Time // when the newest octet came
	ended  time.Time // when the newest line ended
	goHeld bool      // Ctrl-G came, and waits whether more comes behind it
	rest   bool      // what comes now belongs to a scan that is over
}

const (
	keyGo     = 0x07 // BEL, Ctrl-G
	backspace = 0x08
	deleted   = 0x7f
)

// take takes octets that came together.
func (t *lineEditor) take(p piece) {
	at := p.at
	for _, b := range p.octets {
		pause := at.Sub(t.last)
		quiet := pause > repeats
		t.last = at
		if t.rest = t.rest && pause <= slow; t.rest { // until it is quiet, or until the end of the scan
			if t.rest = !endsLine(b); !t.rest {
				t.ended = at
			}
			continue
		}
		switch {
		case b == keyGo && quiet && !t.goHeld && len(t.line) == 0:
			t.goHeld = true
			continue
		case b == keyGo || t.goHeld: // the key came right behind another one, or another one behind the key
			t.goHeld, t.line, t.rest = false, nil, !endsLine(b)
			t.send(Entered{Behind: true})
			continue
		case endsLine(b):
			t.end(b, at)
			continue
		case b == backspace, b == deleted:
			t.erase()
			continue
		}
		t.add(b)
		if before, ended := strings.CutSuffix(string(t.line), t.suffix); ended && t.suffix != "" {
			t.line, t.rest = []byte(before), true // the suffix may stand inside a label of somebody else
			t.end(b, at)
		}
	}
}

// endsLine reports whether an octet ends a line: enter, tab, ETX or EOT, which scanners type behind a label.
func endsLine(b byte) bool { return b == '\r' || b == '\n' || b == '\t' || b == 0x03 || b == 0x04 }

// goes sends the go key when nothing came behind it.
func (t *lineEditor) goes() {
	t.goHeld = false
	t.send(Entered{Go: true})
}

// end ends a line. ETX without a line is Ctrl-C, and EOT without a line is Ctrl-D: as on the screen, they ask whether to leave.
func (t *lineEditor) end(b byte, at time.Time) {
	text := strings.TrimSpace(string(t.line))
	frame := at.Sub(t.ended) <= within // such as the CR of ETX CR
	t.line, t.ended = nil, at
	switch {
	case text != "":
		t.say("\n")
		t.send(Entered{Text: text})
	case !frame && (b == 0x03 || b == 0x04):
		t.send(Entered{Text: operate.WordQuit})
	}
}

// add adds an octet to the line. A line that is too long loses its rest.
func (t *lineEditor) add(b byte) {
	if len(t.line) >= longestInput {
		return
	}
	t.line = append(t.line, b)
	if r, size := utf8.DecodeLastRune(t.line); r != utf8.RuneError && unicode.IsPrint(r) {
		t.say(string(t.line[len(t.line)-size:]))
	}
}

// erase takes the newest character back.
func (t *lineEditor) erase() {
	r, size := utf8.DecodeLastRune(t.line)
	if t.line = t.line[:len(t.line)-size]; size > 0 && unicode.IsPrint(r) {
		t.say("\b \b")
	}
}

// say shows what is typed. A terminal that takes nothing must not hold up the keys, and the owner of echo keeps its errors.
func (t *lineEditor) say(text string) { _, _ = io.WriteString(t.echo, text) }
