package catalogue

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestEachLanguageIsComplete(t *testing.T) {
	if len(Languages()) < 2 {
		t.Fatalf("languages %q, want English and German at least", Languages())
	}
	for _, language := range Languages() {
		c, err := Load(language)
		if err != nil {
			t.Fatalf("loading %q: %v", language, err)
		}
		for _, key := range c.Keys() {
			if c.Text(key) == "" {
				t.Errorf("%s: %s is empty", language, key)
			}
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	english := map[string]string{"a": "one %d", "b": "two"}
	for _, tt := range []struct {
		name, raw string
		want      error
	}{
		{"a missing key", "a = eins %d", ErrKeyMissing},
		{"an unknown key", "a = eins %d\nb = zwei\nc = drei", ErrKeyUnknown},
		{"a key twice", "a = eins %d\nb = zwei\nb = drei", ErrKeyTwice},
		{"another verb", "a = eins %s\nb = zwei", ErrVerbs},
		{"a percent sign that begins no verb", "a = eins %d von 100 % fertig\nb = zwei", ErrVerbs},
		{"a percent sign at the end", "a = eins %d %\nb = zwei", ErrVerbs},
		{"a verb that fmt does not know", "a = eins %D\nb = zwei", ErrVerbs},
		{"a lost verb", "a = eins\nb = zwei", ErrVerbs},
		{"no equals sign", "a eins", ErrSyntax},
		{"no text", "a = ", ErrSyntax},
		{"a control character", "a = eins\t%d", ErrSyntax},
		{"octets that are not UTF-8", "a = f\xfcnf %d\nb = zwei", ErrSyntax},
		{"an escape sequence", "a = eins %d\nb = \x1b[2J", ErrSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			texts, err := parse(tt.raw)
			if err == nil {
				err = compare(english, texts)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestOtherOrderOfVerbsIsAllowed(t *testing.T) {
	if err := compare(map[string]string{"a": "%s in %d"}, map[string]string{"a": "%[2]d: %[1]s"}); err != nil {
		t.Error(err)
	}
}

func TestPick(t *testing.T) {
	for locale, want := range map[string]string{"de_DE.UTF-8": "de", "de": "de", "DE_at": "de", "C": "en", "": "en", "C.UTF-8": "en", "fr_FR": "en"} {
		if got := Pick(locale); got != want {
			t.Errorf("Pick(%q) = %q, want %q", locale, got, want)
		}
	}
	if _, err := Load("xx"); !errors.Is(err, ErrUnknownLanguage) {
		t.Errorf("Load(xx): %v", err)
	}
}

// A number with a noun behind it needs a second text for the number 1.
func TestEachTextThatCountsHasATextForOne(t *testing.T) {
	counts := regexp.MustCompile(`%d (?:[a-zäöüß]+ )?[A-ZÄÖÜ]?[a-zäöüß]{3,}`)
	adverbs := regexp.MustCompile(`%d (to go|under way|unterwegs)`)
	for _, language := range Languages() {
		c, err := Load(language)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range c.Keys() {
			text := c.Text(key)
			if base, one := strings.CutSuffix(key, forOne); one {
				if strings.HasPrefix(text, "%d") && !strings.HasPrefix(c.Text(base, 1), "1 ") {
					t.Errorf("%s: %s gives %q for 1", language, base, c.Text(base, 1))
				}
			} else if counts.MatchString(text) && !adverbs.MatchString(text) && !c.Has(key+forOne) {
				t.Errorf("%s: %s = %q has no text for one", language, key, text)
			}
		}
	}
}

func TestTheTextForOneIsTakenForTheNumberOneOnly(t *testing.T) {
	c, err := Load(Reference)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{0: "0 Runs", 1: "1 Run", 2: "2 Runs", 11: "11 Runs"} {
		if got := c.Text("history.count", n); got != want {
			t.Errorf("%d: got %q", n, got)
		}
	}
}

func TestTextWithoutAKeyIsTheKey(t *testing.T) {
	c, err := Load(Reference)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Text("no.such"); got != "no.such" {
		t.Errorf("got %q", got)
	}
	if got := c.Text("next.reject", "7"); got != "Set aside for rework" {
		t.Errorf("a text without verbs got %q", got)
	}
}
