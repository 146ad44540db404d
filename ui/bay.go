package ui

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
)

// A bay is the state of one bay on the screen. The bay keeps its last Run until the next Run starts.
type bay struct {
	name  string
	facts BayFacts
	run   station.Run
	begun bool // run holds a Run
	step  int  // index of the running step, -1 before the first
	since time.Time
	moved station.Progress // of the running step
	waits station.Wait     // what the running step waits for; empty: it does not say
	done  pass             // the last pass before run
}

// A pass is a board that passed, and when.
type pass struct {
	board string
	at    time.Time
}

func (b *bay) busy() bool  { return b.begun && b.run.Ending == "" }
func (b *bay) ended() bool { return b.begun && b.run.Ending != "" }

func (b *bay) boardID() string {
	if b.run.Identity == nil {
		return ""
	}
	return b.run.Identity.ID.String()
}

// take applies an event of this bay. An event that comes after the end of its Run changes nothing.
func (b *bay) take(e station.Event, steps []string) {
	if e.Kind == station.RunStarted || e.Run != b.run.ID {
		b.step, b.since, b.moved, b.waits = -1, e.At, station.Progress{}, ""
		b.passed(e.Snap.Purpose)
	}
	if b.run.ID == e.Run && b.ended() && e.Run != uuid.Nil && e.Kind != station.RunStarted {
		return // an event that came late
	}
	b.run, b.begun = e.Snap, true
	b.run.ID = e.Run
	if isStep(e.Kind) {
		b.step, b.moved, b.waits = slices.Index(steps, e.Step), e.Progress, e.Waits
		b.since = e.At
	}
}

// passed notes the pass of the last Run, before the first Run of the next board begins. If a board
// comes again and again, the time of its first pass stays.
func (b *bay) passed(next devices.Purpose) {
	if b.run.Ending == station.Pass && (next == devices.PurposeTLS || next == "") && !(b.run.Outcome == station.Confirmed && b.done.board == b.boardID()) {
		b.done = pass{b.boardID(), b.run.Finished}
	}
}

// doneBefore gives the time at which the board of the last Run passed earlier in this bay. Times on record are in UTC.
func (b *bay) doneBefore() (time.Time, bool) {
	return b.done.at.In(b.run.Finished.Location()), b.run.Outcome == station.Confirmed && b.done.board != "" && b.done.board == b.boardID()
}

// outcomeText says what a Run that passed did for its board. It names a board that the operator has put into the same bay twice.
func (m Model) outcomeText(b *bay) string {
	if at, again := b.doneBefore(); again {
		return m.t("tile.again", at.Format("15:04"))
	}
	return m.outcome(b.run.Outcome)
}

// outcome is empty for a Pass whose record does not have an outcome.
func (m Model) outcome(o station.Outcome) string {
	if key := "outcome." + string(o); m.o.Texts.Has(key) {
		return m.t(key)
	}
	return m.clean(string(o))
}

// whyText is the reason of an ending, or the outcome of a Pass.
func (m Model) whyText(ending station.Ending, outcome station.Outcome, word string) string {
	if ending == station.Pass {
		return m.outcome(outcome)
	}
	return m.reason(ending, word)
}

// secondKey names the key of a Run, unless it is the TLS key: most boards have only a TLS key.
func (m Model) secondKey(purpose devices.Purpose) string {
	if purpose == devices.PurposeTLS {
		return ""
	}
	return m.clean(strings.ToUpper(string(purpose)))
}

// bayText describes the chosen bay in one line, because its tile may have no room for everything.
func (m Model) bayText() string {
	b := m.bay()
	label := m.t("bay.chosen", m.clean(b.name))
	if key := m.secondKey(b.run.Purpose); b.begun && key != "" {
		label += " " + m.t("purpose.key", key) + m.theme.shapes.dot
	}
	switch {
	case b.facts.Stopped != "":
		return label + " " + m.t("bay.stopped", m.stoppedText(b))
	case b.facts.Label != "" && !b.busy():
		return label + " " + m.t("next.label", short(b.facts.Label))
	case b.facts.Skipped != "":
		return label + " " + m.t("bay.skipped", m.whySkipped(b))
	case !b.begun:
		return label + " " + m.idleText(b) + m.theme.shapes.dot + m.idleNext(m.selected)
	case b.busy():
		if wait := m.waitText(b); wait != "" {
			return label + " " + m.nowText(b) + m.theme.shapes.dot + wait
		}
		return label + " " + m.nowText(b)
	case b.run.Ending == station.Pass:
		label += " " + m.ending(b.run.Ending) + m.theme.shapes.dot
		if outcome := m.outcomeText(b); outcome != "" {
			label += outcome + m.theme.shapes.dot
		}
		return label + m.nextAction(m.selected, b.run.Ending, "")
	}
	return label + " " + m.ending(b.run.Ending) + ": " + m.reasonOf(&b.run) + m.theme.shapes.dot +
		m.nextAction(m.selected, b.run.Ending, b.run.Reason)
}
