package smp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A vector is one file of testdata; the README there describes the format.
type vector struct {
	name    string
	headers map[string]string
	line    []byte
	message []byte
}

func vectors(t testing.TB, pattern string) []vector {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", pattern+".txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no vectors %q: %v", pattern, err)
	}
	var all []vector
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parseVector(t, strings.TrimSuffix(filepath.Base(name), ".txt"), string(text)))
	}
	return all
}

func parseVector(t testing.TB, name, text string) vector {
	t.Helper()
	parts := strings.SplitN(text, "\n\n", 3)
	if len(parts) < 2 {
		t.Fatalf("%s: want headers, line and message between blank lines", name)
	}
	v := vector{name: name, headers: map[string]string{}}
	for row := range strings.Lines(parts[0]) {
		key, value, ok := strings.Cut(strings.TrimSuffix(row, "\n"), ": ")
		if !ok {
			t.Fatalf("%s: header %q", name, row)
		}
		v.headers[key] = value
	}
	v.line = unhex(t, name, parts[1])
	if len(parts) == 3 {
		v.message = unhex(t, name, parts[2])
	}
	return v
}

func unhex(t testing.TB, name, text string) []byte {
	t.Helper()
	octets, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(text), "\n", ""))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return octets
}

// decoded is the output of a decoder.
type decoded struct {
	messages [][]byte
	console  []byte
	drops    []error
}

func (h *decoded) decoder(limit int) *Decoder {
	return NewDecoder(limit,
		func(m []byte) { h.messages = append(h.messages, bytes.Clone(m)) },
		func(text []byte) { h.console = append(h.console, text...) },
		func(reason error) { h.drops = append(h.drops, reason) })
}

var reasons = map[string]error{
	"bad-crc": ErrBadCRC, "bad-base64": ErrBadBase64, "bad-length": ErrBadLength,
	"too-long": ErrTooLong, "line-too-long": ErrLineTooLong, "orphan": ErrOrphan,
}

func TestTheDecoderAgreesWithEachVector(t *testing.T) {
	for _, v := range vectors(t, "*") {
		for _, piece := range []int{1, 7, 1 << 16} {
			t.Run(v.name, func(t *testing.T) { checkVector(t, v, piece) })
		}
	}
}

func checkVector(t *testing.T, v vector, piece int) {
	var got decoded
	d := got.decoder(2048)
	for line := v.line; len(line) > 0; {
		n := min(piece, len(line))
		d.Write(line[:n])
		line = line[n:]
	}
	switch expect := v.headers["expect"]; expect {
	case "ok":
		if len(got.messages) != 1 || !bytes.Equal(got.messages[0], v.message) {
			t.Fatalf("messages %x, want %x (dropped: %v)", got.messages, v.message, got.drops)
		}
	case "incomplete":
		if len(got.messages) != 0 || d.want == 0 {
			t.Errorf("messages %x, drops %v; want to wait for more", got.messages, got.drops)
		}
	default:
		if len(got.messages) != 0 || len(got.drops) == 0 || !errors.Is(got.drops[0], reasons[expect]) {
			t.Errorf("messages %x, drops %v; want %s", got.messages, got.drops, expect)
		}
	}
	if console, ok := v.headers["console"]; ok && hex.EncodeToString(got.console) != console {
		t.Errorf("console %x, want %s", got.console, console)
	}
}

func TestTheEncoderWritesTheLinesOfTheCanonicalVectors(t *testing.T) {
	for _, v := range append(vectors(t, "request-*"), vectors(t, "response-*")...) {
		if got := AppendFrame(nil, v.message); !bytes.Equal(got, v.line) {
			t.Errorf("%s:\n got %q\nwant %q", v.name, got, v.line)
		}
	}
}

