package ui

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// The start of a shift: the operator types the PIN if the station needs one. Then every part of the station is
// checked, also with the verifier's self-test. The screen of the doctor shows the same list.

type checksView struct {
	turn    int // of the newest checks; the results of older ones are dropped
	checks  []Check
	running bool
	done    bool
	cancel  context.CancelFunc
}

// checkMsg is the result of one check, or the end of all checks.
type checkMsg struct {
	turn  int
	check Check
	end   bool
	rest  <-chan Check
	stop  context.CancelFunc // ends the checks
}

// firstTurn is the turn of the checks that Init began.
const firstTurn = 1

const answerDoctor = 2 * time.Minute

// runChecks begins the checks.
func (m Model) runChecks() tea.Cmd {
	if m.o.Doctor == nil {
		return nil
	}
	return m.runChecksAs(m.ctx, max(firstTurn, m.checks.turn))
}

func (m Model) runChecksAs(parent context.Context, turn int) tea.Cmd {
	return func() (msg tea.Msg) {
		ctx, cancel := context.WithTimeout(parent, answerDoctor)
		defer panicsAsCheck(turn, cancel, &msg)
		return receive(checkMsg{turn: turn, rest: m.o.Doctor.RunChecks(ctx), stop: cancel})
	}
}

func panicsAsCheck(turn int, stop context.CancelFunc, msg *tea.Msg) {
	if value := recover(); value != nil {
		*msg = checkMsg{turn: turn, check: Check{Name: "doctor", State: CheckFail, Finding: fmt.Sprint(value)}, rest: closedChecks(), stop: stop}
	}
}

func closedChecks() <-chan Check {
	c := make(chan Check)
	close(c)
	return c
}

// receive waits for the next check.
func receive(last checkMsg) tea.Msg {
	check, more := <-last.rest
	return checkMsg{turn: last.turn, check: check, end: !more, rest: last.rest, stop: last.stop}
}

func (m Model) checked(msg checkMsg) (Model, tea.Cmd) {
	if msg.turn != max(firstTurn, m.checks.turn) {
		msg.stop() // the operator has left that screen
		return m, nil
	}
	if msg.end {
		msg.stop()
		m.checks.running, m.checks.done = false, true
		return m, nil
	}
	m.checks.running = true
	m.checks.checks = append(m.checks.checks[:len(m.checks.checks):len(m.checks.checks)], msg.check)
	return m, func() tea.Msg { return receive(msg) }
}

func (m Model) failedChecks() int {
	count := 0
	for _, check := range m.checks.checks {
		if check.State != CheckOK && check.State != CheckWarn {
			count++
		}
	}
	return count
}

func (m Model) whyNotCheck() string {
	switch {
	case m.o.Doctor == nil:
		return m.t("why.nodoctor")
	case !m.unlocked:
		return m.t("why.pin")
	case m.checks.running:
		return m.t("why.checking")
	case m.busy() > 0:
		return m.t("why.runs", m.busy())
	}
	return ""
}

func (m Model) checkAgain() (Model, tea.Cmd) {
	ctx, cancel := context.WithCancel(m.ctx)
	m.checks = checksView{turn: max(firstTurn, m.checks.turn) + 1, running: true, cancel: cancel}
	m.scroll = 0
	return m, m.runChecksAs(ctx, m.checks.turn)
}

// openDoctor shows the newest checks. The go key repeats them: a check signs with the HSM.
func (m Model) openDoctor() (Model, tea.Cmd) {
	m.screen, m.scroll = screenDoctor, 0
	return m, nil
}

func (m Model) whyNotBegin() string {
	switch {
	case !m.unlocked:
		return m.t("why.pin")
	case m.o.Doctor != nil && !m.checks.done:
		return m.t("why.checking")
	case m.failedChecks() > 0:
		return m.t("why.checks", m.failedChecks())
	}
	return ""
}

func (m Model) begin() (Model, tea.Cmd) {
	m.screen, m.scroll = screenDashboard, 0
	if m.o.ShiftBegan == nil {
		m.shift = newShift(m.now)
	}
	return m, nil
}

// unlock passes the PIN to the station, and overwrites it. It refuses a label, because a label is no PIN and must not use
// up a try.
func (m Model) unlock() (Model, tea.Cmd) {
	typed := m.field.text
	defer wipe(typed)
	m.field = &field{purpose: fieldPIN, secret: true}
	if m.o.Labels.IsLabel(typed) {
		return m.refuse(m.t("pin.label")), nil
	}
	if len(typed) == 0 {
		return m.refuse(m.t("pin.empty", m.keys.Go.show)), nil
	}
	pin := encoded(typed)
	m.field = nil
	return m.say(m.t("pin.checking")), m.ask(answerDoctor, func(ctx context.Context) tea.Msg {
		defer clear(pin)
		return unlockMsg{m.o.Opener.Unlock(ctx, pin)}
	})
}

// encoded gives the PIN as UTF-8. It makes no string, because a string cannot be wiped.
func encoded(typed []rune) []byte {
	pin := make([]byte, 0, utf8.UTFMax*len(typed)) // append does not leave a copy behind
	for _, r := range typed {
		pin = utf8.AppendRune(pin, r)
	}
	return pin
}

func (m Model) opened(msg unlockMsg) (Model, tea.Cmd) {
	if msg.err != nil {
		m.field = &field{purpose: fieldPIN, secret: true}
		return m.refuse(m.errorText(msg.err)), nil
	}
	m.unlocked, m.notice = true, notice{}
	if m.o.Doctor == nil {
		return m.begin()
	}
	return m.checkAgain()
}
