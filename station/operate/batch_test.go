package operate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func TestTheBoardsOfEachBayFollowFromBaysAndCountAlone(t *testing.T) {
	for _, test := range []struct {
		bays, count, jobs int
		want              []int // boards of each bay
	}{
		{1, 0, 0, []int{1}}, {3, 0, 0, []int{1, 1, 1}}, {3, 3, 1, []int{1, 1, 1}}, {3, 2, 0, []int{1, 1, 0}}, {3, 10, 2, []int{4, 3, 3}}, {1, 5, 4, []int{5}},
	} {
		t.Run(fmt.Sprintf("%d bays, count %d, %d jobs", test.bays, test.count, test.jobs), func(t *testing.T) {
			bays := names(test.bays)
			var mu sync.Mutex
			got := make([]int, test.bays)
			others := make(chan struct{}) // closed when all boards of the other bays are done
			done, rest := 0, 0
			for _, n := range test.want[1:] {
				rest += n
			}
			err := newSchedule(bays, test.count, test.jobs).run(t.Context(), func(_ context.Context, bay string) (bool, error) {
				i := slices.Index(bays, bay)
				if i == 0 && test.jobs != 1 && rest > 0 {
					<-others // the first bay is the slowest
				}
				mu.Lock()
				defer mu.Unlock()
				if got[i]++; i > 0 {
					if done++; done == rest {
						close(others)
					}
				}
				return true, nil
			})
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("boards of the bays: %v, want %v; error %v", got, test.want, err)
			}
		})
	}
}

func names(n int) (bays []string) {
	for i := range n {
		bays = append(bays, fmt.Sprint("bay ", i+1))
	}
	return bays
}

func TestJobsBoundTheBoardsAtTheSameTime(t *testing.T) {
	var now, most atomic.Int32
	err := newSchedule(names(6), 12, 2).run(t.Context(), func(context.Context, string) (bool, error) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(time.Millisecond) // time in which a third board could begin, and must not
		now.Add(-1)
		return true, nil
	})
	if err != nil || most.Load() > 2 {
		t.Errorf("%d at the same time, error %v", most.Load(), err)
	}
}

func TestNoOtherBayTakesTheBoardsOfABayThatGivesUp(t *testing.T) {
	clone := errors.New("stopped for a clone")
	err := newSchedule(names(2), 6, 0).run(t.Context(), func(_ context.Context, bay string) (bool, error) {
		if bay == "bay 1" {
			return true, clone
		}
		return true, nil
	})
	if !errors.Is(err, clone) || err.Error() != "2 of 6 boards were not begun\nstopped for a clone" {
		t.Errorf("got %v", err)
	}
}

func TestABatchEnrolsTheNextBoardOfEachBay(t *testing.T) {
	l := ready(t, "posix:2")
	result := l.Enrol(t.Context(), Batch{Count: 5, Operator: "anna", Order: ""})
	boards := map[string]bool{}
	for _, run := range result.Runs {
		if boards[run.Identity.ID.String()] = true; run.Ending != station.Pass || run.Operator != "anna" {
			t.Errorf("%s by %q: %v", run.Ending, run.Operator, run.Err)
		}
	}
	if result.Short != nil || len(result.Repeated) != 0 || len(boards) != 5 {
		t.Errorf("%d boards, %d repeated, %v", len(boards), len(result.Repeated), result.Short)
	}
}

func TestABatchGoesOnToTheNextBoardWhenOneFails(t *testing.T) {
	l := ready(t, "posix:1")
	numbers := []int{}
	next := l.bays[0].place.Next
	l.bays[0].place.Next = func(ctx context.Context) (_ station.Board, _ io.Closer, err error) {
		if numbers = append(numbers, l.bays[0].board); len(numbers) == 1 {
			return nil, nil, errors.New("no board")
		}
		return next(ctx)
	}
	result := l.Enrol(t.Context(), Batch{Count: 2})
	if !slices.Equal(numbers, []int{1, 2}) || result.Runs[0].Ending != station.Fault || result.Runs[1].Ending != station.Pass {
		t.Errorf("boards %v, %+v", numbers, result.Runs)
	}
}

func TestABatchThatIsClosedBeginsNoFurtherBoard(t *testing.T) {
	l := ready(t, "posix:1")
	l.events = func(e station.Event) {
		if e.Kind == station.StepEnded && e.Step == "sign" {
			l.Close()
		}
	}
	result := l.Enrol(t.Context(), Batch{Count: 5})
	if len(result.Runs) != 1 || result.Runs[0].Ending != station.Pass || !errors.Is(result.Short, station.ErrDraining) {
		t.Errorf("%d Runs, %v", len(result.Runs), result.Short)
	}
}

