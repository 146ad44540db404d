package line_test

import (
	"sync"
	"testing"

	"hallmark/station"
)

// Boards that are processes of this machine have its network.
func overNetwork(l *line) { l.network = true }

func TestBoardsPassOverTheirOwnNetwork(t *testing.T) {
	l := newLine(t, overNetwork)
	var bays sync.WaitGroup
	for _, name := range []string{"one", "two", "three", "four"} {
		board := l.good(t)
		bays.Go(func() { ends(t, l.bay(name).enrol(t, board, board), station.Pass, "") })
	}
	bays.Wait()
	l.onceEach(t)
	l.legal(t)
}
