package ui

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/uuid"

	"hallmark/station"
	"hallmark/station/operate"
	"hallmark/ui/catalogue"
)

// A fakeStation replaces the rest of the station, in memory. It notes each call.
type fakeStation struct {
	mu      sync.Mutex
	asked   []string
	facts   Facts
	badges  map[string]Operator
	orders  map[string]Order
	rows    []Row
	detail  Detail
	checks  []Check
	refusal error // error of Controller and Bays
	pins    []string
	kept    []byte // the slice of the PIN, to check that it is wiped
	queries []Query
}

func (s *fakeStation) note(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, fmt.Sprintf(format, args...))
	return s.refusal
}

func (s *fakeStation) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.asked, "; ")
}

func (s *fakeStation) Start(_ context.Context, a Start) error {
	text := "start " + a.Bay + " by " + a.Operator
	if a.Order != "" {
		text += " for " + a.Order
	}
	if a.Expect != "" {
		text += " expecting " + short(a.Expect)
	}
	if a.Rework != "" {
		text += " rework: " + a.Rework
	}
	return s.note("%s", text)
}
func (s *fakeStation) Stop(_ context.Context, bay, operator string) error {
	return s.note("stop %s by %s", bay, operator)
}
func (s *fakeStation) Drain(_ context.Context, operator string) error {
	return s.note("drain by %s", operator)
}
func (s *fakeStation) Skip(_ context.Context, bay, reason, operator string) error {
	return s.note("skip %s (%s) by %s", bay, reason, operator)
}
func (s *fakeStation) Acknowledge(_ context.Context, bay, operator string) error {
	return s.note("acknowledge %s by %s", bay, operator)
}
func (s *fakeStation) ReadLabel(_ context.Context, bay, text, operator string) error {
	if err := s.note("label %s for %s by %s", short(text), bay, operator); err != nil {
		return err
	}
	for i := range s.facts.Bays {
		if b := &s.facts.Bays[i]; b.Name == bay && b.Label != text && !slices.ContainsFunc(s.rows, func(r Row) bool { return r.Serial == text && r.BoardID == b.Label }) {
			b.WrongLabel = text
			return fmt.Errorf("%s: %w", bay, operate.ErrWrongLabel)
		} else if b.Name == bay {
			b.Label, b.WrongLabel = "", ""
		}
	}
	return nil
}
func (s *fakeStation) Automatic(_ context.Context, on bool, operator, order string) error {
	return s.note("automatic %t by %s", on, operator)
}
func (s *fakeStation) Facts(context.Context) (Facts, error) { return s.facts, nil }
func (s *fakeStation) SignIn(_ context.Context, badge string) (Operator, error) {
	if operator, ok := s.badges[badge]; ok {
		return operator, s.note("sign in %s", operator.ID)
	}
	return Operator{}, fmt.Errorf("signing in: %w", operate.ErrUnknownBadge)
}
func (s *fakeStation) SignOut(_ context.Context, operator, why string) error {
	return s.note("sign out %s: %s", operator, why)
}
func (s *fakeStation) Switch(_ context.Context, id, operator string) (Order, error) {
	order, ok := s.orders[id]
	switch {
	case !ok:
		return Order{}, station.ErrUnknownOrder
	case order.Quota > 0 && order.Count >= order.Quota:
		return Order{}, station.ErrQuota
	}
	return order, s.note("order %s by %s", id, operator)
}
func (s *fakeStation) ChangeOrder(_ context.Context, act string, ask operate.OrderChange) (string, error) {
	if act == operate.ActOpenOrder && s.refusal == nil {
		s.orders[ask.ID] = Order{ID: ask.ID, Quota: ask.Quota}
	}
	return "", s.note("%s %s %d by %s", act, ask.ID, ask.Quota, ask.Operator)
}
func (s *fakeStation) Search(_ context.Context, q Query) ([]Row, error) {
	s.queries = append(s.queries, q)
	return s.rows[:min(len(s.rows), q.Limit)], nil
}
func (s *fakeStation) Detail(context.Context, uuid.UUID) (Detail, error) { return s.detail, nil }
func (s *fakeStation) RunChecks(context.Context) <-chan Check {
	c := make(chan Check, len(s.checks))
	for _, check := range s.checks {
		c <- check
	}
	close(c)
	return c
}
func (s *fakeStation) Unlock(_ context.Context, pin []byte) error {
	s.pins, s.kept = append(s.pins, string(pin)), pin
	return s.refusal
}
func (s *fakeStation) Copy(_ context.Context, text string) (string, error) {
	return "run.txt", s.note("copy %d lines", strings.Count(text, "\n"))
}

