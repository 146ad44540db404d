package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"
)

// Run shows the screen on a terminal until the operator leaves or ctx ends, and then
// leaves the terminal as it was. The caller handles signals: SIGHUP and SIGTERM
// should drain the station and end ctx. An error that wraps ErrScreen says that only the screen
// ended; Runs go on, and the caller may go on with a [Plain].
func Run(ctx context.Context, o Options, in io.Reader) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	model, err := New(ctx, o)
	if err != nil {
		return fmt.Errorf("opening the screen: %w", err)
	}
	// With this variable bubbletea writes everything that is typed into a file, also a PIN.
	if err := os.Unsetenv("TEA_TRACE"); err != nil {
		return fmt.Errorf("opening the screen: %w", err)
	}
	if model.keyboard = newKeyboard(in); model.keyboard != nil {
		in = model.keyboard
	}
	give, err := takeTerminal(in, o.Out)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrScreen, err)
	}
	if err = errors.Join(runProgram(ctx, model, in), give()); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrScreen, err)
	}
	return nil
}

// runProgram runs bubbletea's event loop for keys and messages, and a painter beside it. bubbletea gets no output, so that it
// can ask the terminal nothing.
func runProgram(ctx context.Context, m Model, in io.Reader) error {
	painted := &paintedModel{Model: m}
	program := tea.NewProgram(painted, tea.WithInput(in), tea.WithOutput(io.Discard), tea.WithoutRenderer(), tea.WithFPS(1),
		tea.WithoutSignalHandler(), tea.WithFilter(sized(m.o.Out)))
	// tea.WithContext would close the terminal while it is read.
	defer context.AfterFunc(ctx, program.Quit)()
	painted.painter = startPainter(m.o.Out, program.Quit)
	defer watchSize(program.Send)()
	_, err := program.Run()
	return errors.Join(err, painted.painter.end())
}

// A paintedModel hands each state of its Model to the painter.
type paintedModel struct {
	Model
	painter *painter
}

// Update implements tea.Model.
func (p *paintedModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	next, cmd := p.Model.Update(msg)
	if m, ok := next.(Model); ok {
		p.Model = m
		p.painter.show(m)
	}
	return p, cmd
}

// View implements tea.Model. Nothing draws it.
func (*paintedModel) View() tea.View { return tea.View{} }
