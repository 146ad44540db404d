package ui

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

const (
	clearScreen = ansi.ResetStyle + ansi.EraseEntireScreen

	// The alternate screen, without a cursor. Pasted text comes with marks around it (bracketed paste). The terminal reports clicks and
	// the wheel in the form of xterm's SGR mode, which also columns above 223 have. A terminal without a mouse takes no notice.
	takeScreen = ansi.SetModeAltScreenSaveCursor + ansi.ResetModeTextCursorEnable + ansi.SetModeBracketedPaste + ansi.SetModeMouseNormal + ansi.SetModeMouseExtSgr
	giveScreen = ansi.ResetStyle + ansi.ResetModeMouseExtSgr + ansi.ResetModeMouseNormal + ansi.ResetModeBracketedPaste + ansi.SetModeTextCursorEnable + ansi.ResetModeAltScreenSaveCursor
)

// takeTerminal prepares the terminal for the screen: the program gets each key at once, and the terminal does not show
// the key. The function give restores the terminal. takeTerminal asks the terminal nothing, because a serial console does
// not answer, and a late or split answer would look like keys.
func takeTerminal(in io.Reader, out io.Writer) (give func() error, err error) {
	restore := func() error { return nil }
	if fd, ok := terminalOf(in); ok {
		state, err := term.MakeRaw(fd)
		if err != nil {
			return nil, fmt.Errorf("taking the terminal: %w", err)
		}
		restore = func() error { return term.Restore(fd, state) }
	}
	give = func() error {
		if err := errors.Join(restore(), writeWithin(leaveBound, out, giveScreen)); err != nil {
			return fmt.Errorf("giving the terminal back: %w", err)
		}
		return nil
	}
	if err := writeWithin(leaveBound, out, takeScreen); err != nil {
		return nil, errors.Join(fmt.Errorf("taking the terminal: %w", err), give())
	}
	return give, nil
}

// leaveBound is how long the beginning and the end of the screen wait for a write. A terminal whose connection is stuck takes none.
const leaveBound = time.Second

// writeWithin writes, and stops waiting if the write takes too long.
func writeWithin(bound time.Duration, out io.Writer, text string) error {
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(out, text)
		written <- err
	}()
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case err := <-written:
		return err
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

// terminalOf gives the file descriptor of a terminal.
func terminalOf(stream any) (fd int, ok bool) {
	file, ok := stream.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	return int(file.Fd()), term.IsTerminal(int(file.Fd()))
}

// The size of a terminal that does not know its own, such as a serial console.
const (
	usualWidth  = 80
	usualHeight = 24
)

// sizeOf gives the size of the terminal.
func sizeOf(out io.Writer) tea.WindowSizeMsg {
	if fd, ok := terminalOf(out); ok {
		if w, h, err := term.GetSize(fd); err == nil && w > 0 && h > 0 {
			return tea.WindowSizeMsg{Width: w, Height: h}
		}
	}
	return tea.WindowSizeMsg{Width: usualWidth, Height: usualHeight}
}

// sized replaces the size in each size message by the real size of the terminal. bubbletea does not know the terminal,
// and a label may hold an escape sequence that looks like a size message.
func sized(out io.Writer) func(tea.Model, tea.Msg) tea.Msg {
	return func(_ tea.Model, msg tea.Msg) tea.Msg {
		if _, ok := msg.(tea.WindowSizeMsg); ok {
			return sizeOf(out)
		}
		return msg
	}
}

// watchSize sends a message whenever the terminal gets another size, until stop is called.
func watchSize(send func(tea.Msg)) (stop func()) {
	changed, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		defer close(ended)
		for range changed {
			send(tea.WindowSizeMsg{})
		}
	}()
	return func() {
		signal.Stop(changed)
		close(changed)
		<-ended
	}
}
