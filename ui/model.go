package ui

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
)

// Model is the state of the screen. It is a value: Update gives another Model and changes nothing that an
// older one shares, so a Model can be drawn while the next one is made.
type Model struct {
	ctx   context.Context // when ctx ends, every command ends
	o     Options
	theme *theme
	keys  keymap

	w, h      int
	now       time.Time
	screen    screen
	selected  int
	bays      []bay
	facts     Facts
	factsBad  string
	operator  Operator
	locked    bool
	touched   time.Time // last key
	held      scanBuffer
	keyboard  *keyboard // nil: not known
	taken     int64     // octets of characters that came from the keyboard
	clock     func() time.Time
	answer    answer    // what the next notices answer
	lines     bool      // lines of text instead of a screen
	typed     time.Time // when the newest other key came
	goHeld    *goPress  // a go key that waits, nil for none
	goTurn    int       // of the newest goPress
	went      time.Time // when the go key was pressed, zero when another key came after it
	digits    string    // first of the two digits of a bay
	dialog    *dialog
	field     *field
	notice    notice
	shift     shift
	live      []station.Run // ended before the record of the shift was read
	detail    detailView
	history   historyView
	log       []LogLine
	scroll    int // of detail, log and doctor
	checks    checksView
	unlocked  bool
	rings     int  // how often the bell was rung; the painter rings
	redraws   int  // how often the operator asked for the whole screen; the painter draws
	leaving   bool // the operator leaves as soon as all Runs have ended
	helpShown bool
}

// A screen fills the space between header and footer.
type screen uint8

const (
	screenStart screen = iota
	screenDashboard
	screenDetail
	screenHistory
	screenLog
	screenDoctor
	screenNumbers
)

// A notice is one line that answers the operator. It stays until the next key, because the operator may look at a board or
// a label for a long time.
type notice struct {
	text string
	bad  bool
	at   time.Time
}

// noticeFirst is how long a notice hides an alarm that the operator has seen before.
const noticeFirst = 12 * time.Second

// New makes the screen as it is before the first event. ctx ends its commands.
func New(ctx context.Context, o Options) (Model, error) {
	if err := o.validate(); err != nil {
		return Model{}, err
	}
	now := o.Now()
	m := Model{ctx: ctx, o: o, theme: newTheme(o.colourScheme(os.Getenv), charactersOf(o.ASCII, os.Getenv("TERM"))), now: now, touched: now, shift: o.shift(now),
		operator: o.Operator, screen: screenStart, clock: time.Now}
	m.keys = newKeymap(m.t)
	for _, name := range o.BayNames {
		m.bays = append(m.bays, bay{name: name, step: -1})
	}
	if o.Opener == nil {
		m.unlocked = true
	} else {
		m.field = &field{purpose: fieldPIN, secret: true}
	}
	if o.Opener == nil && o.Doctor == nil {
		m.screen = screenDashboard
	}
	return m, nil
}

// t returns a text of the catalogue, in characters that the terminal can show.
func (m Model) t(key string, args ...any) string {
	return m.theme.text(m.o.Texts.Text(key, args...))
}

// clean makes foreign text harmless for this terminal.
func (m Model) clean(s string) string {
	return m.theme.text(clean(s))
}

// cleanText makes a line of a longer text harmless.
func (m Model) cleanText(s string) string {
	return m.theme.text(cleanUpTo(s, longestLine))
}

// Init starts the clock and the feed. It also starts the checks, unless the operator must type the PIN first.
func (m Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.tick(), m.o.Feed.next(m.ctx), m.askFacts(), m.recall()}
	if m.screen == screenStart && m.unlocked {
		cmds = append(cmds, m.runChecks())
	}
	return tea.Batch(cmds...)
}

