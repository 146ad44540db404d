package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hallmark/station/label"
)

// A Console does the commands of an operator who types lines instead of using a screen. Each
// line is a command or a scan. One goroutine uses a Console.
type Console struct {
	Controller *Controller
	Operators  Operators
	Who        Operator      // the operator who is signed in, may be zero
	Labels     *label.Reader // reads scans
	Tells      Teller        // says what a line did; nil: nobody
	// Ask says what the go key will do, with a word of the commands and the number of the bay, if the command has one. nil: a program
	// types, and each command is done at once. At a terminal a scanner may have typed the line, so only a label acts by itself.
	Ask func(word, number string)

	asked  func(ctx context.Context) error // what the go key does, or nil
	chosen string                          // the bay for the next label of a board
}

// A Teller says what a line did, where no event of a Run says it.
type Teller interface {
	SignedIn(name string)
	Ordered(id string)           // the next Runs are for this work order
	Stopping(bay string)         // somebody asked for the end of its Run
	Released(bay string)         // it may work again
	LabelRead(bay, board string) // the label of the board that passed in a bay was right
}

// The words of the commands. A bay's number alone is the command WordStart.
const (
	WordStart       = "start"
	WordStop        = "stop"
	WordAcknowledge = "acknowledge"
	WordQuit        = "quit"
)

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

// What a Console answers beside the errors of the Controller.
var (
	ErrSignInFirst  = errors.New("sign in first: scan a badge")
	ErrQuit         = errors.New("the operator leaves") // no refusal: the caller ends the session
	ErrNothingAsked = errors.New("nothing is asked: type a bay's number or a command first")
	ErrNoPrefix     = errors.New("the label has not the scanner's prefix (scanner.prefix in station.yaml), so no scanner typed it")
	ErrChooseBay    = errors.New("choose a bay first: scan its label")
)

var (
	errCommand = errors.New("want a bay's number, \"stop NUMBER\", \"acknowledge NUMBER\", a badge (OP-...), a work order (WO-...), \"help\" or \"quit\"")
	errLayout  = errors.New("the scanner types for another keyboard layout")
)

// Do does the command of one line, or asks for the go key. The end of the session is ErrQuit.
func (c *Console) Do(ctx context.Context, text string) error {
	c.asked = nil
	found := c.Labels.Read(text)
	switch {
	case text == "":
		return nil
	case text == WordQuit || text == "q":
		return c.confirmed(ctx, WordQuit, "", func(context.Context) error { return ErrQuit })
	case found.Layout != nil:
		return &LayoutError{found.Layout}
	case found.NoPrefix:
		return ErrNoPrefix
	case found.Kind == label.Badge:
		return c.signIn(ctx, found.Text)
	case c.Who.ID == "":
		return ErrSignInFirst
	}
	return c.signedIn(ctx, text, found)
}

// signedIn does a line of an operator who is signed in.
func (c *Console) signedIn(ctx context.Context, text string, found label.Label) error {
	switch found.Kind {
	case label.Order:
		order, err := c.Controller.Switch(ctx, found.Text, c.Who.ID)
		c.tells(err, func(t Teller) { t.Ordered(order.ID) })
		return err
	case label.Bay:
		return c.choose(ctx, found.Text)
	case label.Board, label.Serial:
		if bay := c.Controller.labelBay(found.Text); bay != "" {
			return c.readLabel(ctx, bay, found.Text)
		}
	}
	if found.Kind == label.Board {
		return c.startExpecting(ctx, found.Text)
	}
	return c.withBay(ctx, text)
}

// Go does what the newest line asked.
func (c *Console) Go(ctx context.Context) error {
	do := c.asked
	if c.asked = nil; do == nil {
		return ErrNothingAsked
	}
	return do(ctx)
}

// confirmed does a command at once, or when the go key comes.
func (c *Console) confirmed(ctx context.Context, word, number string, do func(ctx context.Context) error) error {
	if c.Ask == nil {
		return do(ctx)
	}
	c.asked = do
	c.Ask(word, number)
	return nil
}

// choose takes the label of a bay: its name or its number. At a terminal the go key then starts it, as on the screen.
func (c *Console) choose(ctx context.Context, name string) error {
	bays := c.Controller.bayNames()
	i := slices.Index(bays, name)
	if i < 0 {
		bay, err := c.numbered(name)
		if err != nil {
			return err
		}
		i = slices.Index(bays, bay)
	}
	if c.chosen = bays[i]; c.Ask == nil {
		return nil
	}
	return c.withBay(ctx, strconv.Itoa(i+1))
}

// startExpecting starts the chosen bay, or the only one. A Run with another board than the label says ends before anything is asked.
func (c *Console) startExpecting(ctx context.Context, board string) error {
	bay := c.chosen
	if bays := c.Controller.bayNames(); len(bays) == 1 {
		bay = bays[0]
	}
	if c.chosen = ""; bay == "" {
		return ErrChooseBay
	}
	return c.Controller.Start(ctx, Start{Bay: bay, Operator: c.Who.ID, Order: c.Controller.OrderID(), Expect: board})
}

func (c *Console) readLabel(ctx context.Context, bay, text string) error {
	board, err := c.Controller.readLabel(ctx, bay, text, c.Who.ID)
	if board != "" {
		c.tells(err, func(t Teller) { t.LabelRead(bay, board) })
	}
	return err
}

// tells says what a line did, unless it did nothing.
func (c *Console) tells(err error, what func(t Teller)) {
	if err == nil && c.Tells != nil {
		what(c.Tells)
	}
}

// withBay does a command that names a bay by its number.
func (c *Console) withBay(ctx context.Context, text string) error {
	word, number := WordStart, text
	for _, other := range []string{WordStop, WordAcknowledge} {
		if after, found := strings.CutPrefix(text, other+" "); found {
			word, number = other, after
		}
	}
	bay, err := c.numbered(number)
	if err != nil {
		return err
	}
	if word == WordStart {
		c.chosen = bay
	}
	return c.confirmed(ctx, word, strings.TrimSpace(number), func(ctx context.Context) error { return c.does(ctx, word, bay) })
}

// does does the command of a bay. A start is told by the events of the Run.
func (c *Console) does(ctx context.Context, word, bay string) (err error) {
	switch word {
	case WordStop:
		err = c.Controller.Stop(ctx, bay, c.Who.ID)
		c.tells(err, func(t Teller) { t.Stopping(bay) })
	case WordAcknowledge:
		err = c.Controller.Acknowledge(ctx, bay, c.Who.ID)
		c.tells(err, func(t Teller) { t.Released(bay) })
	default:
		err = c.Controller.Start(ctx, Start{Bay: bay, Operator: c.Who.ID, Order: c.Controller.OrderID()})
	}
	return err
}

// signIn signs another operator in. If the badge is refused, the present operator stays signed in.
func (c *Console) signIn(ctx context.Context, badge string) error {
	who, err := c.Operators.SignIn(ctx, badge)
	if err != nil {
		return err
	}
	c.tells(nil, func(t Teller) { t.SignedIn(who.Name) })
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
