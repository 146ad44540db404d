package strict

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

var durationType = reflect.TypeFor[time.Duration]()

// A File compares the values of a file with the Go types that take them, and changes each value
// that must be text back into the text that stands in the file: the decoder would read 010 as 8. It collects the mistakes.
type File struct {
	name  string
	into  reflect.Type
	errs  []error         // in the order of the file
	lines map[string]int  // line of each key: "hsm.module", "bays[0].port"
	wrong map[string]bool // keys with a mistake; they keep their default
}

func newFile(name string, into any) *File {
	return &File{name: name, into: reflect.TypeOf(into), lines: map[string]int{}, wrong: map[string]bool{}}
}

// Err has all mistakes of the file, in their order; nil: there is none.
func (s *File) Err() error { return errors.Join(s.errs...) }

// Lines gives the line of each key that the file has, by its dotted form: "hsm.module", "bays[0].port".
func (s *File) Lines() map[string]int { return s.lines }

// shape returns the node to decode. A value with a mistake becomes no value.
func (s *File) shape(key string, node ast.Node, t reflect.Type) ast.Node {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n := node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return s.refuse(key, node, "an anchor, an alias or a tag", "a plain value")
	case *ast.NullNode:
		return node // a key without a value has its default
	case *ast.CommentGroupNode:
		return node
	case *ast.MappingNode, *ast.MappingValueNode:
		return s.mapping(key, node, t)
	case *ast.SequenceNode:
		return s.sequence(key, n, t)
	}
	return s.scalar(key, node, t)
}

func (s *File) mapping(key string, node ast.Node, t reflect.Type) ast.Node {
	if t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return s.refuse(key, node, "keys with values", wanted(t))
	}
	var known []*ast.MappingValueNode
	there := map[string]int{} // line of each key of this section
	for _, pair := range pairs(node) {
		there[pair.Key.GetToken().Value] = pair.Key.GetToken().Position.Line
	}
	for _, pair := range pairs(node) {
		at := pair.Key.GetToken()
		inner, is := fieldOf(t, at.Value)
		if !is {
			s.unknown(key, at.Value, there, t)
			continue
		}
		name := Below(key, at.Value)
		s.lines[name] = at.Position.Line
		pair.Value = s.shape(name, pair.Value, inner)
		known = append(known, pair)
	}
	if whole, is := node.(*ast.MappingNode); is {
		whole.Values = known
	} else if len(known) == 0 {
		return ast.Null(node.GetToken())
	}
	return node
}

// Below gives the dotted form of a key in a section. The outermost section has no name.
func Below(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

// unknown refuses a key that the section does not have. there has the line of each key of the section. The key that was meant has no value
// then, unless it is there, too.
func (s *File) unknown(section, key string, there map[string]int, t reflect.Type) {
	hint, meant := keyHint(key, t, s.into), nearest(key, ownKeysOf(t))
	if line, both := there[meant]; both {
		hint = fmt.Sprintf("; it looks like %q, which is there in line %d: delete one of the two lines", meant, line)
	} else if meant != "" {
		s.wrong[Below(section, meant)] = true
	}
	s.errs = append(s.errs, fmt.Errorf("%s:%d: %w %q%s", s.name, there[key], ErrUnknownKey, key, hint))
}

func (s *File) sequence(key string, list *ast.SequenceNode, t reflect.Type) ast.Node {
	if t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
		return s.refuse(key, list, "a list", wanted(t))
	}
	for i, value := range list.Values {
		name := key + "[" + strconv.Itoa(i) + "]"
		s.lines[name] = value.GetToken().Position.Line
		list.Values[i] = s.shape(name, value, t.Elem())
	}
	return list
}

// scalar checks a value that is neither keys nor a list.
func (s *File) scalar(key string, node ast.Node, t reflect.Type) ast.Node {
	number, integer := node.(*ast.IntegerNode)
	_, boolean := node.(*ast.BoolNode)
	text := node.GetToken().Value
	fits := true
	switch {
	case t == durationType:
		_, err := time.ParseDuration(text)
		fits = err == nil
	case t.Kind() == reflect.String:
		return asText(node)
	case t.Kind() == reflect.Bool:
		fits = boolean
	case isWhole(t):
		if fits = integer && !octal(text); fits && !holds(t, number.Value) {
			return s.refuse(key, node, "a number that is too large or too small", wanted(t))
		}
	default:
		fits = t.Kind() == reflect.Interface
	}
	if !fits {
		return s.refuse(key, node, "another value", wanted(t))
	}
	return node
}

