package configs

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"hallmark/configs/strict"
	"hallmark/hsm"
)

var update = flag.Bool("update", false, "write station.schema.json anew")

// A schema is the part of JSON Schema (draft 2020-12) that station.schema.json uses.
type schema struct {
	Version     string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"` // a name, or a list of names
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	Default     any                `json:"default,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or a *schema
}

// What the Go types do not say. TestBoundsOfTheSchema and TestNamesOfTheSchema compare both with Validate.
var (
	names = map[string][]string{
		"handshake": {OverUART, OverNetwork}, "hsm.key_template": {KeyTemplateFull, KeyTemplateMinimal}, "hsm.exceptions[0]": exceptionNames(), "bays[0].low[0]": {"dtr", "rts"},
	}
	bounds = map[string][2]int{
		"hsm.sessions": {3, 64}, "hsm.key_id_octets": {1, 32}, "authority.root_years": {0, 100}, "authority.issuing_years": {0, 100}, "authority.verifier_days": {1, 3650},
		"boards.baud": {9600, 4_000_000}, "boards.tfm_callers[0]": {math.MinInt32, math.MaxInt32}, "bays[0].interface": {0, 255}, "bays[0].baud": {9600, 4_000_000},
		"minimum_free_mib": {0, 1_000_000_000}, "renew_days": {0, 3650}, "retention.years": {1, 100}, "retention.ca_years": {0, 100},
	}
)

const durationPattern = `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`

// describe makes the schema of a value. about has the comments, by dotted key.
func describe(key string, v reflect.Value, about map[string]string, inherited string) *schema {
	s := &schema{Description: about[key]}
	if s.Description == "" {
		s.Description = inherited
	}
	t := v.Type()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
		v = reflect.New(t).Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		s.Type, s.Pattern, s.Default = "string", durationPattern, written(v)
	case t.Kind() == reflect.String:
		s.Type, s.Enum, s.Default = []string{"string", "number", "boolean"}, names[key], v.String()
		if s.Enum != nil {
			s.Type = "string"
		}
	case t.Kind() == reflect.Bool:
		s.Type, s.Default = "boolean", v.Bool()
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		limits := bounds[key]
		s.Type, s.Default, s.Minimum, s.Maximum = "integer", v.Int(), &limits[0], &limits[1]
	case t.Kind() == reflect.Slice:
		s.Type, s.Items = "array", describe(key+"[0]", reflect.New(t.Elem()).Elem(), about, s.Description)
	case t.Kind() == reflect.Map:
		s.Type, s.Additional = "object", describe(key+".x", reflect.New(t.Elem()).Elem(), about, s.Description)
	case t.Kind() == reflect.Struct:
		s.Type, s.Additional, s.Properties = "object", false, map[string]*schema{}
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("yaml")
			s.Properties[name] = describe(strict.Below(key, name), v.Field(i), about, s.Description)
		}
	}
	if strings.Contains(key, "[0]") || strings.Contains(key, ".x") {
		s.Default = nil // an entry of a list has no default
	}
	return s
}

var (
	keyLine     = regexp.MustCompile(`^( *)([a-z_0-9]+):(?:.*? # *(.*))?`)
	bayLine     = regexp.MustCompile(`^#   [- ] ([a-z]+): .*? # (.*)`)
	bayFirst    = regexp.MustCompile(`^#   - name: `)
	witnessLine = regexp.MustCompile(`^ +#   ([a-z_]+): (?:\S+ {2,}|"" +|\S+ as |)(.*)`)
)

// comments reads the documentation of each key from station.example.yaml: the comment behind the key, or the one above it.
func comments(text string) map[string]string {
	about := map[string]string{}
	section, above := "", []string(nil)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := bayLine.FindStringSubmatch(line); m != nil {
			about["bays[0]."+m[1]] = m[2]
		} else if m := witnessLine.FindStringSubmatch(line); m != nil {
			about["witnesses[0]."+m[1]] = m[2]
		}
		switch m := keyLine.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "#"):
			if !bayFirst.MatchString(line) && !strings.HasPrefix(line, "#   ") {
				above = append(above, strings.TrimPrefix(line, "# "))
			}
		case m == nil:
			above = nil
		default:
			key := m[2]
			if m[1] == "" {
				section = key
			} else {
				key = section + "." + key
			}
			about[key] = m[3]
			if m[3] == "" {
				about[key] = strings.Join(above, " ")
			}
			above = nil
		}
	}
	return about
}

