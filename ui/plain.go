package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"hallmark/station"
	"hallmark/station/label"
	"hallmark/station/operate"
	"hallmark/ui/catalogue"
)

// Plain writes events as lines of plain text: for screen readers, serial
// consoles, TERM=dumb and pipes. It writes no escape sequences and moves no
// cursor. Its methods are safe for concurrent use. A method returns when the
// writer returns, so the writer must not block when nobody reads its text.
type Plain struct {
	mu    sync.Mutex // covers the following fields
	w     io.Writer
	m     Model // only for its texts; the model is never drawn
	steps bool
	err   error
}

// NewPlain makes a Plain. ascii says that the locale is not UTF-8; steps asks for a
// line for each step as well as for each ending.
func NewPlain(w io.Writer, texts *catalogue.Catalogue, bays []string, ascii, steps bool) *Plain {
	o := Options{Texts: texts, BayNames: bays, ASCII: ascii}
	m := Model{o: o, lines: true, theme: newTheme(SchemeNone, charactersOf(ascii, ""))}
	for _, name := range bays {
		m.bays = append(m.bays, bay{name: name})
	}
	return &Plain{w: w, m: m, steps: steps}
}

// Greet says at the start which station and which bays these are, how to type, and that
// somebody must sign in unless someone is signed in.
func (p *Plain) Greet(station string, signedIn bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.m.t("plain.station", p.m.clean(station)))
	var bays []string
	for i := range p.m.bays {
		bays = append(bays, p.m.t("plain.bay", p.m.bayKey(i), p.m.clean(p.m.bays[i].name)))
	}
	p.write(p.m.t("plain.bays", strings.Join(bays, ", ")))
	if !signedIn {
		p.write(p.m.t("banner.signin"))
	}
}

// Help lists the commands.
func (p *Plain) Help() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.m.t("plain.help.start", p.m.bayKey(0), p.m.bayKey(len(p.m.bays)-1)))
	for _, key := range []string{"plain.help.stop", "plain.help.acknowledge", "plain.help.badge", "plain.help.order", "plain.help.bay", "plain.help.go", "plain.help.quit", "plain.help.help"} {
		p.write(p.m.t(key))
	}
}

// Ask says what Ctrl-G will do: a word of operate's commands, with the number of the bay.
func (p *Plain) Ask(word, number string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if number == "" {
		p.write(p.m.t(asks[word]))
		return
	}
	p.write(p.m.t(asks[word], p.m.clean(number)))
}

// asks are the texts of the questions, by the word of the command.
var asks = map[string]string{
	operate.WordStart: "plain.ask.start", operate.WordStop: "plain.ask.stop", operate.WordAcknowledge: "plain.ask.acknowledge", operate.WordQuit: "plain.ask.quit",
}

// Behind says that the go key came right behind another key, so it did nothing.
func (p *Plain) Behind() { _ = p.Say(p.m.t("key.behind")) } // Err gives the error

// A LineTaker does what an entered line or the go key asks for.
type LineTaker interface {
	Do(ctx context.Context, text string) error
	Go(ctx context.Context) error
}

// Enter does one line or key.
func (p *Plain) Enter(ctx context.Context, taker LineTaker, e Entered) error {
	switch {
	case e.Behind:
		p.Behind()
	case strings.EqualFold(e.Text, "help") || e.Text == "?":
		p.Help()
	case e.Go:
		return taker.Go(ctx)
	default:
		return taker.Do(ctx, e.Text)
	}
	return nil
}

// Event writes the line of an event, if it has one.
func (p *Plain) Event(e station.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.m.find(e.Bay); i >= 0 {
		p.m.bays[i].take(e, nil)
	}
	if text := p.line(e); text != "" {
		p.write(clockTime(e.At) + " " + text)
	}
	if e.Kind == station.RunEnded && e.Snap.StopBay {
		p.stopped(e.Bay, e.Snap.Reason)
	}
}

// Opened says which bays are stopped, why, and how they are released, and which bays wait for the label of a board.
func (p *Plain) Opened(facts Facts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.m.facts = facts
	for _, b := range facts.Bays {
		if b.Stopped != "" {
			p.stopped(b.Name, b.Stopped)
		}
		if b.Label != "" {
			p.write(p.m.t("why.label", p.m.clean(b.Name), short(b.Label)))
		}
	}
}

