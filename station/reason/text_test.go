package reason

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestTextsThatAPersonTyped(t *testing.T) {
	for _, test := range []struct {
		name, text string
		good       bool
	}{
		{"a work order", "WO-4711", true},
		{"a reason with an umlaut", "Flash ersetzt, Lötstelle 3", true},
		{"a text in another script", "заказ 12", true},
		{"the longest text", strings.Repeat("a", maxText), true},
		{"nothing", "", false},
		{"a space", " ", false},
		{"only signs", "---", false},
		{"a space at the end", "WO-1 ", false},
		{"a new line", "WO-1\nWO-2", false},
		{"a tabulator", "WO\t1", false},
		{"an escape sequence", "WO-1\x1b[2J", false},
		{"a control character of ISO 8859", "WO-1\u009b2J", false},
		{"a change of direction", "WO-\u202e1", false},
		{"a space without width", "WO-\u200b1", false},
		{"a space that does not break", "WO-\u00a01", false},
		{"a letter without a shape", "\u3164", false},
		{"a letter without a shape in a word", "WO\u3164-1", false},
		{"a line separator", "WO\u2028-1", false},
		{"octets that are not UTF-8", "WO-\xff", false},
		{"a text that is too long", strings.Repeat("a", maxText+1), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckText(test.text)
			if (err == nil) != test.good || err != nil && !errors.Is(err, errText) {
				t.Errorf("%q: %v", test.text, err)
			}
			if err != nil && err.Error() != Printable(err.Error()) {
				t.Errorf("the refusal repeats the text raw: %q", err)
			}
		})
	}
}

func TestASentenceLeavesTheDetailsToTheLog(t *testing.T) {
	deep := fmt.Errorf("identify: admitting the board: %w: known on 00ff\x1b[2J", errors.Join(errText, New("quota", "work order is complete")))
	if got := Sentence(deep); got != "work order is complete" {
		t.Errorf("got %q", got)
	}
	if got := Sentence(errors.New("first\nsecond\x1b[2J")); got != "first; second?[2J" {
		t.Errorf("an error without a sentinel: %q", got)
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"0 entries": Count(0, "entry", "entries"), "1 entry": Count(int64(1), "entry", "entries"), "2 entries": Count(2, "entry", "entries"),
		"11 entries": Count(11, "entry", "entries"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
