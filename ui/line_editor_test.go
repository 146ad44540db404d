package ui

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/fixtures/pty"
	"hallmark/station/operate"
)

// A typist types into the lines of --plain. The time goes on by 5 ms for each octet.
func typist(t *testing.T) (types func(text string), waits func(time.Duration), took func() []Entered, shown *strings.Builder) {
	t.Helper()
	now, all := at(0), []Entered(nil)
	shown = new(strings.Builder)
	line := &lineEditor{echo: shown, send: func(e Entered) { all = append(all, e) }}
	types = func(text string) {
		for i := range len(text) {
			now = now.Add(5 * time.Millisecond)
			line.take(piece{[]byte{text[i]}, now})
		}
	}
	waits = func(d time.Duration) {
		if now = now.Add(d); line.goHeld && d >= slow {
			line.goes()
		}
	}
	took = func() []Entered { defer func() { all = nil }(); return all }
	return types, waits, took, shown
}

func TestEachFrameOfAScanEndsALineAtATerminal(t *testing.T) {
	for _, suffix := range suffixes {
		for _, prefix := range prefixes {
			types, waits, took, _ := typist(t)
			types(prefix + "OP-2" + suffix)
			waits(time.Minute)
			types("3\r")
			want := []Entered{{Text: strings.TrimSpace(prefix + "OP-2" + strings.TrimRight(suffix, "\r\n\t\x03\x04"))}, {Text: "3"}}
			if got := took(); !slices.Equal(got, want) {
				t.Errorf("prefix %q, suffix %q: %+v, want %+v", prefix, suffix, got, want)
			}
		}
	}
}

func TestTheConfiguredSuffixEndsALineAtATerminal(t *testing.T) {
	for _, suffix := range []string{"#", "\x1e", "##"} {
		var got []Entered
		line := &lineEditor{echo: io.Discard, suffix: suffix, send: func(e Entered) { got = append(got, e) }}
		for i, text := range []string{"OP-2" + suffix, "WO-1" + suffix + "\r", "3\r", "SHOP" + suffix + "OP-18" + suffix + "\r4\r"} {
			line.take(piece{[]byte(text), at(float64(i))})
		}
		if want := []Entered{{Text: "OP-2"}, {Text: "WO-1"}, {Text: "3"}, {Text: "SHOP"}, {Text: "4"}}; !slices.Equal(got, want) {
			t.Errorf("suffix %q: %+v, want %+v", suffix, got, want)
		}
	}
}

// The kernel would take these octets of a label as keys.
func TestOctetsOfALabelAreNoKeysOfATerminal(t *testing.T) {
	types, waits, took, _ := typist(t)
	types("a\x1cb\x15c\x17d\x16e\x12f\x1ag\x13h\r")
	if got := took(); len(got) != 1 || got[0].Text != "a\x1cb\x15c\x17d\x16e\x12f\x1ag\x13h" {
		t.Errorf("%+v", got)
	}
	waits(time.Minute)
	for _, key := range []string{"\x03", "\x04"} { // Ctrl-C and Ctrl-D without a line ask, as "quit" does
		waits(time.Minute)
		types(key)
		if got := took(); len(got) != 1 || got[0].Text != operate.WordQuit {
			t.Errorf("%q: %+v", key, got)
		}
	}
}

func TestTheGoKeyAtATerminalComesAlone(t *testing.T) {
	types, waits, took, _ := typist(t)
	for _, test := range []struct {
		name   string
		before string
		after  string
		want   []Entered
	}{
		{"alone", "", "", []Entered{{Go: true}}},
		{"right behind a line", "3\r", "", []Entered{{Text: "3"}, {Behind: true}}},
		{"in a line", "3", "", []Entered{{Behind: true}}},
		{"in front of a label", "", "OP-2\r3\r", []Entered{{Behind: true}, {Text: "3"}}},
		{"inside a label", "SHOP", "OP-18\r3\r", []Entered{{Behind: true}, {Text: "3"}}},
		{"twice", "", "\a", []Entered{{Behind: true}}},
	} {
		waits(time.Minute)
		types(test.before + "\a" + test.after)
		waits(time.Minute)
		if got := took(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// A station that is busy with a line takes the octets of a label later. It knows when they were read.
func TestPiecesHaveTheTimeOfTheirRead(t *testing.T) {
	const label = "3\r\a"
	read := make(chan piece, len(label))
	if err := readPieces(t.Context(), iotest.OneByteReader(strings.NewReader(label)), read); err != nil { // nobody takes them yet
		t.Fatal(err)
	}
	close(read)
	ended := time.Now()
	var got []Entered
	line := &lineEditor{echo: io.Discard, send: func(e Entered) { got = append(got, e) }}
	for p := range read {
		if p.at.IsZero() || p.at.After(ended) {
			t.Errorf("%q was read at %v", p.octets, p.at)
		}
		line.take(p)
	}
	if want := []Entered{{Text: "3"}, {Behind: true}}; !slices.Equal(got, want) || line.goHeld {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestALineAtATerminalIsShownAndMended(t *testing.T) {
	types, _, took, shown := typist(t)
	types("stäp\x7f\bop 2\r\x7f" + strings.Repeat("x", 3*longestInput) + "\r")
	got := took()
	if len(got) != 2 || got[0].Text != "stop 2" || len(got[1].Text) != longestInput {
		t.Errorf("%+v", got)
	}
	if !strings.HasPrefix(shown.String(), "stäp\b \b\b \bop 2\n") {
		t.Errorf("shown %.40q", shown.String())
	}
}

// On a real terminal ETX, FS, EOT and SUB of a label send no signal and end no input, and the terminal is as before afterwards.
func TestLinesOfARealTerminal(t *testing.T) {
	outer, inner, err := pty.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	defer inner.Close()
	before, err := unix.IoctlGetTermios(int(inner.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	entered, over := make(chan Entered), make(chan error, 1)
	go func() { over <- ReadLines(ctx, inner, Typing{Echo: io.Discard}, entered) }()
	types := func(text string) {
		if _, err := outer.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	types("\a") // when it comes, the terminal is taken
	if got := <-entered; !got.Go {
		t.Fatalf("%+v", got)
	}
	for typed, want := range map[string]string{"OP-2\x04": "OP-2", "OP-3\x03": "OP-3", "a\x1cb\x1ac\r": "a\x1cb\x1ac", "a\x13b\r": "a\x13b"} {
		types(typed)
		if got := <-entered; got.Text != want {
			t.Errorf("%q gives %+v", typed, got)
		}
	}
	if taken, err := unix.IoctlGetTermios(int(inner.Fd()), unix.TCGETS); err != nil || taken.Iflag&(unix.IXON|unix.BRKINT) != 0 {
		t.Errorf("a label can stop the output or break: %+v, %v", taken, err)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if after, err := unix.IoctlGetTermios(int(inner.Fd()), unix.TCGETS); err != nil || *after != *before {
		t.Errorf("the terminal is %+v afterwards, %v; want %+v", after, err, before)
	}
}
