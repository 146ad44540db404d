package configs

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Refusals of a file. Each error says the file, the line and what to write instead.
var (
	ErrUnknownKey   = errors.New("unknown key")
	ErrDuplicateKey = errors.New("duplicate key")
	ErrSecret       = errors.New("a PIN does not belong in a configuration")
	ErrSyntax       = errors.New("not the YAML that is expected")
	ErrValue        = errors.New("value not possible")
)

// maxFile bounds a configuration file, in octets: a wrong path is not read into memory.
const maxFile = 64 << 10

// Decode reads exactly one YAML document into the struct that into points to.
// What into holds already are the defaults. No error repeats a value of the
// file, so that a PIN in the wrong place does not travel into a log.
func Decode(name string, text []byte, into any) error {
	if len(text) > maxFile {
		return fmt.Errorf("%s: %w: %d octets, want at most %d", name, ErrSyntax, len(text), maxFile)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return refuse(name, err, into)
	}
	if err := refuseSecrets(name, file); err != nil {
		return err
	}
	if n := documents(file); n != 1 {
		return fmt.Errorf("%s: %w: %d documents, want one", name, ErrSyntax, n)
	}
	if unknown := unknownKey(file.Docs[0].Body, reflect.TypeOf(into)); unknown != nil {
		return fmt.Errorf("%s:%d: %w %q%s", name, unknown.Position.Line, ErrUnknownKey, unknown.Value, place(unknown.Value, into))
	}
	if err := yaml.UnmarshalWithOptions(text, into, yaml.Strict()); err != nil {
		return refuse(name, err, into)
	}
	return nil
}

func documents(file *ast.File) int {
	n := 0
	for _, document := range file.Docs {
		if document.Body != nil && document.Body.Type() != ast.CommentType {
			n++
		}
	}
	return n
}

// unknownKey gives the first key, in the order of the file, that the type does
// not know. The decoder would name any one of several.
func unknownKey(node ast.Node, t reflect.Type) *token.Token {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for _, pair := range pairs(node) {
		key := pair.Key.GetToken()
		inner, known := fieldOf(t, key.Value)
		if !known {
			return key
		}
		if unknown := unknownKey(pair.Value, inner); unknown != nil {
			return unknown
		}
	}
	return nil
}

// pairs gives the keys and values of a map, or nothing of what is none.
func pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// fieldOf gives the type behind a key. What is neither struct nor map is left to the decoder.
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

// place says where a key belongs, or which one may have been meant.
func place(key string, into any) string {
	known := keysOf(into)
	if slices.Contains(known, key) {
		return "; it belongs into another section"
	}
	return didYouMean(key, known)
}

// refuse names the kind of a decoder's error and leaves out the quoted source.
func refuse(name string, err error, into any) error {
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		key := unknown.GetToken().Value
		return fmt.Errorf("%s:%d: %w %q%s", name, unknown.GetToken().Position.Line, ErrUnknownKey, key, didYouMean(key, keysOf(into)))
	}
	var duplicate *yaml.DuplicateKeyError
	if errors.As(err, &duplicate) {
		return fmt.Errorf("%s:%d: %w %q; keep one of them", name, duplicate.GetToken().Position.Line, ErrDuplicateKey, duplicate.GetToken().Value)
	}
	if strings.Contains(err.Error(), "already defined") { // the parser's form of the same
		return fmt.Errorf("%s: %w: %s; keep one of them", name, ErrDuplicateKey, yaml.FormatError(err, false, false))
	}
	var positioned yaml.Error
	if errors.As(err, &positioned) && positioned.GetToken() != nil {
		return fmt.Errorf("%s:%d: %w: %s", name, positioned.GetToken().Position.Line, ErrSyntax, withoutValues(positioned.GetMessage()))
	}
	return fmt.Errorf("%s: %w: not readable as a whole", name, ErrSyntax)
}

// withoutValues cuts what a message of the decoder quotes from the file.
func withoutValues(message string) string {
	head, _, _ := strings.Cut(message, `"`)
	head, _, _ = strings.Cut(head, "\n")
	return strings.TrimSpace(head)
}

// keysOf lists every key that the type of into knows, at any depth.
func keysOf(into any) []string {
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
	walk(reflect.TypeOf(into))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// didYouMean names the nearest key, or all of them when none is near.
func didYouMean(key string, known []string) string {
	best, least := "", len(key)/3+2
	for _, candidate := range known {
		if d := distance(strings.ToLower(key), candidate); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return "; known keys are " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of edits between two words (Levenshtein).
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
