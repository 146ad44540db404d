package devices

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"hallmark/devices/smp"
)

// scripted is a board that answers by a script. Each request goes to the next step;
// the last step answers all further requests.
type scripted struct {
	net.Conn
	mu    sync.Mutex // covers asked
	asked [][]byte   // messages, in order
}

// A step returns the octets that the board sends for a request.
type step func(h smp.Header, message []byte) []byte

func answer(response smp.Body) step {
	return func(h smp.Header, _ []byte) []byte {
		body, err := smp.Marshal(response)
		if err != nil {
			panic(err)
		}
		h.Op = h.Op.Response()
		return smp.AppendFrame(nil, smp.AppendMessage(nil, h, body))
	}
}

func refuse(rc byte) step {
	return func(h smp.Header, _ []byte) []byte {
		h.Op = h.Op.Response()
		body := append([]byte("\xa1\x63err\xa2\x62rc"), rc)
		body = append(body, "\x65group\x18\x40"...)
		return smp.AppendFrame(nil, smp.AppendMessage(nil, h, body))
	}
}

func silence(smp.Header, []byte) []byte { return nil }

// damaged answers with a flipped bit.
func damaged(s step) step {
	return func(h smp.Header, m []byte) []byte {
		frame := s(h, m)
		frame[8] ^= 1
		return frame
	}
}

// both answers with two frames.
func both(one, two step) step {
	return func(h smp.Header, m []byte) []byte { return append(one(h, m), two(h, m)...) }
}

// said sends console text before an answer.
func said(text string, s step) step {
	return func(h smp.Header, m []byte) []byte { return append([]byte(text), s(h, m)...) }
}

// startScripted starts a board with a script, and a client that asks the board.
func startScripted(t *testing.T, options Options, script ...step) (*Client, *scripted) {
	t.Helper()
	near, far := net.Pipe()
	board := &scripted{Conn: far}
	done := make(chan struct{})
	go func() {
		defer close(done)
		board.run(script)
	}()
	client := NewClient(near, options)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		far.Close()
		<-done
	})
	return client, board
}

func (s *scripted) run(script []step) {
	decoder := smp.NewDecoder(smp.MaxMessage, func(message []byte) {
		s.mu.Lock()
		s.asked = append(s.asked, bytes.Clone(message))
		s.mu.Unlock()
		h, _, err := smp.ParseHeader(message)
		if err != nil {
			panic(err)
		}
		if frame := script[0](h, message); len(frame) > 0 {
			_, _ = s.Write(frame) // fails only when the client has closed the pipe
		}
		if len(script) > 1 {
			script = script[1:]
		}
	}, func([]byte) {}, func(error) {})
	_, _ = io.Copy(decoder, s) // ends with the pipe
}

var quick = Options{Timeout: 150 * time.Millisecond, Settle: 10 * time.Millisecond, ResetTimeout: time.Second}

var hello = smp.HelloResponse{
	Version: 1, ID: []byte("0123456789abcdef"), HardwareID: []byte{1}, BoardType: "test", Firmware: "1",
	FirmwareHash: make([]byte, 32), HUK: 2, ABI: 1, Purposes: 1, Boot: []byte("bootboot"), BufferSize: 384,
}

func init() { hello.ID[6], hello.ID[8] = 0x40, 0x80 }
