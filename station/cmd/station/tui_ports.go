package main

import (
	"os"

	"hallmark/ui"
)

// presence is what a bay knows of a board beside its Runs. A port that comes with its
// board (USB) comes and goes in /dev; one that is always there tells nothing.
type presence struct {
	now      ui.Presence
	appeared bool // came since the last Run
}

// seen takes notice of whether the port is there.
func (p presence) seen(there bool) presence {
	switch {
	case !there:
		return presence{now: ui.BoardAbsent}
	case p.now == ui.BoardAbsent:
		return presence{now: ui.BoardPresent, appeared: true}
	}
	return p
}

// lookAtPorts looks which ports are there.
func (l *line) lookAtPorts() {
	for _, s := range l.slots { // the slots themselves do not change
		if s.place.model != nil {
			continue // always there
		}
		_, err := os.Stat(s.place.port)
		l.mu.Lock()
		s.presence = s.presence.seen(err == nil)
		l.mu.Unlock()
	}
}
