package operate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"hallmark/station/label"
)

// A Console does the commands of an operator who types lines instead of using a screen. Each
// line is a command or a scan. One goroutine uses a Console.
type Console struct {
	Controller *Controller
	Operators  Operators
	Who        Operator                // the operator who is signed in, may be zero
	Labels     *label.Reader           // reads scans
	LabelRead  func(bay, board string) // says that the label of the board that passed in a bay was right
}

// A CommandError refuses a line that is no command and no label.
type CommandError struct{ Text string }

func (e *CommandError) Error() string { return fmt.Sprintf("%+q: %v", e.Text, errCommand) }

// Unwrap gives the sentinel.
func (*CommandError) Unwrap() error { return errCommand }

// A LayoutError refuses a label that was typed for another keyboard layout.
type LayoutError struct{ *label.Layout }

func (e *LayoutError) Error() string {
	return fmt.Sprintf("%v: %q came for %q, the scanner is set to %q and the computer to %q; set the scanner right with \"station doctor --scanner\"",
		errLayout, e.Came, e.For, e.Scanner, e.Computer)
}

// ErrSignInFirst refuses a command while nobody is signed in.
var ErrSignInFirst = errors.New("sign in first: scan a badge")

var (
	errCommand = errors.New("want a bay's number, \"stop NUMBER\", \"acknowledge NUMBER\", a badge (OP-...), a work order (WO-...), \"help\" or \"quit\"")
	errLayout  = errors.New("the scanner types for another keyboard layout")
)

// Do does the command of one line.
func (c *Console) Do(ctx context.Context, text string) (err error) {
	found := c.Labels.Read(text)
	switch {
	case text == "":
		return nil
	case found.Layout != nil:
		return &LayoutError{found.Layout}
	case found.Kind == label.Badge:
		return c.signIn(ctx, found.Text)
	case c.Who.ID == "":
		return ErrSignInFirst
	case found.Kind == label.Order:
		_, err = c.Controller.Switch(ctx, found.Text, c.Who.ID)
		return err
	}
	if found.Kind == label.Board || found.Kind == label.Serial {
		if bay := c.Controller.labelBay(found.Text); bay != "" {
			return c.readLabel(ctx, bay, found.Text)
		}
	}
	return c.withBay(ctx, text)
}

func (c *Console) readLabel(ctx context.Context, bay, text string) error {
	board, err := c.Controller.readLabel(ctx, bay, text, c.Who.ID)
	if err == nil && board != "" {
		c.LabelRead(bay, board)
	}
	return err
}

// withBay does a command that names a bay by its number.
func (c *Console) withBay(ctx context.Context, text string) error {
	do := func(ctx context.Context, bay, operator string) error {
		return c.Controller.Start(ctx, Start{Bay: bay, Operator: operator, Order: c.Controller.OrderID()})
	}
	number := text
	for word, other := range map[string]func(ctx context.Context, bay, operator string) error{
		"stop ": c.Controller.Stop, "acknowledge ": c.Controller.Acknowledge,
	} {
		if after, found := strings.CutPrefix(text, word); found {
			number, do = after, other
		}
	}
	bay, err := c.numbered(number)
	if err != nil {
		return err
	}
	return do(ctx, bay, c.Who.ID)
}

// signIn signs another operator in. If the badge is refused, the present operator stays signed in.
func (c *Console) signIn(ctx context.Context, badge string) error {
	who, err := c.Operators.SignIn(ctx, badge)
	if err != nil {
		return err
	}
	before := c.Who.ID
	if c.Who = who; before != "" && before != who.ID {
		err = c.Operators.SignOut(ctx, before, "another operator signed in")
	}
	return err
}

// numbered returns the name of a bay by its number. Bays count from 1.
func (c *Console) numbered(text string) (string, error) {
	bays := c.Controller.bayNames()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > len(bays) {
		return "", &CommandError{text}
	}
	return bays[n-1], nil
}
