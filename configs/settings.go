package configs

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/configs/strict"
)

// A Setting is one key of station.yaml with its value.
type Setting struct {
	Key   string // "hsm.sessions", "bays[0].port"
	Value string // as it can be written into the file
	Line  int    // of the file; 0: the file does not have the key, and the value is the default
}

// Settings returns every key with its value, in the order of the documentation. Of the entries of a list it returns the keys
// that the file has: what is left out there follows from other keys.
func Settings(name string, text []byte) ([]Setting, error) {
	config, lines, err := ParseLines(name, text)
	if err != nil {
		return nil, err
	}
	var all []Setting
	var walk func(key string, v reflect.Value, inList bool)
	walk = func(key string, v reflect.Value, inList bool) {
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		switch {
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				name := v.Type().Field(i).Tag.Get("yaml")
				walk(strict.Below(key, name), v.Field(i), inList)
			}
		case v.Kind() == reflect.Slice && v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct:
			for i := range v.Len() {
				walk(key+"["+strconv.Itoa(i)+"]", v.Index(i), true)
			}
		case lines[key] > 0 || !inList:
			all = append(all, Setting{key, written(v), lines[key]})
		}
	}
	walk("", reflect.ValueOf(config), false)
	return all, nil
}

// plainText is a text that YAML reads as this text without quotes. What looks like a number stays one: station.yaml takes it as text.
var plainText = regexp.MustCompile(`^[A-Za-z0-9/_.][A-Za-z0-9/_.+:@-]*$`)

// written gives a value as YAML, on one line.
func written(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Pointer:
		return "null"
	case v.Type() == reflect.TypeFor[time.Duration]():
		return shortDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.String:
		if text := v.String(); !plainText.MatchString(text) || strings.HasSuffix(text, ":") || slices.Contains([]string{"true", "false", "null"}, strings.ToLower(text)) {
			return strconv.Quote(text)
		}
		return v.String()
	case v.Kind() == reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, written(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case v.Kind() == reflect.Map:
		var items []string
		for _, key := range v.MapKeys() {
			items = append(items, written(key)+": "+written(v.MapIndex(key)))
		}
		slices.Sort(items)
		return "{" + strings.Join(items, ", ") + "}"
	case v.Kind() == reflect.Struct:
		var items []string
		for i := range v.NumField() {
			items = append(items, v.Type().Field(i).Tag.Get("yaml")+": "+written(v.Field(i)))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	return fmt.Sprint(v.Interface())
}

// shortDuration writes 3m, and not 3m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
