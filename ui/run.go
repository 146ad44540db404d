package ui

import (
	"context"
	"fmt"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// framesPerSecond is how often what changed may be written. Each look whether something has changed costs an idle
// station CPU, and each one less lets a key wait longer; nothing is written when nothing has changed.
const framesPerSecond = 50

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
	// With this variable bubbletea writes all that is typed, a PIN too, into a file.
	if err := os.Unsetenv("TEA_TRACE"); err != nil {
		return fmt.Errorf("opening the screen: %w", err)
	}
	program := tea.NewProgram(model, tea.WithInput(in), tea.WithOutput(quiet(o.Out)), tea.WithoutSignalHandler(),
		tea.WithFPS(framesPerSecond), tea.WithColorProfile(colorprofile.ANSI), tea.WithFilter(onlyAsked(o.Out)))
	// Quitting, and not tea.WithContext, which would close the terminal under its reader.
	defer context.AfterFunc(ctx, program.Quit)()
	if _, err = program.Run(); err != nil {
		return fmt.Errorf("%w: %w", ErrScreen, err)
	}
	return nil
}
