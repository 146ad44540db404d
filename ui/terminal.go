package ui

import (
	"io"
	"os"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// What bubbletea would do to the terminal beyond drawing, and must not.

// An output is the terminal without the questions that bubbletea asks when it starts: which modes and which keyboard
// there are. A serial console does not answer; an answer that comes late, or in two parts, is taken for keys, and at
// the start for a part of the PIN. Nothing that the screen needs depends on the answers. The sequences that make a
// terminal send other octets for its keys are left out, too: old terminals take them for colours.
type output struct {
	terminalFile
	questions *strings.Replacer
}

// A terminalFile is what bubbletea takes for one: it can be asked for its size, and be made raw.
type terminalFile interface {
	io.ReadWriteCloser
	Fd() uintptr
}

// quiet gives the output that asks nothing. What is no terminal is never asked.
func quiet(out io.Writer) io.Writer {
	file, ok := out.(*os.File)
	if !ok {
		return out
	}
	var pairs []string
	for _, sequence := range []string{ansi.RequestModeSynchronizedOutput, ansi.RequestModeUnicodeCore, ansi.RequestKittyKeyboard,
		ansi.SetModifyOtherKeys2, ansi.ResetModifyOtherKeys, ansi.PushKittyKeyboard(1), ansi.PopKittyKeyboard(1)} {
		pairs = append(pairs, sequence, "")
	}
	return output{file, strings.NewReplacer(pairs...)}
}

// Write leaves the questions out. bubbletea writes a sequence in one piece.
func (o output) Write(octets []byte) (int, error) {
	if _, err := o.terminalFile.Write([]byte(o.questions.Replace(string(octets)))); err != nil {
		return 0, err
	}
	return len(octets), nil
}

// onlyAsked drops answers that nobody asked for, which a label of a scanner may hold: they would change how
// bubbletea draws. A size that was typed gives way to the size that the terminal has.
func onlyAsked(out io.Writer) func(tea.Model, tea.Msg) tea.Msg {
	return func(_ tea.Model, msg tea.Msg) tea.Msg {
		switch msg := msg.(type) {
		case tea.ModeReportMsg, tea.CapabilityMsg:
			return nil
		case tea.WindowSizeMsg:
			return sizeOf(out, msg)
		}
		return msg
	}
}

// sizeOf gives the size of a terminal that knows it, and otherwise the one that bubbletea took for it.
func sizeOf(out io.Writer, otherwise tea.WindowSizeMsg) tea.WindowSizeMsg {
	file, ok := out.(terminalFile)
	if !ok {
		return otherwise
	}
	if w, h, err := term.GetSize(int(file.Fd())); err == nil && w > 0 && h > 0 {
		return tea.WindowSizeMsg{Width: w, Height: h}
	}
	return otherwise
}