func (s *fakeStation) Export(_ context.Context, operator, text string, ending station.Ending, json bool) (string, int, error) {
	return "/copies/runs.csv", len(s.rows), s.note("export %q %s json %t by %s", text, ending, json, operator)
}

var testSteps = []string{"identify", "request", "check", "sign", "write", "reset", "read back", "handshake", "record"}

func at(seconds float64) time.Time {
	return time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

// boardOf gives the BoardID of the nth board.
func boardOf(n int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(fmt.Sprint("board ", n)))
}

func runOf(n int) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(fmt.Sprint("run ", n))) }

func newFakeStation() *fakeStation {
	return &fakeStation{
		facts: Facts{Order: Order{ID: "WO-4711", Product: "gateway", Quota: 500, Count: 123}, HSM: HSM{State: HSMReady}, Entries: 48213,
			Checkpointed: at(-240), Automatic: true},
		badges: map[string]Operator{"OP-17": {ID: "op17", Name: "M. Ortiz"}, "OP-18": {ID: "op18", Name: "J. Weiß"}},
		orders: map[string]Order{"WO-4711": {ID: "WO-4711", Quota: 500, Count: 123}, "WO-FULL": {ID: "WO-FULL", Quota: 5, Count: 5},
			"WO-4712": {ID: "WO-4712"}},
		checks: []Check{{Name: "configuration", State: CheckOK, Finding: "station \"Line 3\", profile gateway", Word: "configuration", Values: []any{"Line 3", "gateway"}},
			{Name: "registry", State: CheckOK, Finding: "open, settings read back: WAL, synchronous=FULL", Word: "registry"}, {Name: "HSM", State: CheckOK, Finding: "token \"factory-ca\""},
			{Name: "issuing key", State: CheckOK, Finding: "signed a challenge in 2.1ms", Word: "signed", Values: []any{2100 * time.Microsecond}}, {Name: "self-test", State: CheckOK, Finding: "6 clients, each answered as it must be", Word: "self-test", Values: []any{6}}},
	}
}

// A driver runs a Model as the program does, one message at a time, with its own clock.
type driver struct {
	t *testing.T
	Model
	station *fakeStation
	hour    *time.Time // what the clock of the keyboard shows
	// late takes the messages of commands that needed longer than obey waited. On a busy machine any command may.
	late chan tea.Msg
}

// later moves the clock of the keyboard.
func (d *driver) later(by time.Duration) { *d.hour = d.hour.Add(by) }

func options(t testing.TB, s *fakeStation, bays int, language string) Options {
	t.Helper()
	texts, err := catalogue.Load(language)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Interfaces: Interfaces{Controller: s, Bays: s, Facts: s, Badges: s, Orders: s, History: s, Detail: s, Doctor: s, Copier: s, Exporter: s},
		Texts: texts, Feed: NewFeed(0), Station: "Hallmark Line 3", Steps: testSteps, Now: func() time.Time { return at(0) }, Out: io.Discard,
		Takt: 12 * time.Second, IdleLock: 10 * time.Minute}
	for i := range bays {
		o.BayNames = append(o.BayNames, fmt.Sprint(i+1))
	}
	return o
}

