package ui

import (
	"strings"
	"testing"
	"time"

	"hallmark/station/label"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/ui/catalogue"
)

// A language is a file of the catalogue and nothing else: the large words have glyphs and fit a tile, and a terminal
// without UTF-8 shows each character of the texts in ASCII.
func TestALanguageNeedsAFileOnly(t *testing.T) {
	for _, language := range catalogue.Languages() {
		texts := load(t, language)
		for _, key := range []string{"ending.pass", "ending.reject", "ending.fault", "tile.stop", "tile.label"} {
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

// Each refusal of a typed line is in the language of the session, and names what was typed.
func TestPlainLinesRefuseInTheLanguageOfTheSession(t *testing.T) {
	for language, wants := range map[string][]string{
		"en": {`"nonsense": want a bay's number`, "sign in first", "Wrong keyboard"},
		"de": {`"nonsense": erwartet wird die Nummer`, "erst anmelden", "Falsche Tastatur", "HSM ist weg: Die Verbindung zum HSM ging verloren", "HSM ist wieder da"},
		"es": {`"nonsense": se espera el número`, "entrar antes", "Otro teclado"},
	} {
		texts, err := catalogue.Load(language)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		p := NewPlain(&b, texts, []string{"1"}, false, false)
		for _, err := range []error{&operate.CommandError{Text: "nonsense"}, operate.ErrSignInFirst,
			&operate.LayoutError{Layout: &label.Layout{Came: "ß", For: "-", Scanner: "us", Computer: "de"}}} {
			if err := p.Refuse(err); err != nil {
				t.Fatal(err)
			}
		}
		p.Paused(reason.New("session-lost", "session lost"))
		p.Paused(nil)
		for _, want := range wants {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", language, want, b.String())
			}
		}
	}
}