func madeSchema(t *testing.T) []byte {
	t.Helper()
	config := Default()
	s := describe("", reflect.ValueOf(config), comments(string(example(t))), "")
	s.Version, s.Title = "https://json-schema.org/draft/2020-12/schema", "station.yaml of Hallmark"
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(s); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestTheSchemaIsThatOfTypesAndDocumentation(t *testing.T) {
	made := madeSchema(t)
	if *update {
		if err := os.WriteFile("station.schema.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made, Schema()) {
		t.Error("station.schema.json is old: go test ./configs -run Schema -update")
	}
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	var s schema
	decoder := json.NewDecoder(bytes.NewReader(Schema()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// at gives the schema of a dotted key.
func (s *schema) at(t *testing.T, key string) *schema {
	t.Helper()
	for part := range strings.SplitSeq(key, ".") {
		name, inList := strings.CutSuffix(part, "[0]")
		inner := s.Properties[name]
		if more, is := s.Additional.(map[string]any); is {
			octets, err := json.Marshal(more)
			if err == nil {
				inner = &schema{}
				err = json.Unmarshal(octets, inner)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if s = inner; s != nil && inList {
			s = s.Items
		}
		if s == nil {
			t.Fatalf("the schema has no %s", key)
		}
	}
	return s
}

func TestTheSchemaExplainsEachKey(t *testing.T) {
	s := readSchema(t)
	sections := []string{"hsm", "boards", "verifier", "timeouts"}
	for _, key := range allKeys(reflect.TypeFor[Config](), "") {
		if found := s.at(t, key); len(found.Description) < 8 && !slices.Contains(sections, key) {
			t.Errorf("%s: %q", key, found.Description)
		}
	}
	bay := s.at(t, "bays").Items
	for name, key := range bay.Properties {
		if key.Description == bay.Description {
			t.Errorf("bays[0].%s has only the description of a bay", name)
		}
	}
}

// complains reports whether Parse names a key that has a value.
func complains(key, value string) bool {
	_, err := Parse("x.yaml", []byte(minimalWith(key, value)))
	return err != nil && regexp.MustCompile(regexp.QuoteMeta(key)+`(\[0\])?(:| holds)`).MatchString(err.Error())
}

func TestBoundsOfTheSchema(t *testing.T) {
	s := readSchema(t)
	for _, key := range allKeys(reflect.TypeFor[Config](), "") {
		if limits := s.at(t, key); limits.Type == "integer" && *limits.Minimum == *limits.Maximum {
			t.Errorf("%s has no bounds", key)
		}
	}
	for key, limits := range bounds {
		in := func(n int) string { return strconv.Itoa(n) }
		if strings.HasSuffix(key, "[0]") {
			key, in = strings.TrimSuffix(key, "[0]"), func(n int) string { return "[" + strconv.Itoa(n) + "]" }
		}
		if complains(key, in(limits[0])) || complains(key, in(limits[1])) || !complains(key, in(limits[0]-1)) || !complains(key, in(limits[1]+1)) {
			t.Errorf("%s: the bounds are not %v", key, limits)
		}
	}
}

func TestNamesOfTheSchema(t *testing.T) {
	for key, all := range names {
		whole, inList := strings.CutSuffix(key, "[0]")
		value := func(name string) string {
			if inList {
				return "[" + name + "]"
			}
			return name
		}
		for _, name := range all {
			if complains(whole, value(name)) {
				t.Errorf("%s: %s is refused", key, name)
			}
		}
		if !complains(whole, value("another")) {
			t.Errorf("%s takes another name", key)
		}
	}
}

var errUnfit = errors.New("does not fit the schema")

// fits checks a value against a schema, as an editor does.
func (s *schema) fits(key string, value any) error {
	kinds, _ := s.Type.([]any)
	if s.Type != nil && len(kinds) == 0 {
		kinds = []any{s.Type}
	}
	kind := kindOf(value)
	if !slices.Contains(kinds, any(kind)) && !(kind == "integer" && slices.Contains(kinds, any("number"))) {
		return fmt.Errorf("%s: %w: %s, want %v", key, errUnfit, kind, s.Type)
	}
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			in := s.Properties[name]
			if in == nil {
				if s.Additional == false {
					return fmt.Errorf("%s.%s: %w: unknown key", key, name, errUnfit)
				}
				continue
			}
			if err := in.fits(strict.Below(key, name), inner); err != nil {
				return err
			}
		}
	case []any:
		for i, inner := range v {
			if err := s.Items.fits(key+"["+strconv.Itoa(i)+"]", inner); err != nil {
				return err
			}
		}
	case string:
		if s.Enum != nil && !slices.Contains(s.Enum, v) || s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			return fmt.Errorf("%s: %w: %q", key, errUnfit, v)
		}
	}
	if n, is := number(value); is && (s.Minimum != nil && n < *s.Minimum || s.Maximum != nil && n > *s.Maximum) {
		return fmt.Errorf("%s: %w: %d", key, errUnfit, n)
	}
	return nil
}

func number(value any) (int, bool) {
	v := reflect.ValueOf(value)
	switch {
	case v.CanInt():
		return int(v.Int()), true
	case v.CanUint():
		return int(v.Uint()), true
	}
	return 0, false
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case float64:
		return "number"
	}
	return "integer"
}

func TestTheShippedFilesFitTheSchema(t *testing.T) {
	s := readSchema(t)
	filled := []byte(bays + witnessed("https://witness.example/", w1, "") + "retention: {products: {sensor: {last_unit: \"2030-06-30\"}}}\n")
	for name, text := range map[string][]byte{"demo.yaml": Demo(), "station.example.yaml": example(t), "bays": filled} {
		var value map[string]any
		if err := yaml.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		if err := s.fits("", value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"an unknown key": "statoin: a\n", "text for a number": "renew_days: many\n", "a number out of range": "hsm: {sessions: 2}\n", "a time without unit": "timeouts: {run: 5}\n",
		"another handshake": "handshake: wifi\n", "an unknown key of a bay": "bays: [{nam: a}]\n",
	} {
		var value map[string]any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		if err := s.fits("", value); !errors.Is(err, errUnfit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func exceptionNames() (all []string) {
	for _, known := range hsm.KnownExceptions() {
		all = append(all, string(known))
	}
	return all
}
