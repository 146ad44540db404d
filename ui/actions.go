package ui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"
)

const (
	answerSoon   = 10 * time.Second // for calls that should take milliseconds
	answerExport = time.Minute      // a registry of 100,000 boards
	answerDrain  = 5 * time.Minute  // the time-out of a Run alone is three minutes
)

func (m Model) bay() *bay { return &m.bays[m.selected] }

// whyNotOperate says why the operator cannot change anything at present.
func (m Model) whyNotOperate() string {
	switch {
	case m.operator.ID == "":
		return m.t("why.signin")
	case m.locked:
		return m.t("why.locked")
	case m.leaving || m.facts.Draining:
		return m.t("why.draining")
	}
	return ""
}

func (m Model) whyNotStart() string { return m.whyNotStartBay(m.bay()) }

func (m Model) whyNotStartBay(b *bay) string {
	why := m.whyNotOperate()
	switch {
	case why != "":
		return why
	case m.hsmAway():
		return m.t("why.hsm")
	case m.facts.Paused != "":
		return m.clean(m.facts.Paused)
	case b.busy():
		return m.t("why.busy", m.clean(b.name))
	case b.facts.Stopped != "":
		return m.t("why.stopped", m.clean(b.name))
	case b.facts.Skipped != "":
		return m.t("why.skipped", m.clean(b.name), m.whySkipped(b))
	case b.facts.Label != "":
		return m.t("why.label", m.clean(b.name), short(b.facts.Label))
	case b.facts.Present == BoardAbsent:
		return m.t("why.absent", m.clean(b.name))
	}
	return ""
}

func (m Model) hsmAway() bool { return m.facts.HSM.State == HSMAway }

func (m Model) whyNotStop() string {
	if !m.bay().busy() {
		return m.t("why.idle")
	}
	return m.whyNotOperate()
}

func (m Model) whyNotAcknowledge() string {
	if m.bay().facts.Stopped == "" {
		return m.t("why.notstopped")
	}
	return m.whyNotOperate()
}

func (m Model) whyNotSkip() string {
	if m.bay().busy() {
		return m.t("why.busy", m.clean(m.bay().name))
	}
	return m.whyNotOperate()
}

// whyNotStopAll: stopping all also ends automatic start, and the wait of Runs for the HSM.
func (m Model) whyNotStopAll() string {
	if m.busy() == 0 && !m.facts.Automatic && !m.hsmAway() && m.facts.Paused == "" {
		return m.t("why.noruns")
	}
	return m.whyNotOperate()
}

func (m Model) whyNoDetail() string {
	if !m.bay().begun {
		return m.t("why.norun")
	}
	return ""
}

func (m Model) whyNotSignIn() string {
	switch {
	case m.o.Badges == nil:
		return m.t("why.nobadges")
	case m.operator.ID != "" && !m.locked:
		return m.t("why.signedin", m.clean(m.operator.Name))
	}
	return ""
}

func (m Model) whyNotSignOut() string {
	switch {
	case m.o.Badges == nil:
		return m.t("why.nobadges")
	case m.operator.ID == "":
		return m.t("why.signin")
	}
	return ""
}

func (m Model) whyNotOrder() string {
	if m.o.Orders == nil {
		return m.t("why.noorders")
	}
	return m.whyNotOperate()
}

func (m Model) whyNoHistory() string {
	if m.o.History == nil {
		return m.t("why.nohistory")
	}
	return ""
}

func (m Model) whyNoDoctor() string {
	if m.o.Doctor == nil {
		return m.t("why.nodoctor")
	}
	return ""
}

// intend calls the station. If the call succeeds, the screen shows the text said.
func (m Model) intend(said string, do func(context.Context) error) tea.Cmd {
	return m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		if err := do(ctx); err != nil {
			return resultMsg{err: err}
		}
		return resultMsg{said: said}
	})
}

func (m Model) start() (Model, tea.Cmd) { return m.startExpecting("") }

func (m Model) startExpecting(board string) (Model, tea.Cmd) {
	s := Start{Bay: m.bay().name, Operator: m.operator.ID, Order: m.facts.Order.ID, Expect: board}
	return m, m.intend("", func(ctx context.Context) error { return m.o.Controller.Start(ctx, s) })
}

// rework asks for the reason. Only the board that the tile shows may be reworked.
func (m Model) rework() (Model, tea.Cmd) {
	b := m.bay()
	s := Start{Bay: b.name, Operator: m.operator.ID, Order: m.facts.Order.ID, Expect: b.boardID()}
	run := b.run.ID
	m.dialog = &dialog{title: m.t("dialog.rework", m.clean(s.Bay)), text: m.t("dialog.rework.text", short(s.Expect)),
		choices: []string{m.t("rework.repaired"), m.t("rework.replace"), m.t("rework.trial"), m.t("rework.other")},
		valid:   func(m Model) bool { i := m.find(s.Bay); return i >= 0 && m.bays[i].run.ID == run && !m.bays[i].busy() },
		do: func(m Model, reason string) (Model, tea.Cmd) {
			s.Rework = reason
			return m, m.intend(m.t("said.rework", m.clean(s.Bay)), func(ctx context.Context) error { return m.o.Controller.Start(ctx, s) })
		}}
	return m, nil
}

