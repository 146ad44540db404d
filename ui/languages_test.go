package ui

import (
	"strings"
	"testing"
	"time"

	"hallmark/ui/catalogue"
)

// A language is a file of the catalogue and nothing else: the large words have glyphs and fit a tile, and a terminal
// without UTF-8 shows each character of the texts in ASCII.
func TestALanguageNeedsAFileOnly(t *testing.T) {
	for _, language := range catalogue.Languages() {
		texts := load(t, language)
		for _, key := range []string{"ending.pass", "ending.reject", "ending.fault", "tile.stop"} {
			word := texts.Text(key)
			if letters := len([]rune(word)); letters > 6 {
				t.Errorf("%s: %s = %q has %d letters, want 6 at most", language, key, word, letters)
			}
			for _, letter := range strings.ToUpper(word) {
				if glyphs(letter) == "" {
					t.Errorf("%s: %s = %q: the large font has no %c", language, key, word, letter)
				}
			}
		}
		for _, key := range texts.Keys() {
			for _, r := range texts.Text(key) {
				if r > 0x7e && plainRune(r) == "?" {
					t.Errorf("%s: %s: a terminal without UTF-8 shows ? for %c", language, key, r)
				}
			}
		}
	}
}

func TestNumbersHaveTheDecimalMarkOfTheLanguage(t *testing.T) {
	for language, want := range map[string]string{"en": "86.7 s", "de": "86,7 s", "es": "86,7 s"} {
		d := drive(t, 1, 80, 24, language)
		if got := d.seconds(86700 * time.Millisecond); got != want {
			t.Errorf("%s: got %q, want %q", language, got, want)
		}
	}
}
