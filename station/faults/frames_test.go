package faults_test

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
	"hallmark/devices/smp"
	"hallmark/station"
	"hallmark/station/issuance"
)

// doubling sends every frame twice. The client writes one frame in each call.
type doubling struct{ devices.Transport }

func (d doubling) Write(frame []byte) (int, error) {
	if n, err := d.Transport.Write(frame); err != nil {
		return n, err
	}
	return d.Transport.Write(frame)
}

func TestFramesThatComeTwiceChangeNothing(t *testing.T) {
	l := newEnvironment(t, nil)
	bay := l.bay("bay")
	board := l.plug(t, emulated.Config{}, longTimeout, func(good devices.Transport) devices.Transport { return doubling{good} })
	run := bay.enrol(t, board, board)
	ends(t, run, station.Pass, "")
	if board.Ignored() == 0 || l.asked.Load() != 1 {
		t.Errorf("%d answers to ignore, %d signatures", board.Ignored(), l.asked.Load())
	}
	bay.passes(t)
	l.checkInvariants(t)
}

// A recorder records the answer of the board to each frame.
type recorder struct {
	devices.Transport
	mu      sync.Mutex
	answers [][]byte
}

func (r *recorder) Write(frame []byte) (int, error) {
	r.mu.Lock()
	r.answers = append(r.answers, nil)
	r.mu.Unlock()
	return r.Transport.Write(frame)
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Transport.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := len(r.answers) - 1; last >= 0 {
		r.answers[last] = append(r.answers[last], p[:n]...)
	}
	return n, err
}

// answering plays a board: it answers each frame with the result of answer, until the
// connection is closed. n counts the frames from 0.
func answering(line net.Conn, answer func(n int, frame []byte) []byte) error {
	frame := make([]byte, 4096)
	for n := 0; ; n++ {
		size, err := line.Read(frame)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if _, err := line.Write(answer(n, frame[:size])); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
	}
}

// enrolAnswering does a Run with such a board.
func (b *bay) enrolAnswering(t *testing.T, options devices.Options, answer func(n int, frame []byte) []byte) *station.Run {
	t.Helper()
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- answering(far, answer) }()
	client := devices.NewClient(near, options)
	run := b.enrol(t, client, client)
	if err := <-ended; err != nil {
		t.Errorf("answering: %v", err)
	}
	return run
}

func TestAReplayedRunIsRefusedBecauseItsNonceIsOld(t *testing.T) {
	l := newEnvironment(t, nil)
	bay := l.bay("bay")
	// 1. An attacker who knows the first sequence number records a Run that passes.
	options := longTimeout
	options.Random = bytes.NewReader([]byte{7})
	recorded := &recorder{}
	board := l.plug(t, emulated.Config{}, options, func(good devices.Transport) devices.Transport { recorded.Transport = good; return recorded })
	ends(t, bay.enrol(t, board, board), station.Pass, "")

	// 2. The attacker replays the recording to the station.
	options.Random = bytes.NewReader([]byte{7})
	options.Timeout, options.Retries = time.Second, 1 // the recording ends before the last requests of the station
	run := bay.enrolAnswering(t, options, func(n int, _ []byte) []byte { return recorded.answers[n] })
	ends(t, run, station.Reject, issuance.ErrNonceWrong.Word())
	if l.asked.Load() != 1 {
		t.Errorf("%d signatures", l.asked.Load())
	}
	bay.passes(t)
	l.checkInvariants(t)
}

// messageIn returns the message in a frame.
func messageIn(frame []byte) (message []byte) {
	decoder := smp.NewDecoder(smp.MaxMessage, func(m []byte) { message = bytes.Clone(m) }, func([]byte) {}, func(error) {})
	_, _ = decoder.Write(frame) // never fails
	return message
}

// answerTo returns a frame with body as the answer to a frame.
func answerTo(t *testing.T, frame, body []byte) []byte {
	h, _, err := smp.ParseHeader(messageIn(frame))
	if err != nil {
		t.Errorf("the station asks %x: %v", frame, err)
	}
	h.Op = h.Op.Response()
	return smp.AppendFrame(nil, smp.AppendMessage(nil, h, body))
}

func TestABoardThatAnswersNonsenseIsNamed(t *testing.T) {
	l := newEnvironment(t, nil)
	brief := devices.Options{Timeout: 100 * time.Millisecond, Settle: 5 * time.Millisecond, Retries: 2}
	for _, test := range []struct {
		name   string
		answer func(t *testing.T, frame []byte) []byte
		ending station.Ending
		reason string
	}{
		{"what is no map", func(t *testing.T, frame []byte) []byte { return answerTo(t, frame, []byte{0x83, 1, 2, 3}) }, station.Reject, devices.ErrMalformedAnswer.Word()},
		{"a map that ends too early", func(t *testing.T, frame []byte) []byte { return answerTo(t, frame, []byte{0xa2, 0x61, 'v', 1}) }, station.Reject, devices.ErrMalformedAnswer.Word()},
		{"a map with a key too many", func(t *testing.T, frame []byte) []byte { return answerTo(t, frame, []byte{0xa1, 0x61, 'z', 1}) }, station.Reject, devices.ErrMalformedAnswer.Word()},
		{"more octets than any message has", func(t *testing.T, frame []byte) []byte { return answerTo(t, frame, make([]byte, 60000)) }, station.Reject, devices.ErrMalformedAnswer.Word()},
		{"a text without an end", func(*testing.T, []byte) []byte { return bytes.Repeat([]byte{'A'}, 100_000) }, station.Fault, devices.ErrConsoleText.Word()},
		{"a frame whose checksum is wrong", func(t *testing.T, frame []byte) []byte {
			answer := answerTo(t, frame, []byte{0xa0})
			answer[10] ^= 1 // changes one base64 digit
			return answer
		}, station.Fault, devices.ErrDamagedFrames.Word()},
		{"the station's own questions", func(_ *testing.T, frame []byte) []byte { return frame }, station.Fault, devices.ErrLoopBack.Word()},
	} {
		t.Run(test.name, func(t *testing.T) {
			bay := l.bay("bay")
			run := bay.enrolAnswering(t, brief, func(_ int, frame []byte) []byte { return test.answer(t, frame) })
			ends(t, run, test.ending, test.reason)
			bay.passes(t)
			l.checkInvariants(t)
		})
	}
}
