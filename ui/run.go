package ui

import (
	"context"
	"errors"
	"fmt"
	"io"

	tea "github.com/charmbracelet/bubbletea"
)

// Run shows the screen on a terminal until the operator leaves or ctx ends, and then
// leaves the terminal as it was. Signals are the caller's: SIGHUP and SIGTERM
// should drain the station and end ctx. An error that wraps ErrScreen says that only the screen
// ended; Runs go on, and the caller may go on with a [Plain].
func Run(ctx context.Context, o Options, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	model, err := New(ctx, o)
	if err != nil {
		return fmt.Errorf("opening the screen: %w", err)
	}
	program := tea.NewProgram(model, tea.WithContext(ctx), tea.WithAltScreen(), tea.WithInput(in), tea.WithOutput(o.Out),
		tea.WithoutSignalHandler(), tea.WithFPS(30))
	_, err = program.Run()
	switch {
	case err == nil, ctx.Err() != nil && !errors.Is(err, tea.ErrProgramPanic):
		return nil
	}
	return fmt.Errorf("%w: %w", ErrScreen, err)
}

// bell rings. It goes through the program's own output between two frames.
func bell(out io.Writer) tea.Cmd {
	return func() tea.Msg {
		if _, err := io.WriteString(out, "\a"); err != nil {
			return resultMsg{err: fmt.Errorf("ringing: %w", err)}
		}
		return nil
	}
}