func (m Model) automatic() (Model, tea.Cmd) {
	on, operator, order := !m.facts.Automatic, m.operator.ID, m.facts.Order.ID
	title, text, said := m.t("dialog.manual"), m.t("dialog.manual.text"), m.t("said.manual")
	if on {
		title, text, said = m.t("dialog.automatic"), m.t("dialog.automatic.text"), m.t("said.automatic")
	}
	m.dialog = &dialog{title: title, text: text,
		valid: func(m Model) bool { return m.facts.Automatic != on },
		do: func(m Model, _ string) (Model, tea.Cmd) {
			return m, m.intend(said, func(ctx context.Context) error { return m.o.Bays.Automatic(ctx, on, operator, order) })
		}}
	return m, nil
}

func (m Model) stopBay() (Model, tea.Cmd) {
	b := m.bay()
	name, operator, run := b.name, m.operator.ID, b.run.ID
	m.dialog = &dialog{title: m.t("dialog.stop", m.clean(name)), text: m.t("dialog.stop.text"),
		valid: func(m Model) bool { i := m.find(name); return i >= 0 && m.bays[i].busy() && m.bays[i].run.ID == run },
		do: func(m Model, _ string) (Model, tea.Cmd) {
			return m, m.intend(m.t("said.stop", m.clean(name)), func(ctx context.Context) error { return m.o.Controller.Stop(ctx, name, operator) })
		}}
	return m, nil
}

func (m Model) find(bay string) int {
	for i := range m.bays {
		if m.bays[i].name == bay {
			return i
		}
	}
	return -1
}

func (m Model) skip() (Model, tea.Cmd) {
	name, operator := m.bay().name, m.operator.ID
	if m.bay().facts.Skipped != "" {
		m.dialog = &dialog{title: m.t("dialog.unskip", m.clean(name)), text: m.t("dialog.unskip.text"),
			do: func(m Model, _ string) (Model, tea.Cmd) {
				return m, m.intend(m.t("said.unskip", m.clean(name)), func(ctx context.Context) error { return m.o.Bays.Skip(ctx, name, "", operator) })
			}}
		return m, nil
	}
	m.dialog = &dialog{title: m.t("dialog.skip", m.clean(name)), text: m.t("dialog.skip.text"),
		choices: []string{m.t("skip.empty"), m.t("skip.jig"), m.t("skip.cable"), m.t("skip.other")},
		do: func(m Model, reason string) (Model, tea.Cmd) {
			return m, m.intend(m.t("said.skip", m.clean(name)), func(ctx context.Context) error { return m.o.Bays.Skip(ctx, name, reason, operator) })
		}}
	return m, nil
}

func (m Model) acknowledge() (Model, tea.Cmd) {
	name, operator := m.bay().name, m.operator.ID
	m.dialog = &dialog{title: m.t("dialog.acknowledge", m.clean(name)), text: m.t("dialog.acknowledge.text", clip(m.stoppedText(m.bay()), 160, m.theme.shapes.ellipsis)),
		do: func(m Model, _ string) (Model, tea.Cmd) {
			return m, m.intend(m.t("said.acknowledge", m.clean(name)), func(ctx context.Context) error { return m.o.Bays.Acknowledge(ctx, name, operator) })
		}}
	return m, nil
}

func (m Model) stopAll() (Model, tea.Cmd) {
	m.dialog = &dialog{title: m.t("dialog.stopall"), text: m.t("dialog.stopall.text", m.busy()),
		do: func(m Model, _ string) (Model, tea.Cmd) { return m.say(m.t("said.draining")), m.drain() }}
	return m, nil
}

func (m Model) drain() tea.Cmd {
	operator := m.operator.ID
	return m.ask(answerDrain, func(ctx context.Context) tea.Msg { return drainedMsg{m.o.Controller.Drain(ctx, operator)} })
}

// busy counts the Runs that have not ended.
func (m Model) busy() int {
	count := 0
	for i := range m.bays {
		if m.bays[i].busy() {
			count++
		}
	}
	return count
}

