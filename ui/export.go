package ui

import (
	"context"

	tea "charm.land/bubbletea/v2"
)

// The export of the history: all Runs that the search finds, also those for which the list has no room.

func (m Model) whyNoExport() string {
	switch {
	case m.o.Exporter == nil:
		return m.t("why.noexport")
	case m.operator.ID == "": // the audit log says who took the Runs out
		return m.t("why.signin")
	}
	return ""
}

func (m Model) exportCSV() (Model, tea.Cmd)  { return m, m.export(false) }
func (m Model) exportJSON() (Model, tea.Cmd) { return m, m.export(true) }

func (m Model) export(json bool) tea.Cmd {
	q, operator := m.history.query, m.operator.ID
	return m.ask(answerExport, func(ctx context.Context) tea.Msg {
		path, runs, err := m.o.Exporter.Export(ctx, operator, q.Text, q.Ending, json)
		return exportMsg{path, runs, err}
	})
}

type exportMsg struct {
	path string
	runs int
	err  error
}

// exported says where the file is, or why there is none.
func (m Model) exported(msg exportMsg) Model {
	if msg.err != nil {
		return m.refuse(m.t("export.failed", m.clean(msg.err.Error())))
	}
	return m.say(m.pathText(msg.path, "said.exported", msg.runs))
}

// pathText is a text whose last argument is a path. The end of a long path counts: it tells which file it is.
func (m Model) pathText(path, key string, args ...any) string {
	room := m.w - 2 - width(m.t(key, append(args, "")...))
	return m.t(key, append(args, tail(m.clean(path), max(20, room), m.theme.shapes.ellipsis))...)
}
