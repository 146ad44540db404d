package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"hallmark/station/operate"
)

// A keymap holds every key. Footer, help and act read the keys through actions.
type keymap struct {
	Go, Start, Begin, Again, Copy, Export              binding // the go key, with what it does
	Rework, Stop, Skip, Acknowledge                    binding
	StopAll, Automatic, Order, SignIn, SignOut, Detail binding
	History, Log, Doctor, Numbers, Help, Back, Quit    binding
	Up, Down, Left, Right, PageUp, PageDown            binding
	Search, Filter, Cancel, Redraw, Palette            binding
}

// The go key is the only key that changes the world; every other key only shows something or asks something. No scanner sends
// it: no map from the octets of labels, prefixes and suffixes to keys has F12, while F2, F3, F4, F7 to F10 and the arrows
// are in some map. It is one key at the end of its row, so a glove finds it. Ctrl-G is for terminals without function
// keys, such as a vt100, and for keyboards that hide them.
const goShown = "F12"

var goKeys = []string{"f12", "ctrl+g"}

// formerKeys did at once what the go key does now.
var formerKeys = []string{"s", "r", "g", "c", "y", "j"}

// A binding is one key, or several that do the same.
type binding struct {
	names []string // as bubbletea names keys
	show  string   // the name for people
	does  string   // what the key does, in the operator's language
	long  string   // the same for help and palette, where there is room for words that need no training; empty: as does
}

func (b binding) matches(msg tea.KeyPressMsg) bool { return slices.Contains(b.names, msg.String()) }

func newKeymap(t func(string, ...any) string) keymap {
	bind := func(text, show string, names ...string) binding {
		return binding{names: names, show: show, does: t("key." + text)}
	}
	long := func(text, show string) binding {
		b := bind(text, show, show)
		b.long = t("key.long." + text)
		return b
	}
	goes := func(text string) binding { return bind(text, goShown, goKeys...) }
	return keymap{
		Go: goes("confirm"), Start: goes("start"), Begin: goes("begin"), Again: goes("again"), Copy: goes("copy"), Export: goes("export"),
		Rework: long("rework", "w"), Stop: long("stop", "x"), Skip: long("skip", "k"),
		Acknowledge: long("acknowledge", "a"), Detail: bind("detail", "enter", "enter"),
		StopAll: long("stopall", "X"), Automatic: long("automatic", "u"), Order: long("order", "o"),
		SignIn: bind("signin", "i", "i"), SignOut: bind("signout", "O", "O"),
		History: bind("history", "h", "h"), Log: bind("log", "l", "l"), Doctor: long("doctor", "d"), Numbers: long("numbers", "n"),
		Help: bind("help", "?", "?"), Back: bind("back", "esc", "esc"), Quit: bind("quit", "q", "q", keyETX),
		Up: bind("up", "up", "up"), Down: bind("down", "down", "down"), Left: bind("left", "left", "left"), Right: bind("right", "right", "right"),
		PageUp: bind("pageup", "pgup", "pgup"), PageDown: bind("pagedown", "pgdn", "pgdown", "space"),
		Search: bind("search", "/", "/"), Filter: bind("filter", "f", "f"), Cancel: bind("cancel", "esc", "esc"),
		Palette: bind("palette", ":", ":"),
		Redraw:  bind("redraw", "^L", "ctrl+l"),
	}
}

// moves reports whether this is an arrow key.
func (b binding) moves() bool {
	return slices.ContainsFunc([]string{"up", "down", "left", "right"}, b.matchesName)
}

func (b binding) matchesName(name string) bool { return slices.Contains(b.names, name) }

// text says what the key does, in the words of help and palette.
func (b binding) text() string {
	if b.long != "" {
		return b.long
	}
	return b.does
}

// isGo reports whether this is the go key.
func (b binding) isGo() bool { return b.show == goShown }

// An action is a key with its function, and with the reason why the key does nothing at present.
type action struct {
	key   binding
	why   func(Model) string // empty: it works; nil: it always works
	do    func(Model) (Model, tea.Cmd)
	place footerPosition
	slot  string // actions with the same slot share a place in the footer; empty: a place of its own
	act   string // what the station asks the role of the operator for; empty: nothing
}

// footerPosition is where the footer shows a key.
type footerPosition uint8

const (
	footLeft  footerPosition = iota // as far as there is room
	footRight                       // always, at the right
	helpOnly                        // only in the help
)

func (a action) refusal(m Model) string {
	if a.why == nil {
		return ""
	}
	return a.why(m)
}

// remark says why the action does nothing now, or who may do it. The station itself refuses what a role does not allow, so that the
// attempt is on record.
func (a action) remark(m Model) string {
	if why := a.refusal(m); why != "" {
		return why
	}
	if least := operate.MissingRole(a.act, m.operator.Role); least != "" {
		return m.t("why.role", m.t("denied."+string(least)))
	}
	return ""
}

