package label

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

const board = "11176ef9-1c2d-5f3a-9b4e-0123456789ab"

func reader(t *testing.T, patterns ...string) *Reader {
	t.Helper()
	r := NewReader()
	for _, text := range patterns {
		p, err := ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		r.Patterns = append(r.Patterns, p)
	}
	return r
}

func TestWhatALabelIs(t *testing.T) {
	plain := strings.ReplaceAll(board, "-", "")
	patterns := []string{`[0-9A-Fa-f]{8}(?P<board>[0-9a-fA-F]{32})`, `(?P<board>[0-9a-fA-F]{32})`, `https://example\.com/d/(?P<board>[0-9a-fA-F-]{36})`,
		`\{.*"id":"(?P<board>[0-9a-fA-F-]{36})".*\}`, `01\d{14}21(?P<board>[0-9A-Fa-f]{32})(?:\x1d.*)?`, `SN(?P<serial>[0-9a-f]{16,40})`, `PO(?P<order>\d+)`}
	for _, tt := range []struct {
		name, text string
		want       Label
	}{
		{"a badge", "OP-17", Label{Kind: Badge, Text: "OP-17"}},
		{"a work order", "WO-4711", Label{Kind: Order, Text: "WO-4711"}},
		{"a bay", "BAY-3", Label{Kind: Bay, Text: "3"}},
		{"a BoardID with dashes", board, Label{Kind: Board, Text: board}},
		{"a BoardID of 32 digits", plain, Label{Kind: Board, Text: board}},
		{"a BoardID in upper case", strings.ToUpper(plain), Label{Kind: Board, Text: board}},
		{"a URL", "https://example.com/d/" + board, Label{Kind: Board, Text: board}},
		{"JSON", `{"v":1,"id":"` + board + `","lot":"7"}`, Label{Kind: Board, Text: board}},
		{"GS1 with its identifier", "]d20104012345678901" + "21" + plain + "\x1d10LOT7", Label{Kind: Board, Text: board}},
		{"a serial number", "SN4f12aa00112233445566778899aabbcc", Label{Kind: Serial, Text: "4f12aa00112233445566778899aabbcc"}},
		{"a work order by pattern", "PO77", Label{Kind: Order, Text: "77"}},
		{"STX in front and ETX behind", "\x02OP-17\x03", Label{Kind: Badge, Text: "OP-17"}},
		{"an AIM identifier", "]C1OP-17", Label{Kind: Badge, Text: "OP-17"}},
		{"caps lock", "op-A17", Label{Kind: Badge, Text: "OP-a17", CapsLock: true}},
		{"typed in another case", "Op-17", Label{Kind: Badge, Text: "OP-17"}},
		{"some other label", "4006381333931", Label{Text: "4006381333931"}},
		{"a control octet inside", "OP-\x1d17", Label{Text: "OP-\x1d17"}},
		{"a pattern that fits a part only", "xPO77", Label{Text: "xPO77"}},
		{"a board's pattern with other text", "https://example.com/d/" + strings.Repeat("-", 36), Label{Text: "https://example.com/d/" + strings.Repeat("-", 36)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reader(t, patterns...).Read(tt.text); got != tt.want {
				t.Errorf("%q is %+v, want %+v", tt.text, got, tt.want)
			}
		})
	}
}

