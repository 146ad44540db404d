package configs

import (
	"errors"
	"strings"
	"testing"

	"hallmark/station/label"
)

func TestScannersAndLabelsAreLoadedStrictly(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		says       []string // parts of the error; nil: it is taken
	}{
		{"a prefix and a suffix of control octets", `scanner: {prefix: "\x02", suffix: "\x03"}`, nil},
		{"a prefix of signs", `scanner: {prefix: "~~"}`, nil},
		{"a letter as prefix", `scanner: {prefix: "S"}`, []string{"scanner.prefix", `"S"`, "without letters", "station doctor --scanner"}},
		{"ESC as prefix", `scanner: {prefix: "\x1b"}`, []string{"scanner.prefix", `"\x1b"`}},
		{"a suffix that is too long", `scanner: {suffix: "#########"}`, []string{"scanner.suffix", "at most 8"}},
		{"an unknown key", `scanner: {preamble: "~"}`, []string{"unknown key", "preamble"}},
		{"a pattern", `labels: ['(?P<board>[0-9a-f]{32})']`, nil},
		{"a pattern without a group", `labels: ['(?P<board>[0-9a-f]{32})', '[0-9]{8}']`, []string{"labels[1]", "want exactly one group", "(?P<board>...)", "station.example.yaml"}},
		{"a group with another name", `labels: ['(?P<device>.+)']`, []string{"labels[0]", "(?P<device>...)"}},
		{"no regular expression", `labels: ['(?P<board>[0-9']`, []string{"labels[0]", "want a regular expression", "missing closing ]"}},
		{"a pattern that fits nothing", `labels: ['(?P<board>.*)']`, []string{"labels[0]", "want an expression that does not fit a label with nothing in it"}},
		{"too many patterns", "labels: [" + strings.Repeat("'(?P<board>a)',", 17) + "]", []string{"labels", "at most 16"}},
		{"one pattern that is no list", `labels: '(?P<board>a)'`, []string{"labels"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config, err := Parse("station.yaml", []byte("hsm: {module: softhsm2, allow_software_token: true}\n"+tt.yaml+"\n"))
			if tt.says == nil {
				if err != nil || config.LabelReader() == nil {
					t.Error(err)
				}
				return
			}
			for _, part := range tt.says {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%v does not say %q", err, part)
				}
			}
		})
	}
}

// The patterns in the comments of the example are good, and read what they are for.
func TestThePatternsOfTheExampleFitTheirLabels(t *testing.T) {
	const board, digits = "11176ef9-1c2d-5f3a-9b4e-0123456789ab", "11176ef91c2d5f3a9b4e0123456789ab"
	labels := []string{digits, "https://example.com/d/" + board, `{"v":1,"id":"` + board + `"}`, "010401234567890121" + digits + "\x1d10LOT", "SN" + digits, "PO00004711"}
	var patterns []string
	for _, line := range strings.Split(string(example(t)), "\n") {
		if rest, found := strings.CutPrefix(line, "#   - '"); found {
			pattern, _, closed := strings.Cut(rest, "'")
			if !closed {
				t.Errorf("no end of %q", line)
			}
			patterns = append(patterns, pattern)
		}
	}
	config := Default()
	config.Labels = patterns
	if err := config.labels(); err != nil || len(patterns) != len(labels) {
		t.Fatalf("%d patterns, want %d: %v", len(patterns), len(labels), err)
	}
	for i, text := range labels {
		p, err := label.ParsePattern(patterns[i])
		if err != nil {
			t.Fatal(err)
		}
		if got := (&label.Reader{Patterns: []label.Pattern{p}}).Read(text); !got.Readable() {
			t.Errorf("%s does not fit %q: %+v", patterns[i], text, got)
		}
	}
	if err := (&Config{Labels: []string{"("}}).labels(); !errors.Is(err, ErrValue) {
		t.Errorf("got %v", err)
	}
}
