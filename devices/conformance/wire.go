package conformance

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hallmark/devices"
	"hallmark/devices/smp"
	"hallmark/station/reason"
)

// answerTime is the longest wait for an answer that must come. It is long because an emulator on a busy machine is slow, and
// because the counters of the checks know no second question.
const answerTime = time.Minute

// A wire sends octets and receives messages, without a client.
type wire struct {
	*environment
	messages [][]byte
	decoder  *smp.Decoder
	sequence uint8
}

// wire takes over from the client. A client that had to wait repeated a request, so the
// answer to the repeated request may still come: wire drops what comes before the answer to an echo.
func (b *environment) wire() *wire {
	b.Helper()
	w := &wire{environment: b}
	w.decoder = smp.NewDecoder(smp.MaxMessage,
		func(message []byte) { w.messages = append(w.messages, bytes.Clone(message)) },
		func([]byte) {},
		func(reason error) { b.Errorf("the board's own frame: %v", reason) })
	w.answersBefore("the client")
	return w
}

func (w *wire) send(octets []byte) {
	w.Helper()
	_, err := w.subject.Transport.Write(octets)
	w.check(err)
}

// next returns the next message of the board. to names the request in errors.
func (w *wire) next(to string) []byte {
	w.Helper()
	w.check(w.subject.Transport.SetReadDeadline(time.Now().Add(answerTime)))
	var buffer [4096]byte
	for len(w.messages) == 0 {
		n, err := w.subject.Transport.Read(buffer[:])
		if err != nil {
			w.Fatalf("waiting for the answer to %s: %v", to, err)
		}
		_, _ = w.decoder.Write(buffer[:n]) // Write never fails
	}
	message := w.messages[0]
	w.messages = w.messages[1:]
	return message
}

// ask sends a request once and decodes its answer. It skips answers with other sequence numbers: a board that was asked
// twice while it started may still send them.
func (w *wire) ask(request smp.Request, response smp.Body) error {
	w.Helper()
	_, err := w.askAndCount(request, response)
	return err
}

// askAndCount is ask. It also returns how many answers it skipped.
func (w *wire) askAndCount(request smp.Request, response smp.Body) (skipped int, refusal error) {
	w.Helper()
	w.sequence++
	message, err := smp.AppendRequest(nil, w.sequence, request)
	w.check(err)
	w.send(smp.AppendFrame(nil, message))
	answer := w.next(fmt.Sprintf("%T", request))
	for ; !answers(answer, w.sequence); skipped++ {
		w.Logf("skipped while waiting for the answer to %x: %x", message, answer)
		answer = w.next(fmt.Sprintf("%T", request))
	}
	h, err := smp.Parse(answer, response)
	if h.Op != request.Command().Op.Response() || h.Command != request.Command().ID {
		w.Errorf("the answer to %x is %x", message, answer)
	}
	return skipped, refusalOf(err)
}

func refusalOf(err error) error {
	var failure *smp.Failure
	if errors.As(err, &failure) {
		return &devices.Refusal{Grouped: failure.Grouped, Group: failure.Group, RC: failure.RC}
	}
	return err
}

// alive checks that the board's next answer is that to an echo.
func (w *wire) alive(after string) {
	w.Helper()
	var echo smp.EchoResponse
	if skipped, err := w.askAndCount(&smp.Echo{Text: after}, &echo); err != nil || echo.Text != after || skipped > 0 {
		w.Errorf("after %s: %q, %v, and %d answers to something else", after, echo.Text, err, skipped)
	}
}

// answersBefore returns the board's answers before its answer to an echo.
func (w *wire) answersBefore(after string) (answered [][]byte) {
	w.Helper()
	const sequence = 255 // no vector has this number
	message, err := smp.AppendRequest(nil, sequence, &smp.Echo{Text: after})
	w.check(err)
	w.send(smp.AppendFrame(nil, message))
	for {
		answer := w.next("an echo after " + after)
		var echo smp.EchoResponse
		if _, err := smp.Parse(answer, &echo); err == nil && answers(answer, sequence) && echo.Text == after {
			return answered
		}
		answered = append(answered, answer)
	}
}

// answers is true if the message has this sequence number.
func answers(message []byte, sequence uint8) bool {
	return len(message) >= smp.HeaderSize && message[6] == sequence
}

