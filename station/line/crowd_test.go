package line_test

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

func TestThirtyTwoBoardsAtOncePassAndLeaveNothingBehind(t *testing.T) {
	const boards = 32
	l := newLine(t, nil)
	l.bay("warm").passes(t)
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)

	bench := station.Bench{Station: l.station, Operator: "test"}
	for i := range boards {
		dir := t.TempDir()
		bench.Bays = append(bench.Bays, &station.Bay{Name: fmt.Sprint("bay ", i), Next: func(context.Context) (station.Board, io.Closer, error) {
			board := l.plug(t, emulated.Config{Dir: dir}, patience, nil)
			return board, board, nil
		}})
	}
	runs := must(bench.Run(t.Context()))(t)
	for _, run := range runs {
		ends(t, run, station.Pass, "")
	}
	if asked := l.asked.Load(); len(runs) != boards || asked != boards+1 {
		t.Errorf("%d Runs, %d signatures", len(runs), asked)
	}
	l.legal(t)

	const spare = 4 // of the database's pool and of the runtime
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines+spare || openDescriptors(t) > descriptors+spare; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before; %d descriptors, %d before", runtime.NumGoroutine(), goroutines, openDescriptors(t), descriptors)
		}
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	return len(must(os.ReadDir("/proc/self/fd"))(t))
}
