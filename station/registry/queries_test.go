package registry

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
)

func TestTheEntriesOfARunAreItsOwnAndInOrder(t *testing.T) {
	b := newTestRegistry(t)
	first, second := b.run(), b.run() // both at the same time, so that their entries are mixed
	b.enrol(second)
	b.enrol(first)
	entries, err := b.EntriesOf(t.Context(), first.ID.String())
	b.must(err)
	var types []string
	for _, e := range entries {
		types = append(types, e.Type)
		if e.Run == nil || e.Run.ID != first.ID.String() {
			t.Errorf("%s names another Run", e.Type)
		}
	}
	want := []string{"board.admitted", "cert.issue.intent", "cert.issued", "cert.delivered", "cert.activated", "run.pass"}
	if !slices.Equal(types, want) {
		t.Errorf("got %q, want %q", types, want)
	}
}

func TestARunThatIsOpenHasEntriesAndOneThatIsUnknownHasNone(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.issue(run)
	for id, want := range map[string]int{run.ID.String(): 3, newRun(run.Identity.ID, "x").ID.String(): 0, "type": 0} {
		if entries, err := b.EntriesOf(t.Context(), id); err != nil || len(entries) != want {
			t.Errorf("Run %s: %d entries (%v), want %d", id, len(entries), err, want)
		}
	}
}

func TestEndsSinceGivesClosedRunsOfTheTimeOnly(t *testing.T) {
	b := newTestRegistry(t)
	began := time.Now().Add(time.Minute)
	b.now = func() time.Time { return began.Add(-time.Nanosecond) }
	b.enrol(b.run())
	b.now = func() time.Time { return began }
	pass, open := b.run(), b.run()
	b.enrol(pass)
	reject := b.run()
	reject.Ending, reject.Reason = station.Reject, "bad-csr"
	reject.Steps = []station.StepTime{{Name: "identify", Took: time.Second}}
	b.must(b.closeRun(t.Context(), reject))
	ends, err := b.EndsSince(t.Context(), began)
	b.must(err)
	if len(ends) != 2 || ends[0].Run.ID != pass.ID.String() || ends[1].Reason != "bad-csr" || len(ends[1].Run.Steps) != 1 {
		t.Errorf("got %+v, want the pass and the reject, not %s", ends, open.ID)
	}
}

func TestADayFindsTheRunsThatBeganThen(t *testing.T) {
	b := newTestRegistry(t)
	day := time.Date(2126, 3, 14, 0, 0, 0, 0, time.Local)
	var want string
	for _, begun := range []time.Time{day.Add(-time.Nanosecond), day, day.AddDate(0, 0, 1).Add(-time.Nanosecond), day.AddDate(0, 0, 1)} {
		b.now = func() time.Time { return begun }
		if run := b.run(); begun.Day() == day.Day() {
			want = run.ID.String() + " " + want
		}
	}
	for text, want := range map[string]string{"2126-03-14": want, "2126-03-16": "", "2126-03": "", "2126-02-30": ""} {
		found, err := b.SearchRuns(t.Context(), Search{Text: text})
		b.must(err)
		var got string
		for _, run := range found {
			got += run.ID + " "
		}
		if got != want {
			t.Errorf("%s finds %q, want %q", text, got, want)
		}
	}
}

// The screen asks this while boards are enrolled, so no question may read the whole of a
// large registry.
func TestWhatAScreenAsksForReadsNoWholeTable(t *testing.T) {
	b := newTestRegistry(t)
	exact, args := (&Search{Run: "x"}).query()
	newest, more := (&Search{}).query()
	for name, row := range map[string]struct {
		query string
		args  []any
	}{
		"one Run":         {foundQuery + exact, args},
		"the newest Runs": {foundQuery + newest, more},
	} {
		plan := b.plan(row.query, row.args)
		if strings.Contains(plan, "SCAN") {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

func (b *testRegistry) plan(query string, args []any) string {
	b.t.Helper()
	rows, err := b.db.QueryContext(b.t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
	b.must(err)
	steps, err := collect(rows, func(s *struct {
		id, parent, unused int
		detail             string
	}) []any {
		return []any{&s.id, &s.parent, &s.unused, &s.detail}
	})
	b.must(err)
	var text strings.Builder
	for _, step := range steps {
		text.WriteString(step.detail + "\n")
	}
	return text.String()
}

func TestTheClockIsJudgedFromMemory(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.Event(t.Context(), Event{Type: "station.start", Outcome: audit.Success}))
	if err := b.ClockStep(); err != nil {
		t.Error(err)
	}
	b.now = func() time.Time { return time.Now().Add(-time.Hour) }
	if err := b.ClockStep(); !errors.Is(err, audit.ErrClockBack) {
		t.Errorf("an hour back gives %v", err)
	}
}
