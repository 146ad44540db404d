package operate

import (
	"context"
	"errors"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/workdir"
)

// An environment is a station with a Controller. The test is the client of the Controller,
// and calls the ticks of the Supervisor itself.
type environment struct {
	*Controller
	Operators
	History
	t      *testing.T
	events func(station.Event) // gets each event after the Controller
}

// closedStation opens files and registry. The HSM is still closed.
func closedStation(t *testing.T, dir workdir.Dir, boards string) *environment {
	t.Helper()
	return closedStationWith(t, dir, boards, instance.Options{})
}

func closedStationWith(t *testing.T, dir workdir.Dir, boards string, how instance.Options) *environment {
	t.Helper()
	fixtures.Firmware(t, "../..", emulated.Posix, "")
	files := fixtures.Must(instance.OpenFiles(dir, how))(t)
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	record := fixtures.Must(files.OpenRecord(t.Context()))(t)
	l := &environment{t: t, events: func(station.Event) {}}
	bays := fixtures.Must(instance.SelectBays(dir, boards))(t)
	options := Options{Bays: bays, Boards: fixtures.Must(files.Boards(bays, instance.Images{Folder: "../../devices/firmware/build"}))(t),
		Events: func(e station.Event) { l.events(e) }, Ended: func([]*station.Run) {}, Paused: func(error) {}}
	l.Controller = New(t.Context(), record, options)
	l.Refresh(t.Context())
	l.Operators = Operators{Controller: l.Controller, Badges: map[string]configs.Operator{"OP-1": {ID: "anna", Name: "Anna"}}}
	l.History = History{record.Registry.Reader}
	t.Cleanup(func() {
		if err := l.End(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// opens opens the HSM and the other parts, and lets Runs begin.
func (l *environment) opens() {
	l.t.Helper()
	l.must(l.Ready(fixtures.Must(l.record.OpenAll(l.t.Context()))(l.t)))
}

// ready makes a new station on which Runs may begin.
func ready(t *testing.T, boards string) *environment {
	t.Helper()
	l := closedStation(t, fixtures.NewDirectory(t), boards)
	l.opens()
	return l
}

func (l *environment) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *environment) refuses(err, want error) {
	l.t.Helper()
	if !errors.Is(err, want) {
		l.t.Errorf("got %v, want %v", err, want)
	}
}

// starts starts a Run in a bay. Bays count from 1.
func (l *environment) starts(bay int, ask Start) {
	l.t.Helper()
	ask.Bay, ask.Operator = l.bays[bay-1].spec.Name, "anna"
	l.must(l.Start(l.t.Context(), ask))
}

// waits returns when no Run is under way.
func (l *environment) waits() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	l.must(l.Wait(ctx))
}

// last checks how the last Run of a bay ended.
func (l *environment) last(bay int, want station.Ending) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := l.bays[bay-1].last; got != want {
		l.t.Errorf("bay %d ended as %q, want %q", bay, got, want)
	}
}

// rows are the Runs on record, newest first.
func (l *environment) rows() []Row {
	l.t.Helper()
	return fixtures.Must(l.Search(l.t.Context(), Query{}))(l.t)
}

// recorded checks that the audit log has such an entry.
func (l *environment) recorded(what, operator string, details map[string]string) {
	l.t.Helper()
	if !fixtures.HasEntry(l.t, l.record.Dir, what, operator, details) {
		l.t.Errorf("no %s by %s with %v on record", what, operator, details)
	}
}

func (l *environment) facts() Facts {
	l.t.Helper()
	return fixtures.Must(l.Facts(l.t.Context()))(l.t)
}
