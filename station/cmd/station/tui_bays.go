package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/ui"
)

// factory gives the board that sits in the bay, and holds it to the label that was scanned.
func (l *line) factory(s *slot, f *fleet, image string) next {
	take := func(ctx context.Context) (station.Board, io.Closer, error) {
		l.mu.Lock()
		number := s.board
		l.mu.Unlock()
		return f.board(ctx, s.place, image, number)
	}
	if s.place.model == nil {
		take = f.serial(s.place)
	}
	return func(ctx context.Context) (station.Board, io.Closer, error) {
		board, closer, err := take(ctx)
		l.mu.Lock()
		expect := s.expect
		l.mu.Unlock()
		if err != nil || expect == "" {
			return board, closer, err
		}
		want, err := devices.ParseBoardID(expect)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("reading the scanned label: %w", err), closer.Close())
		}
		return labelled{board.(*devices.Client), want}, closer, nil
	}
}

// labelled refuses a board whose label says something else than the board, before
// anything but its identity was asked.
type labelled struct {
	*devices.Client
	want devices.BoardID
}

// Identify refuses with a station.SwappedError.
func (b labelled) Identify(ctx context.Context) (devices.Identity, error) {
	id, err := b.Client.Identify(ctx)
	if err == nil && id.ID != b.want {
		err = fmt.Errorf("comparing the board with its label: %w", &station.SwappedError{Want: b.want, Got: id.ID})
	}
	return id, err
}

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
