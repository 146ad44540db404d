package devices

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hallmark/devices/smp"
)

// echoed sends the request back before the answer, as a two-wire adapter does.
func echoed(s step) step {
	return func(h smp.Header, m []byte) []byte { return append(smp.AppendFrame(nil, m), s(h, m)...) }
}

// after answers late.
func after(wait time.Duration, s step) step {
	return func(h smp.Header, m []byte) []byte { time.Sleep(wait); return s(h, m) }
}

func TestAnAnswerIsFoundAmongOtherOctets(t *testing.T) {
	for name, answers := range map[string]step{
		"an echo":                    echoed(answer(&hello)),
		"a log between frames":       said("[00:00:01.000] <inf> app: ready\r\n", answer(&hello)),
		"octets of a reset":          said("\x00\xff\x00*** Booting Zephyr OS ***\r\n", answer(&hello)),
		"an answer of another group": both(func(h smp.Header, m []byte) []byte { h.Group = 0; return answer(&smp.Empty{})(h, m) }, answer(&hello)),
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := startScripted(t, quick, answers)
			if _, err := client.Identify(t.Context()); err != nil || client.Wire().Retries != 0 {
				t.Errorf("%v after %d retries", err, client.Wire().Retries)
			}
		})
	}
}

// startBuffered is startScripted with a line that, as a UART does, takes octets while the board works.
func startBuffered(t *testing.T, options Options, script ...step) *Client {
	t.Helper()
	near, far := net.Pipe()
	line := &buffered{Transport: near, frames: make(chan []byte, 100)}
	var work sync.WaitGroup
	work.Go(func() { (&scripted{Conn: far}).run(script) })
	work.Go(func() {
		for frame := range line.frames {
			_, _ = near.Write(frame) // fails only when the client has closed the pipe
		}
	})
	client := NewClient(line, options)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		close(line.frames)
		far.Close()
		work.Wait()
	})
	return client
}

type buffered struct {
	Transport
	frames chan []byte
}

func (b *buffered) Write(frame []byte) (int, error) {
	b.frames <- bytes.Clone(frame)
	return len(frame), nil
}

// A board that needs longer for each answer than the station waits is learned once, and then asked once. Lost requests teach nothing
// about the board: each answer counts from the request that it answers.
func TestASlowAnswerCountsFromTheRequestThatItAnswers(t *testing.T) {
	const wait = 100 * time.Millisecond
	slow := func(by time.Duration) []step { return []step{after(by, answer(&hello))} }
	lossy := slices.Repeat([]step{silence, answer(&hello)}, 50)
	for name, test := range map[string]struct {
		script  []step
		retries int           // at most, of 20 requests
		longest time.Duration // of all requests together
	}{
		"a board that needs 1.5 times the wait": {slow(wait * 3 / 2), 2, 35 * wait},
		"a board that needs twice the wait":     {slow(wait * 2), 4, 50 * wait},
		"a board that needs 3 times the wait":   {slow(wait * 3), 8, 90 * wait},
		"every second request is lost":          {lossy, 20, 20*wait + wait/2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // a busy machine makes no board slower
				client := startBuffered(t, Options{Answer: wait, Timeout: time.Minute, Retries: 8}, test.script...)
				client.met = true
				begun := time.Now()
				for range 20 {
					if _, err := client.Identify(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if again, took := client.Wire().Retries, time.Since(begun); again > test.retries || took > test.longest {
					t.Errorf("%d requests were sent again in %v, want at most %d in %v", again, took, test.retries, test.longest)
				}
			})
		})
	}
}

// The laws of the schedule with the options of a hardware board.
func TestTheDefaultSchedule(t *testing.T) {
	total := func(c *Client) (sum time.Duration) {
		for try := 0; ; try++ {
			wait, again := c.noiseSchedule(try)
			if !again {
				return sum
			}
			sum += wait
		}
	}
	c := &Client{options: Options{}.filled()}
	if first, _ := c.noiseSchedule(0); first != time.Second || total(c) != 4*time.Second {
		t.Errorf("a board that never answered: first %v, together %v", first, total(c))
	}
	c.met = true
	if first, _ := c.noiseSchedule(0); first != time.Second || total(c) != 15*time.Second {
		t.Errorf("a board that answered: first %v, together %v", first, total(c))
	}
	c.slowest = 2 * time.Second
	if first, _ := c.noiseSchedule(0); first != 4*time.Second {
		t.Errorf("a board that answers after two seconds: first %v", first)
	}
}

func TestABoardThatFallsSilentIsNamedByWhatItSaysThen(t *testing.T) {
	for name, test := range map[string]struct {
		then step
		want error
	}{
		"nothing":  {silence, ErrNoAnswer},
		"a crash":  {func(smp.Header, []byte) []byte { return []byte("E: ***** BUS FAULT *****\r\n") }, ErrConsoleText},
		"octets":   {func(smp.Header, []byte) []byte { return []byte("\x00\xfe\x80\x00") }, ErrGarbled},
		"an echo":  {echoed(silence), ErrLoopBack},
		"a damage": {damaged(answer(&hello)), ErrDamagedFrames},
		"a log in the frame": {func(h smp.Header, m []byte) []byte {
			frame := answer(&hello)(h, m)
			return slices.Concat(frame[:20], []byte("[00:00:07.100] <inf> app: sample\r\n"), frame[20:])
		}, ErrDamagedFrames},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := startScripted(t, Options{Answer: 100 * time.Millisecond, Timeout: 100 * time.Millisecond}, said("a text of before\n", answer(&hello)), test.then)
			if _, err := client.Identify(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Identify(t.Context()); !errors.Is(err, test.want) || strings.Contains(err.Error(), "CR LF") {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// A refusal of hello by another group is no judgement on the board.
func TestAnotherServerIsNoBadBoard(t *testing.T) {
	foreign := func(h smp.Header, _ []byte) []byte {
		h.Op = h.Op.Response()
		return smp.AppendFrame(nil, smp.AppendMessage(nil, h, []byte("\xa1\x63err\xa2\x62rc\x01\x65group\x01")))
	}
	unsupported := func(h smp.Header, _ []byte) []byte {
		h.Op = h.Op.Response()
		return smp.AppendFrame(nil, smp.AppendMessage(nil, h, []byte("\xa1\x62rc\x08")))
	}
	for name, answers := range map[string]step{"rc 8": unsupported, "a refusal of another group": foreign} {
		client, _ := startScripted(t, quick, answers)
		if _, err := client.Identify(t.Context()); !errors.Is(err, ErrOtherServer) || errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