// SignedIn says who has signed in.
func (p *Plain) SignedIn(name string) { p.did("said.signedin", name) }

// Ordered says for which work order the next Runs are.
func (p *Plain) Ordered(id string) { p.did("said.order", id) }

// Stopping says that the Run of a bay is being stopped.
func (p *Plain) Stopping(bay string) { p.did("said.stop", bay) }

// Released says that a bay may work again.
func (p *Plain) Released(bay string) { p.did("said.acknowledge", bay) }

// did says what a line did.
func (p *Plain) did(key, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.m.t(key, p.m.clean(name)))
}

// LabelRead says that the label of the board that passed in a bay was right, and what to do now.
func (p *Plain) LabelRead(bay, board string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.m.t("said.label", p.m.clean(bay), short(board)) + ". " + p.m.nextAction(max(0, p.m.find(bay)), station.Pass, "") + ".")
}

func (p *Plain) stopped(bay, word string) {
	p.write(p.m.t("plain.stopped", p.m.clean(bay), p.m.reason(station.Reject, word), p.m.bayKey(max(0, p.m.find(bay)))))
}

// write keeps the first error, and goes on: a reader that stopped can read again. The caller holds mu.
func (p *Plain) write(line string) {
	if _, err := io.WriteString(p.w, line+"\n"); err != nil && p.err == nil {
		p.err = fmt.Errorf("writing a line: %w", err)
	}
}

// Say writes a line that is no event.
func (p *Plain) Say(text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.m.clean(text))
	return p.err
}

// Paused says that Runs wait for the HSM and why, or that the HSM is back.
func (p *Plain) Paused(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if why == nil {
		p.write(p.m.t("plain.back"))
		return
	}
	p.write(p.m.t("plain.away", p.m.errorText(why)))
}

// Refuse says in the operator's language why something was not done.
func (p *Plain) Refuse(err error) error {
	var command *operate.CommandError
	var layout *operate.LayoutError
	switch {
	case errors.As(err, &command):
		return p.Say(p.m.t("plain.command", ends(p.m.clean(command.Text), longestField, p.m.theme.shapes.ellipsis)))
	case errors.As(err, &layout):
		return p.Say(p.m.whyNoLabel(label.Label{Layout: layout.Layout}))
	}
	for is, text := range refusedPlain {
		if errors.Is(err, is) {
			return p.Say(p.m.t(text))
		}
	}
	return p.Say(p.m.errorText(err))
}

// refusedPlain are the texts of what a Console refuses.
var refusedPlain = map[error]string{
	operate.ErrSignInFirst: "plain.signin", operate.ErrNothingAsked: "plain.nothing", operate.ErrNoPrefix: "scan.noprefix", operate.ErrChooseBay: "plain.choose",
}

// Err gives the first error of writing.
func (p *Plain) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *Plain) line(e station.Event) string {
	m, bay := p.m, p.m.clean(e.Bay)
	switch {
	case e.Kind == station.RunStarted:
		return m.t("plain.started", bay)
	case e.Kind == station.StepStarted && p.steps:
		return m.t("plain.step", bay, m.stepText(e.Step))
	case e.Kind == station.RunEnded:
		return p.ended(e, bay)
	}
	return ""
}

func (p *Plain) ended(e station.Event, bay string) string {
	m, run := p.m, &e.Snap
	board := ""
	if run.Identity != nil {
		board = run.Identity.ID.String()
	}
	next := m.nextAction(max(0, m.find(e.Bay)), run.Ending, run.Reason)
	if run.Ending == station.Pass {
		if m.facts.ScanBack {
			next = m.t("next.label", short(board))
		}
		text := m.ending(run.Ending)
		if i := m.find(e.Bay); i >= 0 && m.outcomeText(&m.bays[i]) != "" {
			text += " (" + m.outcomeText(&m.bays[i]) + ")"
		}
		return m.t("plain.passed", bay, text, short(board), m.seconds(run.Finished.Sub(run.Started)), next)
	}
	return m.t("plain.ended", bay, m.ending(run.Ending), short(board), m.reasonOf(run), next)
}