// quit asks whether to leave, unless the operator has already said yes.
func (m Model) quit() (Model, tea.Cmd) {
	if m.leaving {
		return m.say(m.t("said.leaving", m.busy())), nil
	}
	leave := func(m Model, _ string) (Model, tea.Cmd) {
		m.leaving, m.field = true, nil
		return m.say(m.t("said.leaving", m.busy())), m.drain()
	}
	text := m.t("dialog.quit.idle")
	if m.busy() > 0 {
		text = m.t("dialog.quit.text", m.busy())
	}
	m.dialog = &dialog{title: m.t("dialog.quit"), text: text, do: leave}
	return m, nil
}

// redraw draws the whole screen again, after another program wrote over it.
func (m Model) redraw() (Model, tea.Cmd) {
	m.redraws++
	return m, nil
}

func (m Model) help() (Model, tea.Cmd) {
	m.helpShown = true
	return m, nil
}

// back goes to the screen from which this one was opened.
func (m Model) back() (Model, tea.Cmd) {
	m.scroll = 0
	if m.screen == screenDetail && m.detail.fromHistory {
		m.screen = screenHistory
		return m, nil
	}
	if m.screen == screenDoctor && m.checks.running && m.checks.cancel != nil {
		m.checks.cancel()
		m.checks = checksView{turn: m.checks.turn + 1}
	}
	m.screen = screenDashboard
	return m, nil
}

func (m Model) openNumbers() (Model, tea.Cmd) {
	m.screen = screenNumbers
	return m, nil
}

func (m Model) openLog() (Model, tea.Cmd) {
	m.screen, m.scroll = screenLog, 0
	return m, nil
}

// The arrow keys: on the dashboard they go from bay to bay, elsewhere through rows or lines.

func (m Model) up() (Model, tea.Cmd)       { return m.move(-m.perRow()) }
func (m Model) down() (Model, tea.Cmd)     { return m.move(m.perRow()) }
func (m Model) left() (Model, tea.Cmd)     { return m.move(-1) }
func (m Model) right() (Model, tea.Cmd)    { return m.move(1) }
func (m Model) pageUp() (Model, tea.Cmd)   { return m.move(-max(1, m.body().h-2)) }
func (m Model) pageDown() (Model, tea.Cmd) { return m.move(max(1, m.body().h-2)) }

func (m Model) move(by int) (Model, tea.Cmd) {
	switch m.screen {
	case screenDashboard:
		if to := m.selected + by; to >= 0 && to < len(m.bays) {
			m.selected = to
		}
	case screenHistory:
		last := max(0, len(m.history.rows)-1)
		m.history.cursor = min(max(m.history.cursor+by, 0), last)
		m, cmd := m.beside()
		if m.history.cursor == last && m.history.older {
			m, older := m.searchOlder()
			return m, tea.Batch(cmd, older)
		}
		return m, cmd
	default:
		m.scroll = min(max(0, m.scroll+by), m.maxScroll())
	}
	return m, nil
}

func (m Model) perRow() int {
	if m.screen == screenDashboard && m.w > 0 {
		return m.arrange(m.body()).columns
	}
	return 1
}

// signIn asks whose badge it is. The operator before is signed out.
func (m Model) signIn(badge string) (Model, tea.Cmd) {
	if m.o.Badges == nil {
		return m.refuse(m.t("why.nobadges")), nil
	}
	before := m.operator.ID
	return m, m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		operator, err := m.o.Badges.SignIn(ctx, badge)
		if err == nil && before != "" && before != operator.ID {
			if err := m.o.Badges.SignOut(ctx, before, "another operator signed in"); err != nil {
				return signedMsg{err: fmt.Errorf("signing %s out: %w", before, err)}
			}
		}
		return signedMsg{operator, err}
	})
}

func (m Model) signed(msg signedMsg) Model {
	if msg.err != nil {
		return m.refuse(m.errorText(msg.err))
	}
	m.operator, m.locked, m.touched = msg.operator, false, m.now
	return m.say(m.t("said.signedin", m.clean(msg.operator.Name)))
}

func (m Model) signOut() (Model, tea.Cmd) {
	id := m.operator.ID
	m.dialog = &dialog{title: m.t("dialog.signout", m.clean(m.operator.Name)), text: m.t("dialog.signout.text"),
		valid: func(m Model) bool { return m.operator.ID == id },
		do: func(m Model, _ string) (Model, tea.Cmd) {
			m.operator, m.locked = Operator{}, false
			return m, m.intend(m.t("said.signedout"), func(ctx context.Context) error { return m.o.Badges.SignOut(ctx, id, "signed out") })
		}}
	return m, nil
}

func (m Model) signInField() (Model, tea.Cmd) {
	m.locked, m.field = m.operator.ID != "", &field{purpose: fieldBadge}
	return m, nil
}

// opens opens an empty field.
func opens(purpose fieldPurpose) func(Model) (Model, tea.Cmd) {
	return func(m Model) (Model, tea.Cmd) {
		m.field = &field{purpose: purpose}
		return m, nil
	}
}
