// Package catalogue holds every text that an operator reads, one file for each
// language. Adding a file NAME.txt adds the language NAME.
//
// A file has one text a line, "key = text"; a line that begins with # is a
// comment. Texts may hold the verbs of package fmt; a language has the keys and,
// for each key, the verbs of English, in any order that the explicit indexes
// %[1]s allow. A text that counts has a second text for the number 1, with ".one" behind the
// key. Load refuses a file in which a key is missing, unknown or given twice.
package catalogue

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed *.txt
var files embed.FS

// Reference is the language whose keys the others must have.
const Reference = "en"

// forOne ends the key of a text that counts one thing.
const forOne = ".one"

// Refusals of Load.
var (
	ErrUnknownLanguage = errors.New("no texts in this language")
	ErrSyntax          = errors.New("want \"key = text\" of printable characters in UTF-8")
	ErrKeyTwice        = errors.New("key given twice")
	ErrKeyMissing      = errors.New("key missing")
	ErrKeyUnknown      = errors.New("key unknown: English does not have it")
	ErrVerbs           = errors.New("text has other verbs than the English one")
)

// A Catalogue gives the texts of one language. It is never changed and safe for concurrent use.
type Catalogue struct {
	language string
	texts    map[string]string
}

// Languages names the languages there are, sorted.
func Languages() []string {
	names, err := fs.Glob(files, "*.txt")
	if err != nil {
		return nil // the pattern is constant and good
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".txt")
	}
	return names
}

// Pick finds the language for a locale such as "de_DE.UTF-8"; what is not there is English.
func Pick(locale string) string {
	language, _, _ := strings.Cut(strings.ToLower(locale), "_")
	language, _, _ = strings.Cut(language, ".")
	if slices.Contains(Languages(), language) {
		return language
	}
	return Reference
}

// FromEnvironment finds the language of the locale (locale(7): LC_ALL comes before LC_MESSAGES and LANG).
func FromEnvironment(getenv func(string) string) string {
	return Pick(cmp.Or(getenv("LC_ALL"), getenv("LC_MESSAGES"), getenv("LANG")))
}

// Load reads one language and compares it with English. The files are part of the program, so each is read once.
func Load(language string) (*Catalogue, error) {
	once, ok := loaded[language]
	if !ok {
		return nil, fmt.Errorf("language %q: %w (want one of %s)", language, ErrUnknownLanguage, strings.Join(Languages(), ", "))
	}
	return once()
}

// loaded has a function for each language, which does its work at the first call.
var loaded = func() map[string]func() (*Catalogue, error) {
	all := map[string]func() (*Catalogue, error){}
	for _, language := range Languages() {
		all[language] = sync.OnceValues(func() (*Catalogue, error) { return load(language) })
	}
	return all
}()

func load(language string) (*Catalogue, error) {
	texts, err := read(language)
	if err != nil {
		return nil, err
	}
	reference, err := read(Reference)
	if err != nil {
		return nil, err
	}
	if err := compare(reference, texts); err != nil {
		return nil, fmt.Errorf("texts of %q: %w", language, err)
	}
	return &Catalogue{language: language, texts: texts}, nil
}

// Language gives the name Load was called with.
func (c *Catalogue) Language() string { return c.language }

// Has reports whether there is a text for this key.
func (c *Catalogue) Has(key string) bool { _, ok := c.texts[key]; return ok }

// Keys gives all keys, sorted.
func (c *Catalogue) Keys() []string { return slices.Sorted(maps.Keys(c.texts)) }

// Text gives the text with its verbs filled in. A key without a text gives
// the key itself: a screen with a strange word is better than none. If the first argument is
// the number 1, Text takes the text for one, if there is one.
func (c *Catalogue) Text(key string, args ...any) string {
	text, ok := c.texts[key]
	if len(args) > 0 && args[0] == 1 && c.Has(key+forOne) {
		text = c.texts[key+forOne]
	}
	if !ok {
		return key
	}
	if len(args) == 0 || !strings.Contains(text, "%") {
		return text
	}
	return fmt.Sprintf(text, args...)
}

func read(language string) (map[string]string, error) {
	raw, err := files.ReadFile(language + ".txt")
	if err != nil {
		return nil, fmt.Errorf("reading the texts of %q: %w", language, err)
	}
	texts, err := parse(string(raw))
	if err != nil {
		return nil, fmt.Errorf("texts of %q: %w", language, err)
	}
	return texts, nil
}

func parse(raw string) (map[string]string, error) {
	texts := map[string]string{}
	for i, line := range strings.Split(raw, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, text, found := strings.Cut(line, " = ")
		if !found || key == "" || text == "" || strings.ContainsAny(key, " \t") || strings.ContainsFunc(text, unprintable) {
			return nil, fmt.Errorf("line %d: %w", i+1, ErrSyntax)
		}
		if _, twice := texts[key]; twice {
			return nil, fmt.Errorf("line %d: %s: %w", i+1, key, ErrKeyTwice)
		}
		texts[key] = text
	}
	return texts, nil
}

// unprintable is true for what a terminal would not show as it stands: control characters, changes of direction, octets that are
// not UTF-8.
func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

func compare(reference, texts map[string]string) error {
	var wrong []error
	for _, key := range slices.Sorted(maps.Keys(reference)) {
		text, ok := texts[key]
		if !ok {
			wrong = append(wrong, fmt.Errorf("%s: %w", key, ErrKeyMissing))
		} else if !slices.Equal(verbs(text), verbs(reference[key])) {
			wrong = append(wrong, fmt.Errorf("%s: %w", key, ErrVerbs))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		if _, ok := reference[key]; !ok {
			wrong = append(wrong, fmt.Errorf("%s: %w", key, ErrKeyUnknown))
		}
	}
	return errors.Join(wrong...)
}

// verb has anything behind a percent sign, so that a sign that begins no verb, as in "10 % of", differs from the English text.
var verb = regexp.MustCompile(`%(?:\[(\d+)\])?(.?)`)

// verbs gives the verbs of a text with the index of the argument they take, sorted.
func verbs(text string) []string {
	var found []string
	if !strings.Contains(text, "%") {
		return nil // most texts: an expression costs much more than a look
	}
	for i, match := range verb.FindAllStringSubmatch(text, -1) {
		index := match[1]
		if index == "" {
			index = fmt.Sprint(i + 1)
		}
		found = append(found, index+match[2])
	}
	slices.Sort(found)
	return found
}
