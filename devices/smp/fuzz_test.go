package smp

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// Law: a framed message is decoded again, and the console text around it stays whole,
// however the octets are cut into pieces.
func FuzzDecodeAfterEncodeIsIdentity(f *testing.F) {
	for _, v := range vectors(f, "re*") {
		f.Add(v.message, []byte("boot\n> "), uint8(3))
	}
	f.Fuzz(func(t *testing.T, message, text []byte, piece uint8) {
		if len(message) == 0 || len(message) > 4096 {
			return
		}
		// A marker octet in the text may pair with the octet after it. The next law covers that.
		text = bytes.Map(func(r rune) rune {
			if r == first1 || r == continue1 {
				return '.'
			}
			return r
		}, text)
		stream := append(bytes.Clone(text), AppendFrame(nil, message)...)
		stream = append(stream, text...)
		var got decoded
		feed(got.decoder(4096), stream, int(piece))
		if len(got.messages) != 1 || !bytes.Equal(got.messages[0], message) {
			t.Fatalf("got %x, want %x", got.messages, message)
		}
		if !bytes.Equal(got.console, append(bytes.Clone(text), text...)) {
			t.Fatalf("console %q, want %q twice", got.console, text)
		}
	})
}

// Law: no octets make the decoder panic or lose count. The pieces do not matter. After
// any octets, a newline and a frame are decoded.
func FuzzEveryOctetIsAccountedFor(f *testing.F) {
	for _, v := range vectors(f, "*") {
		f.Add(v.line, uint8(5))
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		var whole, cut decoded
		a, b := whole.decoder(2048), cut.decoder(2048)
		feed(a, stream, len(stream))
		feed(b, stream, int(piece))
		for _, d := range []*Decoder{a, b} {
			if c := d.counts; c.Console+c.Framed+int64(heldBy(d)) != int64(len(stream)) {
				t.Fatalf("%d octets, %+v and %d held", len(stream), c, heldBy(d))
			}
		}
		if !bytes.Equal(whole.console, cut.console) || len(whole.messages) != len(cut.messages) || len(whole.drops) != len(cut.drops) {
			t.Fatalf("in pieces of %d: %+v, whole: %+v", piece, cut, whole)
		}
		before := len(whole.messages)
		want := []byte("after anything")
		feed(a, AppendFrame([]byte{'\n'}, want), 1<<16)
		if n := len(whole.messages); n == before || !bytes.Equal(whole.messages[n-1], want) {
			t.Fatalf("no message after %q", stream)
		}
	})
}

func feed(d *Decoder, stream []byte, piece int) {
	for piece = max(piece, 1); len(stream) > 0; {
		n := min(piece, len(stream))
		d.Write(stream[:n])
		stream = stream[n:]
	}
}

// Law: a decoded message is encoded to a canonical form, and the canonical form
// decodes and encodes to the same octets.
func FuzzWhatDecodesHasOneEncoding(f *testing.F) {
	for _, v := range vectors(f, "re*") {
		if len(v.message) > HeaderSize {
			f.Add(v.message[HeaderSize:])
		}
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		for name, empty := range writableBodies {
			body := empty()
			if unmarshalWhole(encoded, body) != nil {
				continue
			}
			once, err := Marshal(body)
			if err != nil {
				t.Fatalf("%s: what decodes does not encode: %v", name, err)
			}
			again := empty()
			if err := unmarshalWhole(once, again); err != nil {
				t.Fatalf("%s: own encoding does not decode: %v", name, err)
			}
			if twice, err := Marshal(again); err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%s: %x, then %x (%v)", name, once, twice, err)
			}
		}
	})
}

// Law: a map is split into the pairs that fxamacker/cbor decodes. The library takes keys in
// chunks, and null as a key, which are refused here. Keys that are not UTF-8 are in no form.
func FuzzAMapIsSplitIntoItsPairs(f *testing.F) {
	for _, v := range vectors(f, "re*") {
		if len(v.message) > HeaderSize {
			f.Add(v.message[HeaderSize:])
		}
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		split, err := pairsOf(encoded)
		var want map[string]cbor.RawMessage
		if other := strict.Unmarshal(encoded, &want); other != nil || want == nil {
			if err == nil && !slices.ContainsFunc(split, func(p pair) bool { return !utf8.ValidString(p.key) }) {
				t.Fatalf("%x is split, and does not decode: %v", encoded, other)
			}
			return
		}
		if err != nil && !errors.Is(err, errKey) {
			t.Fatalf("%x decodes, and is not split: %v", encoded, err)
		}
		if err == nil && len(split) != len(want) {
			t.Fatalf("%x: %d pairs, want %d", encoded, len(split), len(want))
		}
		for _, p := range split {
			if !bytes.Equal(want[p.key], p.value) {
				t.Fatalf("%x: the value of %q is %x, want %x", encoded, p.key, p.value, want[p.key])
			}
		}
	})
}

func BenchmarkPairs(b *testing.B) {
	body, err := Marshal(&TLSResponse{State: TLSHandshaking, Output: make([]byte, 300)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pairsOf(body); err != nil {
			b.Fatal(err)
		}
	}
}

// Law: no message makes Parse panic.
func FuzzParseNeverPanics(f *testing.F) {
	for _, v := range vectors(f, "re*") {
		f.Add(v.message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, empty := range writableBodies {
			_, _ = Parse(message, empty())
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	stream := AppendFrame([]byte("console text\n"), make([]byte, 380))
	d := NewDecoder(2048, func([]byte) {}, func([]byte) {}, func(error) {})
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		d.Write(stream)
	}
}
