package html

import (
	"embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed en.txt de.txt report.html.tmpl style.css
var files embed.FS

// texts are the texts of one language. A text is a line "key = text" of its file, with the verbs
// of package fmt.
type texts struct {
	language  string
	thousands string
	point     string
	byKey     map[string]string
	parsed    *template.Template
}

// languages are read when the first report needs them, because most commands write no report. A mistake in the files is a
// mistake in the program.
var languages = map[string]func() texts{
	"en": sync.OnceValue(func() texts { return load("en", ",", ".") }),
	"de": sync.OnceValue(func() texts { return load("de", ".", ",") }),
}

// Languages gives the languages of reports.
func Languages() []string { return slices.Sorted(maps.Keys(languages)) }

func load(language, thousands, point string) texts {
	t := texts{language: language, thousands: thousands, point: point, byKey: map[string]string{}}
	for line := range strings.Lines(file(language + ".txt")) {
		if key, text, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && !strings.HasPrefix(key, "#") {
			t.byKey[key] = text
		}
	}
	style := template.CSS(file("style.css"))
	t.parsed = template.Must(template.New("report").Funcs(template.FuncMap{
		"t": t.text, "n": t.count, "percent": t.percent, "style": func() template.CSS { return style },
		"format": func() int { return format },
	}).Parse(file("report.html.tmpl")))
	return t
}

func file(name string) string {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // the file is part of the program
	}
	return string(content)
}

func (t texts) template() *template.Template { return t.parsed }

// text gives a text. A key without a text shows itself; a test finds such keys.
func (t texts) text(key string, args ...any) string {
	text, ok := t.byKey[key]
	switch {
	case !ok:
		return key
	case len(args) == 0:
		return text
	}
	return fmt.Sprintf(text, args...)
}

// word gives the text of a word that entries use, or the word itself.
func (t texts) word(family, word string) string {
	if text, ok := t.byKey[family+"."+word]; ok {
		return text
	}
	return word
}

// number writes a number with a mark between thousands.
func (t texts) number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "\u2212", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + t.thousands + digits[i:]
	}
	return sign + digits
}

// count is number for the integers of a template.
func (t texts) count(n any) string {
	switch n := n.(type) {
	case int:
		return t.number(int64(n))
	case int64:
		return t.number(n)
	}
	return fmt.Sprint(n)
}

// percent gives a share with one digit after the point, or a dash for a share of nothing.
func (t texts) percent(part, whole int) string {
	if whole == 0 {
		return "\u2013"
	}
	return strings.Replace(fmt.Sprintf("%.1f", 100*float64(part)/float64(whole)), ".", t.point, 1) + "\u00a0%"
}

// milliseconds gives a time of whole microseconds.
func (t texts) milliseconds(us float64) string {
	return strings.Replace(fmt.Sprintf("%.1f", us/1000), ".", t.point, 1) + "\u00a0ms"
}
