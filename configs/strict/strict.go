// Package strict reads one YAML document into a struct. An unknown or duplicate key, a PIN, or a value of another form is an error
// that names the line, the expected value and the next action.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Errors of a configuration file. Each error names the file, the line and what to write instead.
var (
	ErrUnknownKey   = errors.New("unknown key")
	ErrDuplicateKey = errors.New("duplicate key")
	ErrSecret       = errors.New("a PIN does not belong in a configuration")
	ErrSyntax       = errors.New("not the YAML that is expected")
	ErrValue        = errors.New("value not possible")
)

// A Keyed error is about the value of one key.
type Keyed interface {
	error
	ConfigKey() string // dotted form
}

// Decode reads exactly one YAML document into the struct that into points to. The
// values in the struct are the defaults. No error repeats a value of the file, so that
// a PIN in the wrong place does not get into a log. The error has all mistakes of the file, in their order.
func Decode(name string, text []byte, into any) error {
	found, err := Read(name, text, into)
	if err != nil {
		return err
	}
	return found.Err()
}

// Read reads as Decode does. An error is one that keeps the rest of the file from being read. A value with a mistake is among the
// mistakes of the File, and keeps its default.
func Read(name string, text []byte, into any) (*File, error) {
	file, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	if err := refuseSecrets(name, file); err != nil {
		return nil, err // alone, because other errors could repeat a PIN
	}
	bodies := documents(file)
	if n := len(bodies); n != 1 {
		return nil, fmt.Errorf("%s: %w: %s, want one", name, ErrSyntax, reason.Count(n, "document", "documents"))
	}
	found := newFile(name, into)
	body := found.shape("", bodies[0], reflect.TypeOf(into))
	err = yaml.NodeToValue(body, into, yaml.Strict())
	if err != nil && len(found.errs) == 0 {
		return nil, refuse(name, err)
	}
	return found, nil
}

// parse reads a text as YAML, whatever it says.
func parse(name string, text []byte) (*ast.File, error) {
	if len(text) > workdir.MaxFile {
		return nil, fmt.Errorf("%s: %w: more than %d octets", name, ErrSyntax, workdir.MaxFile)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors begin a file with a byte order mark
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s: %w: it is not UTF-8; save it as UTF-8", name, ErrSyntax)
	}
	if deepest(text) > maxDepth {
		return nil, fmt.Errorf("%s: %w: brackets or braces nest more than %d deep; close each of them", name, ErrSyntax, maxDepth)
	}
	if tags(text) > maxTags {
		return nil, fmt.Errorf("%s: %w: more than %d tags; leave out each word that begins with an exclamation mark", name, ErrSyntax, maxTags)
	}
	if at := bytes.IndexFunc(text, hides); at >= 0 {
		char, _ := utf8.DecodeRune(text[at:])
		line := 1 + bytes.Count(text[:at], []byte("\n"))
		return nil, fmt.Errorf("%s:%d: %w: the character %U hides what the line says; delete it", name, line, ErrSyntax, char)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, refuse(name, err)
	}
	return file, nil
}

// maxDepth is how deep brackets and braces may nest. The time of the parser grows with the square of the depth: a file of
// 30 KiB that has nothing else would take it minutes.
const maxDepth = 64

// deepest returns how deep brackets and braces nest, also those in texts.
func deepest(text []byte) (most int) {
	depth := 0
	for _, octet := range text {
		switch octet {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(depth-1, 0)
		}
		most = max(most, depth)
	}
	return most
}

// maxTags is how many tags, such as !!str, a file may have. The time of the parser grows with the third power of their number.
const maxTags = 16

// tags counts the exclamation marks at which a tag can begin, also those in texts and comments: behind a letter, a digit or
// another exclamation mark none begins.
func tags(text []byte) (n int) {
	before := rune(' ')
	for _, char := range string(text) {
		if char == '!' && before != '!' && !unicode.IsLetter(before) && !unicode.IsDigit(before) {
			n++
		}
		before = char
	}
	return n
}

// hides reports whether a character has no shape, moves the cursor or changes the direction. With one, even in a comment, the file
// says something else to the person who reviews it.
func hides(char rune) bool {
	switch char {
	case '\t', '\r', '\n':
		return false
	}
	return unicode.In(char, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// documents returns the contents of all documents that hold more than comments.
func documents(file *ast.File) (bodies []ast.Node) {
	for _, document := range file.Docs {
		if document.Body != nil && document.Body.Type() != ast.CommentType {
			bodies = append(bodies, document.Body)
		}
	}
	return bodies
}

// pairs returns the keys and values of a map, and nil for another node.
func pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// fieldOf returns the type of the value behind a key. A type that is neither struct
// nor map is returned as it is; the decoder refuses it.
func fieldOf(t reflect.Type, key string) (reflect.Type, bool) {
	switch t.Kind() {
	case reflect.Map:
		return t.Elem(), true
	case reflect.Struct:
		for i := range t.NumField() {
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name == key {
				return t.Field(i).Type, true
			}
		}
		return nil, false
	}
	return t, true
}

// keyHint returns a hint for an unknown key of a section: another section that has it, or a similar key of this one.
func keyHint(key string, section, into reflect.Type) string {
	if slices.Contains(KeysOf(into), key) {
		return "; it belongs into another section" + sectionHint(into, key)
	}
	return didYouMean(key, ownKeysOf(section))
}

// sectionHint names the section that has a key. The outermost keys have none.
func sectionHint(t reflect.Type, key string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return ""
	}
	for i := range t.NumField() {
		section, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if slices.Contains(KeysOf(t.Field(i).Type), key) {
			return ": write it below " + section
		}
	}
	return ": write it without indentation"
}

// refuse returns the sentinel for an error of the parser or the decoder, without the quoted source.
func refuse(name string, err error) error {
	var positioned yaml.Error
	if !errors.As(err, &positioned) || positioned.GetToken() == nil {
		return fmt.Errorf("%s: %w: not readable as a whole", name, ErrSyntax)
	}
	at, message := positioned.GetToken(), positioned.GetMessage()
	if strings.Contains(message, "already defined") || strings.Contains(message, "duplicate key") { // of the parser, of the decoder
		return fmt.Errorf("%s:%d: %w %q; keep one of them", name, at.Position.Line, ErrDuplicateKey, at.Value)
	}
	return fmt.Errorf("%s:%d: %w: %s; correct this line", name, at.Position.Line, ErrSyntax, withoutValues(message))
}

// withoutValues cuts off the part of the decoder's message that quotes the file.
func withoutValues(message string) string {
	head, _, _ := strings.Cut(message, `"`)
	head, _, _ = strings.Cut(head, "\n")
	return strings.TrimSpace(head)
}

// KeysOf returns every key that the type of into knows, at any depth.
func KeysOf(into reflect.Type) []string {
	var keys []string
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for i := range t.NumField() {
			key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if key != "" && key != "-" {
				keys = append(keys, key)
				walk(t.Field(i).Type)
			}
		}
	}
	walk(into)
	slices.Sort(keys)
	return slices.Compact(keys)
}

// ownKeysOf returns the keys of a struct, without those of the structs in it.
func ownKeysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// didYouMean returns the most similar key, or all keys when none is similar.
func didYouMean(key string, known []string) string {
	if best := nearest(key, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; known keys are " + strings.Join(known, ", ")
}

// nearest returns the most similar key, or "" when none is similar.
func nearest(key string, known []string) string {
	best, least := "", len(key)/3+2
	for _, candidate := range known {
		if d := distance(strings.ToLower(key), candidate); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance returns the number of edits between two words (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