type (
	// tickMsg moves the clock and brings the facts along, so that an idle screen is drawn only once a second.
	tickMsg struct {
		at    time.Time
		facts tea.Msg // nil: not asked for
	}
	factsMsg struct {
		facts Facts
		err   error
	}
	// resultMsg is the result of a call of the station.
	resultMsg struct {
		said string // text after a success, may be empty
		err  error
	}
	digitMsg  struct{ digits string }
	signedMsg struct {
		operator Operator
		err      error
	}
	orderMsg struct {
		order Order
		err   error
	}
	drainedMsg struct{ err error }
	unlockMsg  struct{ err error }
)

func (m Model) tick() tea.Cmd {
	facts := m.askFacts()
	return tea.Tick(time.Second, func(time.Time) tea.Msg { return tickMsg{m.o.Now(), facts()} })
}

// askFacts asks for the facts once. An error also comes as a factsMsg, because a resultMsg would start the next askFacts.
func (m Model) askFacts() tea.Cmd {
	asked := m.ask(2*time.Second, func(ctx context.Context) tea.Msg {
		facts, err := m.o.Facts.Facts(ctx)
		return factsMsg{facts, err}
	})
	return func() tea.Msg {
		answer := asked()
		if panicked, ok := answer.(resultMsg); ok {
			return factsMsg{err: panicked.err}
		}
		return answer
	}
}

// ask makes a command with a time-out from slow work. A panic becomes an error.
func (m Model) ask(bound time.Duration, do func(context.Context) tea.Msg) tea.Cmd {
	return func() (msg tea.Msg) {
		ctx, cancel := context.WithTimeout(m.ctx, bound)
		defer cancel()
		defer func() {
			if value := recover(); value != nil {
				msg = resultMsg{err: fmt.Errorf("panic behind the screen: %v", value)}
			}
		}()
		return do(ctx)
	}
}

// Update handles a message. After a panic the model stays as it was.
func (m Model) Update(msg tea.Msg) (next tea.Model, cmd tea.Cmd) {
	defer func() {
		if value := recover(); value != nil {
			m.notice = notice{text: m.t("screen.panic", m.clean(fmt.Sprint(value))), bad: true, at: m.now}
			next, cmd = m, m.revive(msg)
		}
	}()
	return m.update(msg)
}

// revive starts the clock or the feed again if the handling of their message panicked.
func (m Model) revive(msg tea.Msg) tea.Cmd {
	switch msg.(type) {
	case tickMsg:
		return m.tick()
	case feedMsg:
		return m.o.Feed.next(m.ctx)
	}
	return nil
}

func (m Model) update(msg tea.Msg) (Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
		return m.beside()
	case tickMsg:
		m, cmd := m.ticked(msg.at)
		if msg.facts != nil {
			next, more := m.update(msg.facts)
			return next, tea.Batch(cmd, more)
		}
		return m, cmd
	case factsMsg:
		return m.learn(msg), nil
	case feedMsg:
		m.log = lastLines(m.log, msg.logs)
		m, cmd := m.events(msg.events)
		return m, tea.Batch(cmd, m.o.Feed.next(m.ctx))
	case EventMsg:
		return m.events([]station.Event{msg.Event})
	case tea.KeyPressMsg:
		m.touched = m.now
		return m.keyPressed(msg)
	case tea.MouseClickMsg:
		m.touched = m.now
		return m.clicked(msg)
	case tea.MouseWheelMsg:
		m.touched = m.now
		return m.wheeled(msg)
	case tea.PasteMsg:
		m.touched = m.now
		return m.pasted(msg.Content)
	case goMsg:
		return m.goes(msg)
	case heldMsg:
		return m.heldEnded(msg), nil
	case digitMsg:
		if m.digits == msg.digits {
			m.digits = ""
		}
	default:
		return m.answered(msg)
	}
	return m, nil
}