// writableBodies has an empty body for each vector whose body this package can write.
var writableBodies = map[string]func() Body{
	"request-hello": func() Body { return new(Hello) }, "request-hello-brief": func() Body { return new(Hello) },
	"request-csr": func() Body { return new(CSR) }, "request-csr-empty-subject": func() Body { return new(CSR) },
	"request-csr-cose": func() Body { return new(CSR) }, "request-csr-purpose-unknown": func() Body { return new(CSR) },
	"request-read-cose":   func() Body { return new(ReadSlot) },
	"request-write-whole": func() Body { return new(WriteSlot) }, "request-write-gap": func() Body { return new(WriteSlot) },
	"request-write-bad-slot": func() Body { return new(WriteSlot) }, "request-write-too-long": func() Body { return new(WriteSlot) },
	"request-read": func() Body { return new(ReadSlot) }, "request-read-bad-slot": func() Body { return new(ReadSlot) },
	"request-tls-open": func() Body { return new(TLS) }, "request-tls-open-chain": func() Body { return new(TLS) },
	"request-tls-feed": func() Body { return new(TLS) }, "request-tls-close": func() Body { return new(TLS) },
	"request-seal": func() Body { return new(Seal) }, "request-echo": func() Body { return new(Echo) },
	"request-params": func() Body { return new(Params) }, "request-reset": func() Body { return new(OSReset) },
	"request-info":       func() Body { return new(Info) },
	"response-hello-tfm": func() Body { return new(HelloResponse) },
	"response-hello":     func() Body { return new(HelloResponse) }, "response-hello-brief": func() Body { return new(BriefResponse) },
	"response-csr": func() Body { return new(CSRResponse) }, "response-write": func() Body { return new(WriteSlotResponse) },
	"response-read":            func() Body { return new(ReadSlotResponse) },
	"response-tls-handshaking": func() Body { return new(TLSResponse) }, "response-tls-established": func() Body { return new(TLSResponse) },
	"request-net-open": func() Body { return new(Net) }, "request-net-open-chain": func() Body { return new(Net) },
	"request-net-poll": func() Body { return new(Net) }, "request-net-close": func() Body { return new(Net) },
	"response-net-established": func() Body { return new(NetResponse) }, "response-net-failed": func() Body { return new(NetResponse) },
	"response-tls-failed": func() Body { return new(TLSResponse) }, "response-seal": func() Body { return new(Empty) },
	"response-params": func() Body { return new(ParamsResponse) },
}

func TestEachTypedVectorReencodesToItsOctets(t *testing.T) {
	for _, v := range vectors(t, "re*") {
		empty, ok := writableBodies[v.name]
		if !ok {
			continue
		}
		body := empty()
		h, err := Parse(v.message, body)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		encoded, err := Marshal(body)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
		if got := AppendMessage(nil, h, encoded); !bytes.Equal(got, v.message) {
			t.Errorf("%s: re-encodes to %x, want %x", v.name, got, v.message)
		}
		if request, ok := body.(Request); ok {
			again, err := AppendRequest(nil, h.Sequence, request)
			if err != nil || !bytes.Equal(again, v.message) {
				t.Errorf("%s: as a request %x, %v", v.name, again, err)
			}
		}
	}
}

func TestIndefiniteLengthMapsDecodeLikeDefiniteOnes(t *testing.T) {
	definite, indefinite := new(HelloResponse), new(HelloResponse)
	for name, body := range map[string]Body{"response-hello": definite, "response-hello-indefinite": indefinite} {
		if _, err := Parse(vectors(t, name)[0].message, body); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	a, _ := Marshal(definite)
	b, _ := Marshal(indefinite)
	if !bytes.Equal(a, b) || definite.BoardType != "mps2-an385" {
		t.Errorf("%x and %x differ", a, b)
	}
}

func TestFailuresAreReadInBothForms(t *testing.T) {
	table := map[string]Failure{
		"response-refused":            {Grouped: true, Group: 64, RC: 10},
		"response-refused-indefinite": {Grouped: true, Group: 64, RC: 10},
		"response-rc":                 {RC: RCUnsupported},
	}
	for name, want := range table {
		_, err := Parse(vectors(t, name)[0].message, new(WriteSlotResponse))
		var got *Failure
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%s: %v, want %v", name, err, &want)
		}
	}
}

func TestRequestsThatABoardMustRefuseAreRefusedHereToo(t *testing.T) {
	for _, v := range vectors(t, "request-*") {
		refusal := v.headers["refusal"]
		if !strings.Contains(refusal, "bad-map") && !strings.Contains(refusal, "rc3") {
			continue
		}
		body := Body(new(Hello))
		if v.message[7] == 1 {
			body = new(CSR)
		}
		// The board checks the characters of a subject and the purpose; the codec does not. The codec reads Zephyr's maps, too.
		ours := v.name != "request-forbidden-subject" && v.name != "request-csr-purpose-unknown" && v.name != "request-hello-indefinite"
		if _, err := Parse(v.message, body); ours && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want %v", v.name, err, ErrMalformed)
		}
	}
}

// A board may skip carriage returns, as Zephyr's base64 does; the station refuses them.
func TestACarriageReturnIsNotBase64(t *testing.T) {
	line := AppendFrame(nil, []byte("any message"))
	line = append(line[:len(line)-1], '\r', '\n')
	var got decoded
	feed(got.decoder(2048), line, len(line))
	if len(got.messages) != 0 || len(got.drops) != 1 || !errors.Is(got.drops[0], ErrBadBase64) {
		t.Errorf("messages %x, drops %v", got.messages, got.drops)
	}
}