func TestAPrefixOfTheScannerIsTakenAwayAndDemanded(t *testing.T) {
	r := NewReader()
	r.Before, r.After = "~~", "#"
	for text, want := range map[string]Label{
		"~~OP-17#": {Kind: Badge, Text: "OP-17"}, "~~OP-17": {Kind: Badge, Text: "OP-17"}, "h~~OP-17#": {Kind: Badge, Text: "OP-17"},
		"OP-17": {Kind: Badge, Text: "OP-17", NoPrefix: true}, "~~77": {Text: "77"},
	} {
		if got := r.Read(text); got != want || got.Readable() != (want.Kind != Unknown && !want.NoPrefix) {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

// The prefix may also be a character of the label. The first place begins the scan.
func TestThePrefixInsideOfALabelBelongsToTheLabel(t *testing.T) {
	for _, tt := range []struct {
		before, text string
		want         Label
	}{
		{"~", "~SHOP~OP-18", Label{Text: "SHOP~OP-18"}},
		{"~", "h~OP-18", Label{Kind: Badge, Text: "OP-18"}},
		{"\x1d", "\x1d010401234567890121" + strings.ReplaceAll(board, "-", "") + "\x1d10LOT7", Label{Kind: Board, Text: board}},
	} {
		r := reader(t, `01\d{14}21(?P<board>[0-9a-fA-F]{32})(?:\x1d.*)?`)
		r.Before = tt.before
		if got := r.Read(tt.text); got != tt.want {
			t.Errorf("%q is %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

// typedOn gives what a computer with one keyboard makes of the keys that a scanner with another presses.
func typedOn(t *testing.T, text, scanner, computer string) string {
	t.Helper()
	places := map[string][]rune{}
	for _, k := range keyboards {
		places[k.country] = []rune(k.characters)
	}
	return strings.Map(func(r rune) rune {
		for i, meant := range places[scanner] {
			if meant == r {
				return places[computer][i]
			}
		}
		return r
	}, text)
}

func TestAWrongLayoutIsNamed(t *testing.T) {
	for _, tt := range []struct{ scanner, computer, text, came, meant string }{
		{"us", "de", board, "ß", "-"}, {"us", "fr", board, ")", "-"}, {"de", "us", board, "/", "-"}, {"us", "de", "OP-17y", "ß", "-"},
		{"us", "de", "WO-zy", "ß", "-"}, {"us", "es", board, "'", "-"}, {"gb", "de", "]C1OP-17", "", ""},
	} {
		t.Run(tt.scanner+" on "+tt.computer+" "+tt.text, func(t *testing.T) {
			got := NewReader().Read(typedOn(t, tt.text, tt.scanner, tt.computer))
			switch {
			case got.Layout == nil || got.Readable():
				t.Fatalf("not named: %+v", got)
			case tt.came != "" && (got.Layout.Came != tt.came || got.Layout.For != tt.meant):
				t.Errorf("%q for %q, want %q for %q", got.Layout.Came, got.Layout.For, tt.came, tt.meant)
			case tt.scanner == "us" && (got.Layout.Scanner != tt.scanner || got.Layout.Computer != tt.computer):
				t.Errorf("a %s scanner on a %s computer", got.Layout.Scanner, got.Layout.Computer)
			}
		})
	}
}

func TestKeyboardsHaveTheSameKeys(t *testing.T) {
	for _, k := range keyboards {
		if got, want := utf8.RuneCountInString(k.characters), utf8.RuneCountInString(keyboards[0].characters); got != want {
			t.Errorf("%s has %d characters, want %d", k.country, got, want)
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for text, want := range map[string]error{
		`(`: ErrExpression, `a)(?P<board>b`: ErrExpression, `[0-9a-f]{32}`: ErrGroup, `(?P<device>.+)`: ErrGroup, `(?P<board>.)(?P<order>.)`: ErrGroup,
		`(?P<board>.*)`: ErrEmpty, `(?P<board>` + strings.Repeat("a", MaxPattern) + `)`: ErrLong,
	} {
		if _, err := ParsePattern(text); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", text, err, want)
		}
	}
}

func TestALabelIsNotTakenForAPIN(t *testing.T) {
	r := reader(t, `(?P<serial>\d{8})`, `(?P<board>[0-9a-f]{32})`)
	r.Before = "~"
	for text, label := range map[string]bool{
		"OP-17": true, "op-17": true, "WO-4711": true, "BAY-1": true, "OP-": true, board: true, strings.ToUpper(board): true, "~1": true,
		strings.Repeat("0a", 16): true, "": false, "1234": false, "OP": false, "xOP-17": false, "größe": false, board[1:]: false, "12345678": false,
	} {
		if got := r.IsLabel([]rune(text)); got != label {
			t.Errorf("%q is a label: %t", text, got)
		}
	}
}

// What is read as a label does not depend on the frame that a scanner puts around the label.
func FuzzReadIgnoresTheFrame(f *testing.F) {
	for _, text := range []string{"OP-17", board, "WO-4711", "77", "]C1x", "\x02"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := NewReader()
		plain, framed := r.Read(text), r.Read("\x02"+text+"\x03")
		if plain.Kind != framed.Kind || plain.Text != framed.Text {
			t.Errorf("%q is %+v, and with STX and ETX %+v", text, plain, framed)
		}
	})
}
