package ui

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
	"hallmark/station/operate"
)

// The palette lists every action of the bench with its key, and why an action cannot be done now. Typed characters search the
// list; the go key does the chosen action. So a scanned label only searches.

func (m Model) openPalette() (Model, tea.Cmd) {
	m.field = &field{purpose: fieldPalette}
	return m, nil
}

// commands are the actions of the bench, and those that have no key.
func (m Model) commands() []action {
	keyless := func(text, act string, why func(Model) string, do func(Model) (Model, tea.Cmd)) action {
		return action{key: binding{does: m.t("key." + text)}, why: why, do: do, act: act}
	}
	shown := m.screen
	export := func(do func(Model) (Model, tea.Cmd)) func(Model) (Model, tea.Cmd) {
		return func(m Model) (Model, tea.Cmd) { // the history stays open, with what it shows
			m.screen = shown
			return do(m)
		}
	}
	var all []action
	for _, a := range m.dashboardActions() {
		if !a.key.moves() && !a.key.matchesName(":") {
			all = append(all, a)
		}
	}
	return append(all, keyless("startall", "", Model.whyNotStartAll, Model.startAll),
		keyless("openorder", operate.ActOpenOrder, Model.whyNotOrder, opens(fieldOpenOrder)),
		keyless("raiseorder", operate.ActRaiseOrder, Model.whyNoOrderNow, opens(fieldRaiseOrder)),
		keyless("closeorder", operate.ActCloseOrder, Model.whyNoOrderNow, Model.closeOrder),
		keyless("exportcsv", "", Model.whyNoExport, export(Model.exportCSV)),
		keyless("exportjson", "", Model.whyNoExport, export(Model.exportJSON)))
}

// found are the commands that have all typed words in their text. What can be done now comes before what cannot.
func (m Model) found() []action {
	var found []action
	words := strings.Fields(strings.ToLower(string(m.field.text)))
next:
	for _, a := range m.commands() {
		text := strings.ToLower(a.key.show + " " + a.key.does + " " + a.key.long)
		for _, word := range words {
			if !strings.Contains(text, word) {
				continue next
			}
		}
		found = append(found, a)
	}
	if len(words) > 0 {
		slices.SortStableFunc(found, func(a, b action) int {
			return cmp.Compare(min(1, len(a.remark(m))), min(1, len(b.remark(m))))
		})
	}
	return found
}

// chooseCommand moves through the commands that were found.
func (m Model) chooseCommand(by int) Model {
	next := *m.field
	next.cursor = min(max(0, next.cursor+by), max(0, len(m.found())-1))
	m.field = &next
	return m
}

// command does the chosen command on the bench.
func (m Model) command() (Model, tea.Cmd) {
	found, cursor := m.found(), m.field.cursor
	if cursor >= len(found) { // the palette stays open, so that the next characters are no keys of the bench
		return m.refuse(m.t("palette.none")), nil
	}
	m.field = nil
	a := found[cursor]
	if why := a.refusal(m); why != "" {
		return m.refuse(m.t("key.refused", a.key.text(), why)), nil
	}
	m.screen, m.scroll = screenDashboard, 0
	return a.perform(m)
}

func (m Model) drawPalette(c *canvas) {
	found := m.found()
	w, rows := min(76, c.w-4), min(len(found), max(1, c.h-10))
	x, y := (c.w-w)/2, 3
	c.fill(x-1, y, w+2, rows+5, plain, ' ')
	c.box(x, y, w, rows+5, strong, m.theme.shapes.chosenFrame)
	m.drawField(c, x+3, y+1, w-6, ":")
	first := max(0, m.field.cursor-rows+1)
	for i := first; i < len(found) && i-first < rows; i++ {
		a, s, text := found[i], plain, found[i].key.text()
		if why := a.remark(m); why != "" {
			s, text = dim, text+": "+why
		}
		if i == m.field.cursor {
			s = chosen
			c.fill(x+1, y+2+i-first, w-2, 1, s, ' ')
			c.put(x+1, y+2+i-first, 1, s, string(m.theme.shapes.cursor))
		}
		c.put(x+3, y+2+i-first, 6, s, a.key.show)
		c.put(x+10, y+2+i-first, w-12, s, text)
	}
	if len(found) == 0 {
		c.put(x+3, y+2, w-6, dim, m.t("palette.none"))
	}
	if more := len(found) - rows; more > 0 {
		c.right(x+w-3, y+rows+2, w-6, dim, m.t("palette.more", more))
	}
	c.put(x+3, y+rows+3, w-6, dim, m.t("palette.keys", m.keys.Go.show))
}

// whyNotStartAll says why no bay can be started.
func (m Model) whyNotStartAll() string {
	if why := m.whyNotOperate(); why != "" {
		return why
	}
	if len(m.startable()) == 0 {
		return m.t("why.noneready")
	}
	return ""
}

