package html

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"hallmark/fixtures/prerequisite"
)

func TestTheReportNeedsNothingFromElsewhere(t *testing.T) {
	page := shift().write(t, "en")
	for _, never := range []string{"<script", "<link", "<img", "<iframe", "@import", "@font-face", " src=", " style=", " on"} {
		if strings.Contains(strings.ReplaceAll(strings.ToLower(regexp.MustCompile(`>[^<]*<`).ReplaceAllString(page, "><")), "=\"http://www.w3.org/2000/svg\"", ""), never) {
			t.Errorf("the report has %q", never)
		}
	}
	for _, address := range regexp.MustCompile(`(?:href|url|http)[^>\s]*`).FindAllString(page, -1) {
		if !strings.HasPrefix(address, `href="#`) && !strings.HasPrefix(address, "url(#") && address != `http://www.w3.org/2000/svg"` && address != `http-equiv="Content-Security-Policy"` {
			t.Errorf("the report has the address %q", address)
		}
	}
}

func TestAScreenReaderFindsItsWay(t *testing.T) {
	for _, language := range Languages() {
		page := shift().write(t, language)
		if !strings.Contains(page, `<html lang="`+language+`">`) {
			t.Error("the page does not say its language")
		}
		level := 0
		for _, h := range regexp.MustCompile(`<h([1-6])`).FindAllStringSubmatch(page, -1) {
			next := int(h[1][0] - '0')
			if next > level+1 {
				t.Errorf("a heading of level %d follows one of level %d", next, level)
			}
			level = next
		}
		if bare := regexp.MustCompile(`<th(?: class="[^"]*")?>`).FindString(page); bare != "" {
			t.Errorf("the header %s has no scope", bare)
		}
		for _, svg := range regexp.MustCompile(`(?s)<svg [^>]*>\s*<\w+`).FindAllString(page, -1) {
			if !strings.Contains(svg, `aria-hidden="true"`) && !(strings.Contains(svg, `role="img"`) && strings.HasSuffix(svg, "<title")) {
				t.Errorf("a picture without a title: %s", svg)
			}
		}
		ids := map[string]bool{}
		for _, id := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if ids[id[1]] {
				t.Errorf("the id %q is there twice", id[1])
			}
			ids[id[1]] = true
		}
		for _, to := range regexp.MustCompile(`(?:href="#|aria-labelledby="|aria-describedby="|url\(#)([^")]*)`).FindAllStringSubmatch(page, -1) {
			if !ids[to[1]] {
				t.Errorf("%s leads nowhere", to[0])
			}
		}
	}
}

func TestAValidatorHasNoWarning(t *testing.T) {
	tidy := prerequisite.Program(t, "tidy", "tidy")
	pages := map[string]string{"hostile": attack(hostile[0]).write(t, "en"), "empty": (&record{}).write(t, "en"), "bare": bare().write(t, "en")}
	for _, language := range Languages() {
		pages[language] = shift().write(t, language)
	}
	for name, page := range pages {
		cmd := exec.Command(tidy, "-quiet", "-errors", "-utf8")
		cmd.Stdin = strings.NewReader(page)
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}

func TestEachLanguageHasEachText(t *testing.T) {
	verbs := regexp.MustCompile(`%[a-z]`)
	used := regexp.MustCompile(`\bt "([a-z0-9.]+)"`)
	for _, language := range Languages() {
		for key, english := range languages["en"]().byKey {
			text, ok := languages[language]().byKey[key]
			if !ok || len(verbs.FindAllString(text, -1)) != len(verbs.FindAllString(english, -1)) {
				t.Errorf("%s: %s is missing, or has other verbs", language, key)
			}
		}
		for key := range languages[language]().byKey {
			if _, ok := languages["en"]().byKey[key]; !ok {
				t.Errorf("%s: nobody knows %s", language, key)
			}
		}
		for _, key := range used.FindAllStringSubmatch(file("report.html.tmpl"), -1) {
			if _, ok := languages[language]().byKey[key[1]]; !ok {
				t.Errorf("%s: the page uses %s, which is missing", language, key[1])
			}
		}
	}
	if _, err := New(Options{Language: "xx"}); !errors.Is(err, ErrLanguage) {
		t.Errorf("a language that is not there: %v", err)
	}
}

// A report in German says German words for steps and for the HSM, and each table has a caption.
func TestAReportHasItsLanguageAndItsCaptions(t *testing.T) {
	for language, words := range map[string][]string{"de": {"Signieren", "Modell", "Seriennummer"}, "en": {"sign", "model", "serial number"}} {
		content, err := os.ReadFile("testdata/report." + language + ".html")
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if !strings.Contains(string(content), ">"+word+"<") {
				t.Errorf("%s: %q is not in the report", language, word)
			}
		}
		for _, table := range regexp.MustCompile(`<table[^>]*>\n[^\n]*`).FindAllString(string(content), -1) {
			if !strings.Contains(table, "<caption>") {
				t.Errorf("%s: a table has no caption: %s", language, table)
			}
		}
	}
}
