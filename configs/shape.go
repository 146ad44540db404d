package configs

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

var durationType = reflect.TypeFor[time.Duration]()

// A shaper compares the values of a file with the Go types that take them, and changes each value
// that must be text back into the text that stands in the file: the decoder would read 010 as 8.
type shaper struct{ name string }

// shape returns the node to decode, or an error that names the key and what it takes.
func (s shaper) shape(key string, node ast.Node, t reflect.Type) (ast.Node, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch n := node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return nil, s.refuse(key, node, "an anchor, an alias or a tag", "a plain value")
	case *ast.NullNode:
		return node, nil // a key without a value has its default
	case *ast.CommentGroupNode:
		return node, nil
	case *ast.MappingNode, *ast.MappingValueNode:
		return node, s.mapping(key, node, t)
	case *ast.SequenceNode:
		return node, s.sequence(key, n, t)
	}
	return s.scalar(key, node, t)
}

func (s shaper) mapping(key string, node ast.Node, t reflect.Type) error {
	if t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return s.refuse(key, node, "keys with values", wanted(t))
	}
	for _, pair := range pairs(node) {
		name := pair.Key.GetToken().Value
		inner, known := fieldOf(t, name)
		if !known {
			continue // the caller has refused it, or the decoder does
		}
		if key != "" {
			name = key + "." + name
		}
		value, err := s.shape(name, pair.Value, inner)
		if err != nil {
			return err
		}
		pair.Value = value
	}
	return nil
}

func (s shaper) sequence(key string, list *ast.SequenceNode, t reflect.Type) error {
	if t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
		return s.refuse(key, list, "a list", wanted(t))
	}
	for i, value := range list.Values {
		shaped, err := s.shape(key+"["+strconv.Itoa(i)+"]", value, t.Elem())
		if err != nil {
			return err
		}
		list.Values[i] = shaped
	}
	return nil
}

// scalar checks a value that is neither keys nor a list.
func (s shaper) scalar(key string, node ast.Node, t reflect.Type) (ast.Node, error) {
	_, integer := node.(*ast.IntegerNode)
	_, boolean := node.(*ast.BoolNode)
	text := node.GetToken().Value
	fits := true
	switch {
	case t == durationType:
		_, err := time.ParseDuration(text)
		fits = err == nil
	case t.Kind() == reflect.String:
		return asText(node), nil
	case t.Kind() == reflect.Bool:
		fits = boolean
	case reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64:
		fits = integer && !octal(text)
	default:
		fits = t.Kind() == reflect.Interface
	}
	if !fits {
		return nil, s.refuse(key, node, "another value", wanted(t))
	}
	return node, nil
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
	return "a whole number without a leading zero"
}

// refuse names the key, and not the value, which may be a PIN.
func (s shaper) refuse(key string, node ast.Node, got, want string) error {
	if key == "" {
		key = "the file"
	}
	return fmt.Errorf("%s:%d: %w: %s holds %s; expected %s", s.name, node.GetToken().Position.Line, ErrSyntax, key, got, want)
}