var wireChecks = []check{
	{"its buffer has a size that a station can use", func(b *environment) {
		var params smp.ParamsResponse
		if err := b.wire().ask(&smp.Params{}, &params); err != nil || params.BufferSize < 128 || params.BufferCount < 1 {
			b.Errorf("%+v, %v", params, err)
		}
	}},
	{"a message that fills the buffer is answered, a larger one is dropped in silence", func(b *environment) {
		w := b.wire()
		var params smp.ParamsResponse
		w.check(w.ask(&smp.Params{}, &params))
		room := int(params.BufferSize) - 4
		for _, length := range []int{room, room + 1, int(params.BufferSize) + 500} {
			// A hello with an unknown key, because its answer fits into any buffer.
			body := []byte{0xa1, 0x61, 'z', 0x59, 0, 0}
			fill := length - smp.HeaderSize - len(body)
			body[4], body[5] = byte(fill>>8), byte(fill)
			body = append(body, make([]byte, fill)...)
			w.send(smp.AppendFrame(nil, smp.AppendMessage(nil, smp.Header{Version: 1, Group: 64, Sequence: 200}, body)))
			if length == room {
				if _, err := smp.Parse(w.next("a message that fills the buffer"), new(smp.Empty)); err == nil {
					b.Errorf("an unknown key of %d octets was accepted", fill)
				}
			}
			w.alive("a long message")
		}
	}},
	{"bad bodies are refused by name", func(b *environment) {
		w := b.wire()
		for _, v := range w.vectors("request-*") {
			if v.headers["refusal"] == "" {
				continue
			}
			w.send(v.frame)
			_, err := smp.Parse(w.next(v.name), new(smp.BriefResponse))
			if want := v.headers["refusal"]; !allowed(want, refusalOf(err)) {
				w.Errorf("%s: %v, want %s", v.name, refusalOf(err), want)
			}
			w.alive(v.name)
		}
	}},
	{"damaged frames are dropped, and what follows is heard", func(b *environment) {
		w := b.wire()
		for _, v := range w.vectors("frame-*") {
			if why := mcumgrDiffers[v.name]; b.subject.Zephyr && why != "" {
				b.Logf("left out: %s: %s", v.name, why)
				continue
			}
			w.send(v.frame)
			if v.headers["expect"] == "ok" {
				if got := w.next(v.name); !answers(got, v.message[6]) { // one request at a time, because buf_count may be 1
					w.Errorf("%s: answered by %x", v.name, got)
				}
			}
			if extra := w.answersBefore(v.name); len(extra) > 0 {
				w.Errorf("%s: answered by %x", v.name, extra)
			}
		}
	}},
	{"flags and reserved bits of a header are ignored, and answered by none", func(b *environment) {
		w := b.wire()
		message, err := smp.AppendRequest(nil, 77, &smp.Echo{Text: "flags"})
		w.check(err)
		message[0] |= 0xe0
		message[1] = 0xff
		w.send(smp.AppendFrame(nil, message))
		var echo smp.EchoResponse
		answer := w.next("a header with flags")
		if h, err := smp.Parse(answer, &echo); err != nil || answer[1] != 0 || answer[0]&0xe0 != 0 || h.Sequence != 77 || echo.Text != "flags" {
			w.Errorf("%x, %v", answer, err)
		}
	}},
	{"the same request twice has the same answer twice", func(b *environment) {
		w := b.wire()
		message, err := smp.AppendRequest(nil, 42, &smp.Hello{})
		w.check(err)
		frame := smp.AppendFrame(nil, message)
		w.send(append(bytes.Clone(frame), frame...))
		if one, two := w.next("a request"), w.next("the same request"); !bytes.Equal(one, two) {
			w.Errorf("%x\n%x", one, two)
		}
	}},
	{"an answer is not taken for a request", func(b *environment) {
		w := b.wire()
		w.send(smp.AppendFrame(nil, smp.AppendMessage(nil, smp.Header{Op: smp.ReadResponse, Version: 1, Group: 64, Sequence: 9}, []byte{0xa0})))
		message, err := smp.AppendRequest(nil, 10, &smp.Echo{Text: "after it"})
		w.check(err)
		w.send(smp.AppendFrame(nil, message))
		for answer := w.next("an echo"); !answers(answer, 10); answer = w.next("an echo") {
			if _, err := smp.Parse(answer, new(smp.Empty)); err == nil {
				w.Errorf("an answer was answered by %x", answer)
			}
		}
	}},
	{"tls requests count up and may come twice", func(b *environment) { tlsSequence(b) }},
	{"the request that opens a tls session may come twice, too", func(b *environment) { tlsOpening(b) }},
}

// mcumgrDiffers names the frames for which Zephyr's MCUmgr (3.4) differs from
// PROTOCOL.md section 1. A station never sends them; noise on the UART may produce
// them, and then the board reads the repeated request.
var mcumgrDiffers = map[string]string{
	"frame-console-before":  "a marker counts only where a line begins",
	"frame-console-between": "a marker counts only where a line begins",
	"frame-lost-newline":    "a marker counts only where a line begins",
	"frame-length-zero":     "a length of 0 passes for a message, whose contents are an old one's",
}

