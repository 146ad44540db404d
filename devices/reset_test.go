package devices

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"hallmark/devices/smp"
	"hallmark/station/reason"
)

func sends(octets string) step { return func(smp.Header, []byte) []byte { return []byte(octets) } }

// A board may restart before it answers. What comes instead of the answer is no failure of the reset.
func TestAResetWithoutAnAnswerIsNoFailure(t *testing.T) {
	restarted := &smp.BriefResponse{ID: hello.ID, Boot: []byte("bootnext")}
	for name, instead := range map[string]step{
		"silence":                    silence,
		"the banner of the boot":     sends("*** Booting Zephyr OS build v4.2.99 ***\r\n[00:00:00.001] <inf> main: hello\r\n"),
		"octets of the reset":        sends("\x00\xff\x00"),
		"a flipped bit":              damaged(answer(&smp.Empty{})),
		"half an answer":             sends("\x06\x09AAwAAAA"),
		"lines that end with CR LF":  sends("\x06\x09AAwAAAAA\r\n"),
		"an echo of the request":     func(h smp.Header, m []byte) []byte { return smp.AppendFrame(nil, m) },
		"an answer of another group": func(h smp.Header, m []byte) []byte { h.Group = 99; return answer(&smp.Empty{})(h, m) },
		"an answer that is no map": func(h smp.Header, m []byte) []byte {
			h.Op = h.Op.Response()
			return smp.AppendFrame(nil, smp.AppendMessage(nil, h, []byte("\x01")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := startScripted(t, quick, answer(&hello), instead, answer(restarted))
			if _, err := client.Identify(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, boot, err := client.Reset(t.Context()); err != nil || boot != BootID([]byte("bootnext")) {
				t.Errorf("boot %x, %v", boot, err)
			}
		})
	}
}

// Another program on the port is no restart.
type sharedTransport struct {
	Transport
	err error
}

func (s sharedTransport) InUse() error { return s.err }

func TestAResetOnAPortOfAnotherProgramFails(t *testing.T) {
	inUse := reason.New("port-in-use", "port is in use")
	first, _ := startScripted(t, quick, answer(&hello), silence)
	if err := first.Detach(); err != nil {
		t.Fatal(err)
	}
	client := NewClient(sharedTransport{first.transport, inUse}, quick)
	defer client.Close()
	if _, err := client.Identify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Reset(t.Context()); !errors.Is(err, inUse) {
		t.Errorf("got %v", err)
	}
}

// A board that prints instead of answering is not asked once more to close its session: that would take the time of another answer.
func TestABoardThatStopsAnsweringIsNotAskedToClose(t *testing.T) {
	for name, instead := range map[string]step{"silence": silence, "text": sends("panic\r\n"), "octets": sends("\x00\xff\x00")} {
		client, board := startScripted(t, Options{Answer: 20 * time.Millisecond, Timeout: 20 * time.Millisecond, Settle: time.Millisecond}, answer(&hello), instead)
		if _, err := client.Identify(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := client.NetworkHandshake(t.Context(), netip.MustParseAddrPort("192.0.2.1:4433"), "verifier.test")
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		board.mu.Lock()
		if n := len(board.asked); n != 1+4 {
			t.Errorf("%s: asked %d times, want hello and 4 tries of one request", name, n)
		}
		board.mu.Unlock()
	}
}

// A settling transport was just opened: nothing may be written yet.
type settling struct {
	Transport
	rest time.Duration
}

func (s settling) Settling() time.Duration { return s.rest }

// The settle time of a port ends with the time of the call.
func TestTheSettleTimeOfAPortEndsWithTheCall(t *testing.T) {
	first, board := startScripted(t, quick, answer(&hello))
	if err := first.Detach(); err != nil {
		t.Fatal(err)
	}
	client := NewClient(settling{first.transport, time.Hour}, quick)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := client.Identify(ctx); !errors.Is(err, context.DeadlineExceeded) || len(board.asked) > 0 {
		t.Errorf("%v; asked %d times", err, len(board.asked))
	}
}