// startable are the bays that can start now.
func (m Model) startable() (bays []string) {
	for i := range m.bays {
		if m.whyNotStartBay(&m.bays[i]) == "" {
			bays = append(bays, m.bays[i].name)
		}
	}
	return bays
}

// startAll starts each bay that can start, after a question.
func (m Model) startAll() (Model, tea.Cmd) {
	m.dialog = &dialog{title: m.t("dialog.startall"), text: m.t("dialog.startall.text", len(m.startable())),
		do: func(m Model, _ string) (Model, tea.Cmd) {
			operator, order := m.operator.ID, m.facts.Order.ID
			var all []tea.Cmd
			for _, name := range m.startable() {
				s := Start{Bay: name, Operator: operator, Order: order}
				all = append(all, m.intend("", func(ctx context.Context) error { return m.o.Controller.Start(ctx, s) }))
			}
			return m, tea.Batch(all...)
		}}
	return m, nil
}

// whyNoOrderNow says why the present work order cannot be changed.
func (m Model) whyNoOrderNow() string {
	if why := m.whyNotOrder(); why != "" {
		return why
	}
	if m.facts.Order.ID == "" {
		return m.t("header.noorder")
	}
	return ""
}

// typeAgain leaves the panel open with what was typed, and says what is wrong with the text.
func (m Model) typeAgain(purpose fieldPurpose, text, wrong string) Model {
	m.field = &field{purpose: purpose, text: []rune(text)}
	return m.refuse(wrong)
}

// switchOrder takes a work order for the next Runs. With opening, the panel for a new work order comes back with an id that was never
// opened: the paper of a new work order has its label already, and the person only adds the number of boards.
func (m Model) switchOrder(id string, opening bool) (Model, tea.Cmd) {
	if why := m.whyNotOrder(); why != "" {
		return m.refuse(why), nil
	}
	operator := m.operator.ID
	return m, m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		order, err := m.o.Orders.Switch(ctx, id, operator)
		if opening && errors.Is(err, station.ErrUnknownOrder) {
			return newOrderMsg{id}
		}
		return orderMsg{order, err}
	})
}

// A newOrderMsg says that the work order of a label was never opened.
type newOrderMsg struct{ id string }

// typeNewOrder opens the panel for a new work order with its id, unless the person types or is asked something else by now.
func (m Model) typeNewOrder(id string) Model {
	if m.field == nil && m.dialog == nil {
		m.field = &field{purpose: fieldOpenOrder, text: []rune(id + " ")}
	}
	return m
}

// openOrder opens a work order from "ID QUOTA", and takes it for the next Runs.
func (m Model) openOrder(text string) (Model, tea.Cmd) {
	at := strings.LastIndexByte(text, ' ')
	quota, err := strconv.ParseInt(text[at+1:], 10, 64)
	if at < 1 || err != nil || quota < 1 {
		return m.typeAgain(fieldOpenOrder, text, m.t("order.want")), nil
	}
	ask := operate.OrderChange{ID: strings.TrimSpace(text[:at]), Quota: quota, Operator: m.operator.ID}
	return m, m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		if _, err := m.o.Orders.ChangeOrder(ctx, operate.ActOpenOrder, ask); err != nil {
			return orderMsg{err: err}
		}
		order, err := m.o.Orders.Switch(ctx, ask.ID, ask.Operator)
		return orderMsg{order, err}
	})
}

// raiseOrder gives the present work order a greater quota.
func (m Model) raiseOrder(text string) (Model, tea.Cmd) {
	quota, err := strconv.ParseInt(text, 10, 64)
	if err != nil || quota <= m.facts.Order.Quota {
		return m.typeAgain(fieldRaiseOrder, text, m.t("order.more", m.facts.Order.Quota)), nil
	}
	return m, m.changeOrder(operate.ActRaiseOrder, operate.OrderChange{ID: m.facts.Order.ID, Quota: quota, Operator: m.operator.ID}, m.t("said.raised", quota))
}

// closeOrder closes the present work order, after a question.
func (m Model) closeOrder() (Model, tea.Cmd) {
	o := m.facts.Order
	m.dialog = &dialog{title: m.t("dialog.closeorder", m.clean(o.ID)), text: m.t("dialog.closeorder.text", o.Count, o.Quota),
		valid: func(m Model) bool { return m.facts.Order.ID == o.ID },
		do: func(m Model, _ string) (Model, tea.Cmd) {
			return m, m.changeOrder(operate.ActCloseOrder, operate.OrderChange{ID: o.ID, Operator: m.operator.ID}, m.t("said.closed", m.clean(o.ID)))
		}}
	return m, nil
}

func (m Model) changeOrder(act string, ask operate.OrderChange, said string) tea.Cmd {
	return m.intend(said, func(ctx context.Context) error {
		_, err := m.o.Orders.ChangeOrder(ctx, act, ask)
		return err
	})
}
