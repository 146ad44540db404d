package registry

import (
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
)

// counted gives the numbers of a Counter that has counted before, and checks that a new Counter gives the same.
func (b *testRegistry) counted(c *Counter) Counts {
	b.t.Helper()
	got, err := c.Counts(b.t.Context())
	b.must(err)
	fresh, err := c.follower.Counter().Counts(b.t.Context())
	b.must(err)
	for status, number := range got.Certificates {
		if number == 0 { // a status that was there once
			delete(got.Certificates, status)
		}
	}
	if !reflect.DeepEqual(got, fresh) {
		b.t.Fatalf("counted step by step %+v\nat once              %+v", got, fresh)
	}
	return got
}

// A Counter that reads only the new entries has the numbers of one that reads all rows, after each kind of change.
func TestACounterFollowsEachChange(t *testing.T) {
	b := newTestRegistry(t)
	f := b.follow()
	c := f.Counter()
	b.counted(c)
	// 1. A board in each status, and Runs of each ending.
	open := b.run()
	if n := b.counted(c); n.OpenRuns != 1 || len(n.Runs) != 0 {
		t.Errorf("%+v", n)
	}
	in := b.enrol(open)
	if n := b.counted(c); n.Certificates["active"] != 1 || n.Runs[RunKind{"pass", ""}] != 1 || n.OpenRuns != 0 || n.Schema != schemaVersion {
		t.Errorf("%+v", n)
	}
	next := again(open, "repair")
	b.must(b.Admit(t.Context(), next))
	b.enrol(next)
	if n := b.counted(c); n.Certificates["active"] != 1 || n.Certificates["superseded"] != 1 {
		t.Errorf("%+v", n)
	}
	b.must(b.Revoke(t.Context(), in.Serial, "keyCompromise", "ann"))
	b.counted(c)
	b.stopBay(b.run())
	if n := b.counted(c); n.StoppedBays != 1 {
		t.Errorf("%+v", n)
	}
	for _, ending := range []station.Ending{station.Reject, station.Fault, station.Aborted} {
		admitted, refused, silent := b.run(), newRun(devices.BoardID(uuid.New()), "hardware"), newRun(devices.BoardID{}, "")
		silent.Identity = nil
		for _, run := range []*station.Run{admitted, refused, silent} {
			run.Ending, run.Reason = ending, "silent"
			b.must(b.closeRun(t.Context(), run))
		}
		if n := b.counted(c); n.Runs[RunKind{string(ending), "silent"}] != 3 {
			t.Errorf("%s: %+v", ending, n)
		}
	}
	b.holds(Which{BoardID: open.Identity.ID})
	if n := b.counted(c); n.HeldBoards != 1 {
		t.Errorf("%+v", n)
	}
	b.releases(Which{BoardID: open.Identity.ID})
	b.scraps(Which{BoardID: open.Identity.ID})
	if n := b.counted(c); n.HeldBoards != 0 || n.Certificates["scrapped"] != 1 {
		t.Errorf("%+v", n)
	}
	// 2. A checkpoint has the time of the newest entry that it covers.
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	if n := b.counted(c); n.Covered == 0 || n.Covered > n.Entries || n.CoveredUntil.IsZero() {
		t.Errorf("%+v", n)
	}
	// 3. A start that closes what a crash left open.
	crashed := b.run()
	b.must(b.intends(intent(crashed)))
	b.counted(c)
	b.reopen()
	if n := b.counted(c); n.Certificates["unresolved"] != 1 || n.OpenRuns != 0 {
		t.Errorf("%+v", n)
	}
}

func TestACounterRefusesAReplacedRegistry(t *testing.T) {
	b := newTestRegistry(t)
	f := b.follow()
	c := f.Counter()
	b.counted(c)
	b.must(os.Rename(b.path, b.path+".old"))
	if _, err := c.Counts(t.Context()); err == nil {
		t.Error("it counts")
	}
	b.must(os.Rename(b.path+".old", b.path))
	b.counted(c)
}

// BenchmarkCounts measures the numbers of a large registry: the first time, and after the Runs of 15 s of a fast line.
func BenchmarkCounts(b *testing.B) {
	for _, boards := range []int{100, 100_000} {
		r := newTestRegistry(b)
		r.fill(boards)
		f := r.follow()
		b.Run(fmt.Sprint("first/", boards), func(b *testing.B) {
			for b.Loop() {
				_, err := f.Counter().Counts(b.Context())
				must(b, err)
			}
		})
		b.Run(fmt.Sprint("again/", boards), func(b *testing.B) {
			c := f.Counter()
			_, err := c.Counts(b.Context())
			must(b, err)
			for b.Loop() {
				_, err := c.Counts(b.Context())
				must(b, err)
			}
		})
		b.Run(fmt.Sprint("after120/", boards), func(b *testing.B) {
			c := f.Counter()
			_, err := c.Counts(b.Context())
			must(b, err)
			for b.Loop() {
				b.StopTimer()
				r.fill(120)
				b.StartTimer()
				_, err := c.Counts(b.Context())
				must(b, err)
			}
		})
	}
}
