package faults_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"hallmark/devices/emulated"
	"hallmark/station"
)

const crowd = 32

func TestThirtyTwoBoardsAtOncePassAndLeaveNothingBehind(t *testing.T) {
	l := newEnvironment(t, nil)
	l.crowd(t) // the database and the runtime now have the files and goroutines that they keep
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	l.crowd(t)
	if asked := l.asked.Load(); asked != 2*crowd {
		t.Errorf("%d signatures for %d boards", asked, 2*crowd)
	}
	l.checkInvariants(t)

	const spare = crowd / 4 // a leak of one descriptor for each board would exceed this
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines+spare || openDescriptors(t) > descriptors+spare; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before; %d descriptors, %d before", runtime.NumGoroutine(), goroutines, openDescriptors(t), descriptors)
		}
	}
}

// crowd enrols a new board in each bay, all at the same time.
func (l *environment) crowd(t *testing.T) {
	t.Helper()
	all := make(chan []*station.Run, crowd)
	for i := range crowd {
		dir := t.TempDir()
		bay := &station.Bay{Name: fmt.Sprint("bay ", i), Next: func(context.Context) (station.Board, io.Closer, error) {
			board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
			return board, board, nil
		}}
		go func() { all <- l.station.EnrolIn(t.Context(), bay, station.Request{Operator: "test"}) }()
	}
	var runs []*station.Run
	for range crowd {
		runs = append(runs, <-all...)
	}
	if len(runs) != crowd {
		t.Errorf("%d Runs", len(runs))
	}
	for _, run := range runs {
		ends(t, run, station.Pass, "")
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	return len(must(os.ReadDir("/proc/self/fd"))(t))
}
