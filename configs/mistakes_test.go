package configs

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// Values of each kind that YAML has.
var kinds = map[string]string{
	"text": "abc", "a number": "7", "a negative number": "-7", "a fraction": "1.5", "a huge number": "99999999999999999999", "a number of 64 bits": "18446744073709551615",
	"an octal number": "010", "true": "true", "a time": "5s", "a list": "[[a]]", "keys": "{a: {b: c}}", "an anchor": "&a b", "an alias": "*a", "a tag": "!!binary YQ==",
	"not a number": ".nan", "a day": "2030-01-01",
}

// goTypes are names that only this program has.
var goTypes = regexp.MustCompile(`\b(u?int(8|16|32|64)?|string|bool|float64|struct|map\[|interface|time\.Duration|configs\.|reflect|\[\])`)

// Each key of station.yaml gets each kind of value. An error names file, line and key, what was expected and what to do.
func TestEachKeyRefusesOtherKindsOfValuesInWords(t *testing.T) {
	for _, key := range allKeys(reflect.TypeFor[Config](), "") {
		for kind, value := range kinds {
			text := minimalWith(key, value)
			_, err := Parse("x.yaml", []byte(text))
			if err == nil {
				continue // the key takes such a value
			}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !regexp.MustCompile(`^x\.yaml:\d+: `).MatchString(line) || goTypes.MatchString(strings.ReplaceAll(line, key, "")) || !strings.Contains(line, ";") ||
					!strings.Contains(line, "want") && !strings.Contains(line, "expected") && !strings.Contains(line, "unknown key") && !strings.Contains(line, "correct this line") {
					t.Errorf("%s with %s: %s", key, kind, line)
				}
			}
		}
	}
}

// allKeys gives the dotted keys of a struct, also those of the entries of lists: "bays[0].port".
func allKeys(t reflect.Type, prefix string) (keys []string) {
	for i := range t.NumField() {
		key, inner := prefix+t.Field(i).Tag.Get("yaml"), t.Field(i).Type
		keys = append(keys, key)
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
			switch inner.Kind() {
			case reflect.Slice:
				key += "[0]"
			case reflect.Map:
				key += ".x"
			}
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, allKeys(inner, key+".")...)
		}
	}
	return keys
}

// minimalWith writes a station.yaml with one more key.
func minimalWith(key, value string) string {
	parts := strings.Split(key, ".")
	if parts[0] != "hsm" {
		return minimal + nested(parts, value, 0)
	}
	if len(parts) == 1 || parts[1] == "module" {
		return nested(parts, value, 0)
	}
	return "hsm:\n  module: /usr/lib/hsm.so\n" + strings.TrimPrefix(nested(parts, value, 0), "hsm:\n")
}

func nested(parts []string, value string, depth int) string {
	name, inList := strings.CutSuffix(parts[0], "[0]")
	indent := strings.Repeat("  ", depth)
	if len(parts) == 1 {
		return fmt.Sprintf("%s%s: %s\n", indent, name, value)
	}
	rest := nested(parts[1:], value, depth+1)
	if inList {
		rest = indent + "- " + strings.TrimPrefix(rest, indent+"  ")
	}
	return indent + name + ":\n" + rest
}

// An engineer sees all mistakes at once, each where it is. What only follows from a mistake is not among them.
func TestAllMistakesOfAFileAreNamedAtOnce(t *testing.T) {
	_, err := Parse("x.yaml", []byte(`station: "?"
hsm:
  modul: /usr/lib/hsm.so
  sessions: many
  timeout: 1h
  slot: 3
boards:
  baud: 12
  seal: yes please
bays:
  - {name: a, usb: 1-2, interface: true}
  - name: a
    usb: usb1
timeouts: {steps: {sign: -1s}}
seal: true
minimum_free_mib: -1
`))
	want := []string{
		`x.yaml:3: unknown key "modul"; did you mean "module"?`,
		`x.yaml:4: not the YAML that is expected: hsm.sessions holds another value; expected a whole number without a leading zero; correct it or leave the key out`,
		`x.yaml:6: unknown key "slot"; `,
		`x.yaml:9: not the YAML that is expected: boards.seal holds another value; expected true or false; correct it or leave the key out`,
		`x.yaml:11: not the YAML that is expected: bays[0].interface holds another value`,
		`x.yaml:15: unknown key "seal"; it belongs into another section: write it below boards`,
		`x.yaml:1: station: value not possible: "?", want 1 to 64 letters`,
		`x.yaml:5: hsm.timeout: value not possible: 1h0m0s, want 100ms to 1m0s`,
		`x.yaml:8: boards.baud: value not possible: 12, want 9600 to 4000000; correct it or leave the key out`,
		`x.yaml:13: bays[1].usb: value not possible: "usb1", want a USB path`,
		`x.yaml:12: bays[1].name: value not possible: "a" as in bay "a"`,
		`x.yaml:14: timeouts.steps.sign: value not possible: -1s, want 1s to 1h0m0s`,
		`x.yaml:16: minimum_free_mib: value not possible: -1, want 0 to 1000000000`,
	}
	lines := strings.Split(fmt.Sprint(err), "\n")
	for i, text := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], text) {
			t.Fatalf("line %d: want %q\n%v", i, text, err)
		}
	}
	if len(lines) != len(want) || !errors.Is(err, ErrValue) || !errors.Is(err, ErrUnknownKey) || !errors.Is(err, ErrSyntax) {
		t.Errorf("%d lines:\n%v", len(lines), err)
	}
}

func TestAllPINsOfAFileAreNamedAtOnce(t *testing.T) {
	_, err := Parse("x.yaml", []byte("hsm:\n  module: /m\n  pin: 123456\n  token_label: pkcs11:?pin-value=123456\nzzz: 1\n"))
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[0], "x.yaml:3: ") || !strings.HasPrefix(lines[1], "x.yaml:4: ") || strings.Contains(err.Error(), "123456") {
		t.Errorf("got %v", err)
	}
}

func TestLinesOfKeys(t *testing.T) {
	_, lines, err := ParseLines("x.yaml", []byte(minimal+"\nbays:\n- name: a\n  board: qemu-an385\n"))
	if err != nil || lines["hsm.module"] != 1 || lines["bays"] != 3 || lines["bays[0].board"] != 5 || lines["station"] != 0 {
		t.Errorf("%v, %v", lines, err)
	}
}