// answered takes the answers of commands.
func (m Model) answered(msg tea.Msg) (Model, tea.Cmd) {
	switch msg := msg.(type) {
	case resultMsg:
		return m.said(msg), m.askFacts()
	case signedMsg:
		return m.signed(msg), m.askFacts()
	case orderMsg:
		if msg.err != nil {
			return m.refuse(m.errorText(msg.err)), nil
		}
		m.facts.Order = msg.order
		return m.say(m.t("said.order", m.clean(msg.order.ID))), m.askFacts()
	case newOrderMsg:
		return m.typeNewOrder(msg.id), nil
	case unlockMsg:
		return m.opened(msg)
	case checkMsg:
		return m.checked(msg)
	case earlierMsg:
		m = m.recalled(msg)
	case historyMsg:
		m.history = m.history.filled(msg)
		return m.beside()
	case detailMsg:
		m.detail = m.detail.filled(msg)
	case boardMsg:
		return m.foundBoard(msg)
	case labelMsg:
		return m.labelRead(msg)
	case exportMsg:
		return m.exported(msg), nil
	case drainedMsg:
		if msg.err != nil {
			m.leaving = false
			return m.refuse(m.errorText(msg.err)), nil
		}
		if m.leaving {
			return m, tea.Quit
		}
		return m.say(m.t("said.drained")), m.askFacts()
	}
	return m, nil
}

// ticked moves the clock, and locks the screen when nobody has pressed a key for a while.
func (m Model) ticked(at time.Time) (Model, tea.Cmd) {
	m.now = at
	if m.keyboard != nil && m.held.recent(m.clock()) == len(m.held.chars) {
		m.taken = m.keyboard.count()
	}
	if m.o.ShiftBegan != nil && m.o.ShiftBegan(at).After(m.shift.began) {
		m.shift = newShift(m.o.ShiftBegan(at))
	}
	if m.o.IdleLock > 0 && m.o.Badges != nil && m.operator.ID != "" && !m.locked && at.Sub(m.touched) >= m.o.IdleLock {
		m.locked, m.dialog, m.helpShown, m.notice = true, nil, false, notice{}
		if m.field != nil && m.field.purpose != fieldPIN {
			m.field = nil
		}
	}
	return m, m.tick()
}

func (m Model) learn(msg factsMsg) Model {
	m.factsBad = ""
	if msg.err != nil {
		m.factsBad = m.errorText(msg.err)
		return m
	}
	m.facts = msg.facts
	m.bays = slices.Clone(m.bays)
	for i := range m.bays {
		m.bays[i].facts = BayFacts{Name: m.bays[i].name}
		for _, facts := range msg.facts.Bays {
			if facts.Name == m.bays[i].name {
				m.bays[i].facts = facts
			}
		}
	}
	return m
}

// events applies events, in order.
func (m Model) events(events []station.Event) (Model, tea.Cmd) {
	if len(events) == 0 {
		return m, nil
	}
	m.bays = slices.Clone(m.bays)
	ring := false
	for _, e := range events {
		i := slices.IndexFunc(m.bays, func(b bay) bool { return b.name == e.Bay })
		if i < 0 {
			continue // a bay that is not on this screen
		}
		m.bays[i].take(e, m.o.Steps)
		if e.Kind == station.RunEnded {
			m = m.count(&e.Snap)
			ring = true
		}
	}
	if ring && m.o.Bell {
		m.rings++
	}
	return m, nil
}

func lastLines(old, more []LogLine) []LogLine {
	if len(more) == 0 {
		return old
	}
	all := append(slices.Clip(old), more...)
	return all[max(0, len(all)-keptLogLines):]
}

func (m Model) say(text string) Model    { return m.note(text, false) }
func (m Model) refuse(text string) Model { return m.note(text, true) }

func (m Model) note(text string, bad bool) Model {
	if m.answer.capsLock {
		text += " " + m.t("scan.caps")
	}
	m.notice = notice{text: text, bad: bad, at: m.now}
	return m
}

func (m Model) said(msg resultMsg) Model {
	switch {
	case msg.err != nil:
		return m.refuse(m.errorText(msg.err))
	case msg.said != "":
		return m.say(msg.said)
	}
	return m
}