func isWhole(t reflect.Type) bool { return reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64 }

// holds reports whether a type has a number. The parser gives int64, or uint64 for a number that is not negative.
func holds(t reflect.Type, number any) bool {
	into := reflect.New(t).Elem()
	switch n := number.(type) {
	case int64:
		return into.CanInt() && !into.OverflowInt(n) || into.CanUint() && n >= 0 && !into.OverflowUint(uint64(n))
	case uint64:
		return into.CanInt() && n <= 1<<63-1 && !into.OverflowInt(int64(n)) || into.CanUint() && !into.OverflowUint(n)
	}
	return false
}

// asText returns a node that the decoder reads as the text in the file.
func asText(node ast.Node) ast.Node {
	switch node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		text := ast.String(node.GetToken())
		text.BaseNode.Path = node.GetPath()
		return text
	}
	return node
}

// octal is true for a number that some readers take for octal and others for decimal.
func octal(text string) bool {
	digits := strings.TrimLeft(text, "+-")
	return len(digits) > 1 && digits[0] == '0' && digits[1] != 'x' && digits[1] != 'X'
}

// wanted says what a type takes.
func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a time with its unit, such as 5s"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list, such as [a, b]"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "keys with values"
	}
	return "a whole number without a leading zero" + limits(t)
}

// limits gives the smallest and the largest number of a type that is narrower than others.
func limits(t reflect.Type) string {
	switch {
	case !isWhole(t) || t.Bits() == 64:
		return ""
	case t.Kind() >= reflect.Uint:
		return fmt.Sprintf(", from 0 to %d", uint64(1)<<t.Bits()-1)
	}
	return fmt.Sprintf(", from %d to %d", -1<<(t.Bits()-1), 1<<(t.Bits()-1)-1)
}

// refuse names the key, and not the value, which may be a PIN. It returns no value in the place of the wrong one.
func (s *File) refuse(key string, node ast.Node, got, want string) ast.Node {
	called := key
	if key == "" {
		called = "the file"
	}
	line := node.GetToken().Position.Line
	s.wrong[key] = true
	s.errs = append(s.errs, fmt.Errorf("%s:%d: %w: %s holds %s; expected %s; correct it or leave the key out", s.name, line, ErrSyntax, called, got, want))
	return ast.Null(node.GetToken())
}

// Invalid adds the values that are not possible, each with its line. A value that follows from a mistake that is named already is none.
func (s *File) Invalid(err error) {
	for _, one := range each(err) {
		var value Keyed
		if !errors.As(one, &value) {
			s.errs = append(s.errs, fmt.Errorf("%s: %w", s.name, one))
			continue
		}
		if s.isWrong(value.ConfigKey()) {
			continue
		}
		place := s.name
		if line := s.lineOf(value.ConfigKey()); line > 0 {
			place += ":" + strconv.Itoa(line)
		}
		s.errs = append(s.errs, fmt.Errorf("%s: %w", place, one))
	}
}

// each takes errors.Join apart.
func each(err error) (all []error) {
	joined, is := err.(interface{ Unwrap() []error })
	if !is {
		return []error{err}
	}
	for _, one := range joined.Unwrap() {
		all = append(all, each(one)...)
	}
	return all
}

// isWrong reports whether a key, the sections that have it, or a key in it has a mistake.
func (s *File) isWrong(key string) bool {
	for wrong := range s.wrong {
		if wrong == "" || wrong == key || isBelow(key, wrong) || isBelow(wrong, key) {
			return true
		}
	}
	return false
}

func isBelow(key, section string) bool {
	rest, is := strings.CutPrefix(key, section)
	return is && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "["))
}

// lineOf gives the line of a key or, if the file does not have it, of the innermost section that it belongs into; 0: none.
func (s *File) lineOf(key string) int {
	for key != "" {
		if line, known := s.lines[key]; known {
			return line
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return 0
}
