package configs

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// What Settings writes is read as the same configuration.
func TestSettingsCanBeWrittenIntoTheFile(t *testing.T) {
	text := minimal + `station: "line 1"
labels: ['(?P<board>[0-9a-fA-F]{32})']
timeouts: {steps: {"read back": 90s, sign: 1h}}
retention: {products: {sensor: {last_unit: 2030-06-30, support_end: 2036-12-31}}}
boards: {tfm_callers: [-1, 2]}
bays:
  - {name: a, usb: 1-2, probe: {driver: openocd, serial: 0017}, low: []}
  - {name: b, board: qemu-an385}
`
	all, err := Settings("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	written := ""
	inBay := false
	for _, s := range all {
		section, rest, _ := strings.Cut(s.Key, ".")
		switch {
		case strings.HasPrefix(section, "bays["):
			if rest == "name" {
				if !inBay {
					written += "bays:\n"
				}
				inBay = true
				written += "- name: " + s.Value + "\n"
			} else if !strings.HasPrefix(rest, "probe.") {
				written += "  " + rest + ": " + s.Value + "\n"
			} else if rest == "probe.driver" {
				written += "  probe: {driver: " + s.Value + ", serial: 0017}\n"
			}
		case rest == "":
			written += s.Key + ": " + s.Value + "\n"
		case strings.Contains(written, "\n"+section+":\n"):
			written += "  " + rest + ": " + s.Value + "\n"
		default:
			written += section + ":\n  " + rest + ": " + s.Value + "\n"
		}
	}
	got, err := Parse("y.yaml", []byte(written))
	if err != nil {
		t.Fatalf("%v\n%s", err, written)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\n%+v\n%s", got, want, written)
	}
}

// A text is written so that YAML reads this text again, also one that looks like something else.
func TestATextIsWrittenAsItIsRead(t *testing.T) {
	for _, text := range []string{"", " ", "a", "a b", "a:", "a: b", "a #b", "#a", "- a", "-", "-1", "+1", "1.5", "0x1F", "010", "1_000", "1e3", ".inf", ".nan", "~", "null", "Null", "NULL", "true", "True", "yes", "no", "on", "off",
		"2030-01-01", "12:30:00", "[a]", "{a: b}", "a,b", "*a", "&a", "!a", "|", ">", "%a", "@a", "`a", "'a'", `"a"`, `a\b`, "a\tb", "a\nb", "a\x7fb", "a\u0085b", "a\u00adb", "a\u2028b", "\ufeffa", "ä", "日本", "\U0001f600", "\U000e0001", "<<", "=", "?", "? a", ":", "::", ".", "..", "...", "---", "a/b", "file:/x", "tcp://h:1"} {
		var read struct {
			Text string   `yaml:"text"`
			List []string `yaml:"list"`
		}
		file := "text: " + written(reflect.ValueOf(text)) + "\nlist: " + written(reflect.ValueOf([]string{text, text})) + "\n"
		if err := Decode("x.yaml", []byte(file), &read); err != nil || read.Text != text || !slices.Equal(read.List, []string{text, text}) {
			t.Errorf("%q is written as %s, and read as %q: %v", text, file, read, err)
		}
	}
}

func TestSettingsHaveTheirSource(t *testing.T) {
	all, err := Settings("x.yaml", []byte("hsm:\n  module: /m\n  timeout: 3s\nbays:\n  - {name: a, board: qemu-an385}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for want, found := range map[Setting]bool{{"hsm.timeout", "3s", 3}: false, {"hsm.sessions", "3", 0}: false, {"bays[0].board", "qemu-an385", 5}: false, {"timeouts.run", "3m", 0}: false, {"profile", "linaro", 0}: false} {
		for _, s := range all {
			found = found || s == want
		}
		if !found {
			t.Errorf("%+v is missing in %+v", want, all)
		}
	}
	for _, s := range all {
		if s.Key == "bays[0].baud" {
			t.Errorf("%+v", s)
		}
	}
}

func TestShortDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Second: "1s", 3 * time.Minute: "3m", time.Hour: "1h", 90 * time.Minute: "1h30m", 100 * time.Millisecond: "100ms", time.Hour + time.Second: "1h0m1s", 10 * time.Minute: "10m", 90 * time.Second: "1m30s"} {
		if got := shortDuration(d); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