// perform does the action. To an operator whose role does not allow it, the screen says so before anything is typed.
func (a action) perform(m Model) (Model, tea.Cmd) {
	m, cmd := a.do(m)
	if least := operate.MissingRole(a.act, m.operator.Role); least != "" {
		m = m.refuse(m.t("denied.role", m.t("denied."+string(least))))
	}
	return m, cmd
}

// actions lists what the keys do on this screen, in the order of the footer.
func (m Model) actions() []action {
	k := m.keys
	switch m.screen {
	case screenStart:
		return []action{m.beginOrCheck(),
			{key: k.Up, do: Model.up, place: helpOnly}, {key: k.Down, do: Model.down, place: helpOnly},
			{key: k.PageUp, do: Model.pageUp, place: helpOnly}, {key: k.PageDown, do: Model.pageDown, place: helpOnly},
			{key: k.Help, do: Model.help, place: footRight}, {key: k.Quit, do: Model.quit, place: footRight}}
	case screenDashboard:
		return m.dashboardActions()
	case screenDetail:
		return m.closing(action{key: k.Copy, why: Model.whyNotCopy, do: Model.copyDetail})
	case screenHistory:
		return m.closing(action{key: k.Search, do: Model.searchField}, action{key: k.Filter, do: Model.nextFilter},
			action{key: k.Detail, why: Model.whyNoRow, do: Model.openRow}, action{key: k.Export, why: Model.whyNoExport, do: Model.exportCSV})
	case screenDoctor:
		return m.closing(action{key: k.Again, why: Model.whyNotCheck, do: Model.checkAgain})
	}
	return m.closing()
}

// beginOrCheck is what the go key does before the shift: it begins the shift, or repeats the checks if one has failed.
func (m Model) beginOrCheck() action {
	if m.checks.done && m.failedChecks() > 0 {
		return action{key: m.keys.Again, why: Model.whyNotCheck, do: Model.checkAgain}
	}
	return action{key: m.keys.Begin, why: Model.whyNotBegin, do: Model.begin}
}

func (m Model) dashboardActions() []action {
	k := m.keys
	return []action{
		{key: k.Start, why: Model.whyNotStart, do: Model.start, slot: "start"},
		{key: k.Detail, why: Model.whyNoDetail, do: Model.openDetail},
		{key: k.Acknowledge, why: Model.whyNotAcknowledge, do: Model.acknowledge, act: operate.ActAcknowledge, slot: "start"},
		{key: k.Stop, why: Model.whyNotStop, do: Model.stopBay, slot: "bay"},
		{key: k.Skip, why: Model.whyNotSkip, do: Model.skip, slot: "bay"},
		{key: k.Rework, why: Model.whyNotStart, do: Model.rework, place: helpOnly, act: operate.ActRework},
		{key: k.SignIn, why: Model.whyNotSignIn, do: Model.signInField, slot: "person"},
		{key: k.StopAll, why: Model.whyNotStopAll, do: Model.stopAll},
		{key: k.Automatic, why: Model.whyNotOperate, do: Model.automatic},
		{key: k.Order, why: Model.whyNotOrder, do: opens(fieldOrder), slot: "person"},
		{key: k.History, why: Model.whyNoHistory, do: Model.openHistory},
		{key: k.Numbers, do: Model.openNumbers},
		{key: k.Doctor, why: Model.whyNoDoctor, do: Model.openDoctor},
		{key: k.Log, do: Model.openLog},
		{key: k.SignOut, why: Model.whyNotSignOut, do: Model.signOut},
		{key: k.Palette, do: Model.openPalette, place: footRight},
		{key: k.Help, do: Model.help, place: footRight},
		{key: k.Quit, do: Model.quit, place: footRight},
		{key: k.Up, do: Model.up, place: helpOnly}, {key: k.Down, do: Model.down, place: helpOnly},
		{key: k.Left, do: Model.left, place: helpOnly}, {key: k.Right, do: Model.right, place: helpOnly},
		{key: k.Redraw, do: Model.redraw, place: helpOnly},
	}
}

// closing adds the actions of every screen that was opened from the dashboard.
func (m Model) closing(first ...action) []action {
	k := m.keys
	return append(first, action{key: k.Back, do: Model.back}, action{key: k.Help, do: Model.help, place: footRight},
		action{key: k.Up, do: Model.up, place: helpOnly}, action{key: k.Down, do: Model.down, place: helpOnly},
		action{key: k.PageUp, do: Model.pageUp, place: helpOnly}, action{key: k.PageDown, do: Model.pageDown, place: helpOnly},
		action{key: k.Quit, do: Model.quit, place: footRight}, action{key: k.Palette, do: Model.openPalette, place: helpOnly}, action{key: k.Redraw, do: Model.redraw, place: helpOnly})
}