func TestABatchWaitsForALostHSMOnlyAsLongAsItsPatience(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	server := fixtures.BehindServer(t, dir)
	l := closedStation(t, dir, "posix:2")
	l.events = func(e station.Event) {
		if e.Kind == station.StepEnded && e.Step == "check" && e.Bay == "posix-1" {
			server.Unplug(t)
		}
	}
	l.opens()
	supervisor := l.Supervise(t.Context())
	result := l.Enrol(t.Context(), Batch{Count: 4, Patience: time.Second})
	supervisor.End()
	if !errors.Is(result.Short, ErrHSMAway) || len(result.Repeated) != 0 || len(result.Runs) == 0 || result.Runs[0].Ending == "" {
		t.Errorf("%d Runs, %v", len(result.Runs), result.Short)
	}
	saysWhatWasWaitedFor(t, result.Short)
	if result.Waited != nil {
		t.Errorf("it is said twice: %v", result.Waited)
	}
	server.Start(t)
	l.ticksUntil(&Supervisor{c: l.Controller}, func() bool { return l.away == nil })
}

// saysWhatWasWaitedFor checks the end of a wait for the HSM.
func saysWhatWasWaitedFor(t *testing.T, err error) {
	t.Helper()
	text := fmt.Sprint(err)
	for _, want := range []string{"waited 1s for the HSM, in vain: HSM is away", "\nnext: bring the HSM back", "run the same command again"} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not once in %q", want, text)
		}
	}
}

// All boards were begun, so only Waited can say why the last one is a Fault.
func TestTheEndOfAWaitForOneBoardSaysWhatWasWaitedFor(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	server := fixtures.BehindServer(t, dir)
	l := closedStation(t, dir, "posix:1")
	l.events = func(e station.Event) {
		if e.Kind == station.StepEnded && e.Step == "check" {
			server.Unplug(t)
		}
	}
	l.opens()
	supervisor := l.Supervise(t.Context())
	result := l.Enrol(t.Context(), Batch{Patience: time.Second})
	supervisor.End()
	if result.Short != nil || len(result.Runs) != 1 || result.Runs[0].Ending != station.Fault {
		t.Errorf("%d Runs, %v", len(result.Runs), result.Short)
	}
	saysWhatWasWaitedFor(t, result.Waited)
	server.Start(t)
	l.ticksUntil(&Supervisor{c: l.Controller}, func() bool { return l.away == nil })
}

func TestABatchOnAFullDiskStops(t *testing.T) {
	l := ready(t, "posix:1")
	l.record.Config.DiskFloor = 1 << 40
	result := l.Enrol(t.Context(), Batch{Count: 3})
	if len(result.Runs) != 0 || result.Short == nil {
		t.Errorf("%d Runs, %v", len(result.Runs), result.Short)
	}
	l.refuses(result.Short, workdir.ErrDiskFull)
	l.refuses(l.Start(t.Context(), Start{Bay: "posix-1"}), workdir.ErrDiskFull)
	l.must(l.Automatic(t.Context(), true, "anna", ""))
	l.startAutomatic(time.Now())
	if l.waits(); len(l.rows()) != 0 {
		t.Error("automatic start passed below the floor")
	}
}

func TestABatchOnADiskThatFillsUpStops(t *testing.T) {
	l := ready(t, "posix:2")
	var asked atomic.Int32
	l.disk.hasSpace = func() error {
		if asked.Add(1) > 3 {
			return fmt.Errorf("3 MiB free: %w", workdir.ErrDiskFull)
		}
		return nil
	}
	result := l.Enrol(t.Context(), Batch{Count: 400})
	// Two bays can share an answer of the disk.
	if len(result.Runs) > 6 || !errors.Is(result.Short, workdir.ErrDiskFull) || strings.Count(result.Short.Error(), "3 MiB free") != 1 {
		t.Errorf("%d Runs, %v", len(result.Runs), result.Short)
	}
}

func TestABatchWhoseRegistryFailsStops(t *testing.T) {
	l := ready(t, "posix:2")
	for _, b := range l.bays {
		b.place.Next = func(context.Context) (station.Board, io.Closer, error) { return nil, nil, registry.ErrNotDurable }
	}
	result := l.Enrol(t.Context(), Batch{Count: 400})
	if len(result.Runs) > 2 || !errors.Is(result.Short, registry.ErrNotDurable) {
		t.Errorf("%d Runs, %v", len(result.Runs), result.Short)
	}
}

func TestEachWayToStartARunKeepsTheFloorOfTheDisk(t *testing.T) {
	l := ready(t, "posix:1")
	l.disk.hasSpace = func() error { return workdir.ErrDiskFull }
	l.refuses(l.Start(t.Context(), Start{Bay: "posix-1"}), workdir.ErrDiskFull)
	l.bays[0].lost = &lostRun{Start{Bay: "posix-1", Operator: "anna", again: true}, &station.Run{}}
	l.resume()
	l.must(l.Automatic(t.Context(), true, "anna", ""))
	l.startAutomatic(time.Now())
	if result := l.Enrol(t.Context(), Batch{Count: 3}); !errors.Is(result.Short, workdir.ErrDiskFull) {
		t.Errorf("a batch ends with %v", result.Short)
	}
	if l.waits(); l.bays[0].last != "" {
		t.Error("a Run was started")
	}
}

