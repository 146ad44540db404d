package line_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/station"
	"hallmark/station/issuance"
)

// doubling sends every frame twice. The client writes a frame at a time.
type doubling struct{ devices.Line }

func (d doubling) Write(frame []byte) (int, error) {
	if n, err := d.Line.Write(frame); err != nil {
		return n, err
	}
	return d.Line.Write(frame)
}

func TestFramesThatComeTwiceChangeNothing(t *testing.T) {
	l := newLine(t, nil)
	bay := l.bay("bay")
	board := l.plug(t, emulated.Config{}, patience, func(good devices.Line) devices.Line { return doubling{good} })
	run := bay.enrol(t, board, board)
	ends(t, run, station.Pass, "")
	if board.Ignored() == 0 || l.asked.Load() != 1 {
		t.Errorf("%d answers to ignore, %d signatures", board.Ignored(), l.asked.Load())
	}
	bay.passes(t)
	l.legal(t)
}

// A recorder keeps what a board says to each frame.
type recorder struct {
	devices.Line
	mu      sync.Mutex
	answers [][]byte
}

func (r *recorder) Write(frame []byte) (int, error) {
	r.mu.Lock()
	r.answers = append(r.answers, nil)
	r.mu.Unlock()
	return r.Line.Write(frame)
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Line.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := len(r.answers) - 1; last >= 0 {
		r.answers[last] = append(r.answers[last], p[:n]...)
	}
	return n, err
}

// replay gives the recorded answers again, whatever is asked, until the line is closed.
func replay(line net.Conn, answers [][]byte) error {
	frame := make([]byte, 4096)
	for at := 0; ; at++ {
		if _, err := line.Read(frame); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := line.Write(answers[at]); err != nil {
			return err
		}
	}
}

func TestAReplayedRunIsRefusedBecauseItsNonceIsOld(t *testing.T) {
	l := newLine(t, nil)
	bay := l.bay("bay")
	// 1. A passed Run is recorded, by someone who knows the first sequence number.
	options := patience
	options.Random = bytes.NewReader([]byte{7})
	recorded := &recorder{}
	board := l.plug(t, emulated.Config{}, options, func(good devices.Line) devices.Line { recorded.Line = good; return recorded })
	ends(t, bay.enrol(t, board, board), station.Pass, "")

	// 2. The recording sits in the bay.
	options.Random = bytes.NewReader([]byte{7})
	options.Timeout, options.Retries = time.Second, 1 // after the recording there is nothing
	near, far := net.Pipe()
	played := make(chan error, 1)
	go func() { played <- replay(far, recorded.answers) }()
	client := devices.NewClient(near, options)
	run := bay.enrol(t, client, client)
	ends(t, run, station.Reject, issuance.ErrNonceWrong.Reason)
	if err := <-played; err != nil {
		t.Errorf("replaying: %v", err)
	}
	if l.asked.Load() != 1 {
		t.Errorf("%d signatures", l.asked.Load())
	}
	bay.passes(t)
	l.legal(t)
}
