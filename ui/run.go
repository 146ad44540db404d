package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

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
	restore, err := divert(standardError, o.ErrorLog)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrScreen, err)
	}
	give, err := takeTerminal(in, o.Out)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrScreen, errors.Join(err, restore()))
	}
	if err = errors.Join(runProgram(ctx, model, in), give(), restore()); err != nil && ctx.Err() == nil {
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
	return errors.Join(err, painted.failed, painted.painter.end())
}

// A paintedModel hands each state of its Model to the painter.
type paintedModel struct {
	Model
	painter *painter
	failed  error // panic that ended the program
}

// Init implements tea.Model.
func (p *paintedModel) Init() tea.Cmd { return caught(p.Model.Init()) }

// Update implements tea.Model. After a panic the program ends in the ordinary way: when
// bubbletea itself catches a panic, it closes the terminal while another goroutine reads it.
func (p *paintedModel) Update(msg tea.Msg) (_ tea.Model, cmd tea.Cmd) {
	if panicked, ok := msg.(panicMsg); ok {
		p.failed = panicked.error
		return p, tea.Quit
	}
	defer func() {
		if err := asError(recover()); err != nil {
			p.failed, cmd = err, tea.Quit
		}
	}()
	next, cmd := p.Model.Update(msg)
	if m, ok := next.(Model); ok {
		p.Model = m
		p.painter.show(m)
	}
	return p, caught(cmd)
}

// panicMsg says that a command panicked.
type panicMsg struct{ error }

// caught makes a panic of a command, and of the commands that it starts, a message.
func caught(cmd tea.Cmd) tea.Cmd {
	if cmd == nil {
		return nil
	}
	return func() (msg tea.Msg) {
		defer func() {
			if err := asError(recover()); err != nil {
				msg = panicMsg{err}
			}
		}()
		msg = cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for i := range batch {
				batch[i] = caught(batch[i])
			}
		}
		return msg
	}
}

// asError gives the error of a panic, or nil. The stack is for the engineers' log.
func asError(panicked any) error {
	if panicked == nil {
		return nil
	}
	return fmt.Errorf("%w: %v\n%s", tea.ErrProgramPanic, panicked, debug.Stack())
}

// View implements tea.Model. Nothing draws it.
func (*paintedModel) View() tea.View { return tea.View{} }