func tlsSequence(b *environment) {
	b.provision()
	b.reset()
	steps := []struct {
		name    string
		request smp.TLS
		state   smp.TLSState
		refusal error
	}{
		{"feed without a session", smp.TLS{Sequence: 1}, 0, devices.ErrTLSState},
		{"open", smp.TLS{ServerName: "verifier.station"}, smp.TLSHandshaking, nil},
		{"skip one", smp.TLS{Sequence: 2}, 0, devices.ErrOutOfOrder},
		{"first", smp.TLS{Sequence: 1}, smp.TLSHandshaking, nil},
		{"first again", smp.TLS{Sequence: 1}, smp.TLSHandshaking, nil},
		{"garbage", smp.TLS{Sequence: 2, Input: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, smp.TLSFailed, nil},
		{"garbage again", smp.TLS{Sequence: 2, Input: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, smp.TLSFailed, nil},
		{"open anew", smp.TLS{ServerName: "verifier.station"}, smp.TLSHandshaking, nil},
		{"close", smp.TLS{Sequence: 1, Close: true}, smp.TLSClosed, nil},
	}
	b.check(b.board.Detach())
	w := b.wire()
	var before smp.TLSResponse
	for _, step := range steps {
		var response smp.TLSResponse
		err := w.ask(&step.request, &response)
		switch {
		case step.refusal != nil:
			b.refused(step.name, err, step.refusal)
			continue
		case err != nil || response.State != step.state:
			b.Errorf("%s: %+v, %v; want state %d", step.name, response, err, step.state)
		case strings.HasSuffix(step.name, "again") && !equalTLS(response, before):
			b.Errorf("%s: %+v, before %+v", step.name, response, before)
		}
		before = response
	}
}

func tlsOpening(b *environment) {
	b.provision()
	b.reset()
	b.check(b.board.Detach())
	w := b.wire()
	open := func(name string) (response smp.TLSResponse) {
		b.check(w.ask(&smp.TLS{ServerName: name}, &response))
		return response
	}
	first := open("verifier.station")
	w.sequence-- // send the same frame again
	if again := open("verifier.station"); !equalTLS(first, again) {
		b.Errorf("the same request opens another session: %+v, before %+v", again, first)
	}
	w.sequence-- // send the same header with another request
	if other := open("another.station!"); equalTLS(first, other) {
		b.Error("a session for one name answers for another")
	}
	if other := open("another.station!"); equalTLS(first, other) { // the session contains a random number
		b.Error("a new request does not open a new session")
	}
}

func equalTLS(a, z smp.TLSResponse) bool {
	one, err := smp.Marshal(&a)
	two, other := smp.Marshal(&z)
	return err == nil && other == nil && bytes.Equal(one, two)
}

// allowed is true if err is one of the refusals that a vector's header allows.
func allowed(want string, err error) bool {
	word := reason.Of(err).Word
	for _, one := range strings.Split(want, "|") {
		if one == word {
			return true
		}
	}
	return false
}

// A vector is one file of devices/smp/testdata; the README there describes the format.
type vector struct {
	name    string
	headers map[string]string
	frame   []byte // octets on the UART
	message []byte // SMP message in the frame
}

// moduleRoot is the folder of go.mod, above the folder in which the test of some package runs.
func moduleRoot() string {
	root := "."
	for range 10 {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Join(root, "..")
	}
	return root
}

func (w *wire) vectors(pattern string) []vector {
	w.Helper()
	names, err := filepath.Glob(filepath.Join(moduleRoot(), "devices", "smp", "testdata", pattern+".txt"))
	if err != nil || len(names) == 0 {
		w.Fatalf("no vectors %s: %v", pattern, err)
	}
	var all []vector
	for _, name := range names {
		text, err := os.ReadFile(name)
		w.check(err)
		parts := strings.Split(string(text)+"\n\n", "\n\n")
		v := vector{name: strings.TrimSuffix(filepath.Base(name), ".txt"), headers: map[string]string{}}
		for row := range strings.Lines(parts[0]) {
			key, value, _ := strings.Cut(strings.TrimSpace(row), ": ")
			v.headers[key] = value
		}
		v.frame, v.message = w.unhex(parts[1]), w.unhex(parts[2])
		all = append(all, v)
	}
	return all
}

func (w *wire) unhex(text string) []byte {
	w.Helper()
	octets, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), "\n", ""))
	w.check(err)
	return octets
}