func TestADiskThatHangsHoldsNobodyUp(t *testing.T) {
	l := ready(t, "posix:1")
	asked, answer := make(chan struct{}, 9), make(chan struct{})
	l.disk.hasSpace = func() error { asked <- struct{}{}; <-answer; return nil }
	started := make(chan error)
	go func() { started <- l.Start(t.Context(), Start{Bay: "posix-1"}) }()
	<-asked
	l.facts()
	l.must(l.Skip(t.Context(), "posix-1", "jig is defective", "anna"))
	close(answer)
	l.refuses(<-started, errBaySkipped) // the bay was skipped while the disk was asked
	l.must(l.Skip(t.Context(), "posix-1", "", "anna"))

	answer = make(chan struct{})
	l.disk.bound = time.Millisecond
	for range 3 {
		l.refuses(l.Start(t.Context(), Start{Bay: "posix-1"}), errDiskHangs)
	}
	if len(asked) > 1 {
		t.Errorf("%d questions wait for one disk", len(asked))
	}
	close(answer)
}

func TestAllBaysShareThePatienceOfABatch(t *testing.T) {
	l := ready(t, "posix:6")
	l.away = errors.New("unplugged")
	began := time.Now()
	result := l.Enrol(t.Context(), Batch{Jobs: 1, Patience: 2 * time.Second})
	if took := time.Since(began); !errors.Is(result.Short, ErrHSMAway) || took > 8*time.Second { // one after the other would take 12 s
		t.Errorf("after %v: %v", took, result.Short)
	}
}

func TestALostRunForTheSecondKeyRepeatsThatRunAlone(t *testing.T) {
	config := filepath.Join(t.TempDir(), "station.yaml")
	demo := fixtures.Must(os.ReadFile("../../configs/demo.yaml"))(t)
	if err := os.WriteFile(config, bytes.Replace(demo, []byte("profile: linaro"), []byte("profile: linaro\ncose_profile: linaro-cose"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := fixtures.NewDirectoryFrom(t, config)
	server := fixtures.BehindServer(t, dir)
	l := closedStation(t, dir, "posix:1")
	unplugged := false
	l.events = func(e station.Event) {
		if e.Kind == station.StepEnded && e.Step == "check" && e.Snap.Purpose == devices.PurposeCOSE && !unplugged {
			unplugged = true
			server.Unplug(t)
		}
	}
	l.opens()
	supervisor := l.Supervise(t.Context())
	defer supervisor.End()
	results := make(chan Result, 1)
	go func() { results <- l.Enrol(t.Context(), Batch{Rework: "flash replaced"}) }()
	away := func() bool { return fixtures.HasEntry(t, dir, "hsm.away", instance.LocalUser(), nil) }
	for deadline := time.Now().Add(time.Minute); !away(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the loss of the HSM is not on record")
		}
	}
	server.Start(t)
	result := <-results
	var purposes []devices.Purpose
	for _, run := range result.Runs {
		if purposes = append(purposes, run.Purpose); run.Ending != station.Pass {
			t.Errorf("%s ends as %s: %v", run.Purpose, run.Ending, run.Err)
		}
	}
	if !slices.Equal(purposes, []devices.Purpose{devices.PurposeTLS, devices.PurposeCOSE}) || len(result.Repeated) != 1 || result.Short != nil {
		t.Errorf("Runs for %v, %d repeated, %v", purposes, len(result.Repeated), result.Short)
	}
}

func TestALostRunWaitsForARightClock(t *testing.T) {
	l := ready(t, "posix:1")
	b := l.bays[0]
	b.lost = &lostRun{Start{Bay: "posix-1", Operator: "anna", again: true}, &station.Run{}}
	right := *l.record.Issuing
	early := right
	early.NotBefore = time.Now().Add(time.Hour)
	l.record.Issuing = &early
	if l.resume(); b.lost == nil || b.resumed != 0 {
		t.Error("the Run was given up, or a try was counted")
	}
	l.record.Issuing = &right
	l.resume()
	l.waits()
	l.last(1, station.Pass)
}

func TestTheTriesOfOneBoardAreNotThoseOfTheNext(t *testing.T) {
	l := ready(t, "posix:1")
	l.bays[0].resumed = maxResumed
	l.starts(1, Start{})
	if l.waits(); l.bays[0].resumed != 0 {
		t.Errorf("the next board begins with %d tries", l.bays[0].resumed)
	}
}
