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
		b.step, b.since = -1, e.At
	}
	if b.run.ID == e.Run && b.ended() && e.Run != uuid.Nil && e.Kind != station.RunStarted {
		return // an event that came late
	}
	b.run, b.begun = e.Snap, true
	b.run.ID = e.Run
	if isStep(e.Kind) {
		b.step = slices.Index(steps, e.Step)
		b.since = e.At
	}
}

// secondKey names the key of a Run, unless it is the TLS key: most boards have only a TLS key.
func (m Model) secondKey(purpose devices.Purpose) string {
	if purpose == devices.PurposeTLS {
		return ""
	}
	return m.clean(strings.ToUpper(string(purpose)))
}