// drive opens a screen at the bench with an operator signed in.
func drive(t *testing.T, bays, w, h int, language string) *driver {
	t.Helper()
	s := newFakeStation()
	d := open(t, s, options(t, s, bays, language), w, h)
	d.screen, d.operator = screenDashboard, s.badges["OP-17"]
	d.checks.done = true
	return d
}

func open(t *testing.T, s *fakeStation, o Options, w, h int) *driver {
	t.Helper()
	m, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	hour := at(0)
	m.clock = func() time.Time { return hour }
	d := &driver{t, m, s, &hour, make(chan tea.Msg)}
	d.send(tea.WindowSizeMsg{Width: w, Height: h}, factsMsg{facts: s.facts})
	return d
}

// send passes messages to the model and runs its commands, except timers.
func (d *driver) send(msgs ...tea.Msg) {
	d.t.Helper()
	for _, msg := range msgs {
		next, cmd := d.Model.Update(msg)
		d.Model = next.(Model)
		if n := len(d.held.chars); n > 0 && d.held.chars[n-1].before == nil {
			continue // the command of a character in a scan is a timer, whose message the tests send
		}
		d.obey(cmd)
	}
}

func (d *driver) obey(cmd tea.Cmd) {
	d.t.Helper()
	if cmd == nil {
		return
	}
	done := make(chan tea.Msg, 1)
	go func() { done <- cmd() }()
	select {
	case msg := <-done:
		d.take(msg)
	case <-time.After(50 * time.Millisecond): // a timer, a wait for the feed, or a busy machine
		go func() {
			select {
			case d.late <- <-done:
			case <-d.t.Context().Done():
			}
		}()
	}
}

// take passes the message of a command to the model. The messages of timers are sent by the tests.
func (d *driver) take(msg tea.Msg) {
	d.t.Helper()
	switch msg := msg.(type) {
	case tea.BatchMsg:
		for _, cmd := range msg {
			d.obey(cmd)
		}
	case nil, heldMsg, tickMsg, tea.QuitMsg, digitMsg:
	default:
		d.send(msg)
	}
}

// becomes waits until something is so, while late messages arrive.
func (d *driver) becomes(so func() bool) bool {
	d.t.Helper()
	for end := time.After(10 * time.Second); !so(); {
		select {
		case msg := <-d.late:
			d.take(msg)
		case <-time.After(time.Millisecond):
		case <-end:
			return false
		}
	}
	return true
}

// keyPress is a key that types text: one character, or several that the terminal sends as one.
func keyPress(text string) tea.KeyPressMsg { return tea.KeyPressMsg{Text: text} }

// View is what the screen shows.
func (d *driver) View() string { return d.Model.View().Content }

// key types a special key, or characters one by one, as fast as a person.
func (d *driver) key(name string) {
	d.t.Helper()
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEsc, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
		"backspace": tea.KeyBackspace, "go": tea.KeyF12}
	if k, ok := special[name]; ok {
		d.later(time.Second)
		d.send(tea.KeyPressMsg{Code: k})
		return
	}
	for _, r := range name {
		d.later(300 * time.Millisecond)
		d.send(keyPress(string(r)))
	}
}

// scan types a label as a fast scanner does, some time after the last key: one character after the other, then enter.
func (d *driver) scan(label string) {
	d.t.Helper()
	d.later(within + time.Second)
	for _, r := range label {
		d.later(5 * time.Millisecond)
		d.send(keyPress(string(r)))
	}
	d.send(tea.KeyPressMsg{Code: tea.KeyEnter})
}

// shows checks that the screen has the text.
func (d *driver) shows(text string) {
	d.t.Helper()
	if !d.becomes(func() bool { return strings.Contains(d.View(), text) }) {
		d.t.Errorf("screen does not show %q:\n%s", text, d.View())
	}
}

func (d *driver) asked(want string) {
	d.t.Helper()
	got := ""
	if !d.becomes(func() bool { got = d.station.said(); return got == want }) {
		d.t.Errorf("asked for %q, want %q", got, want)
	}
}
