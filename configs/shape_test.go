package configs

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestTextStaysAsItIsWritten(t *testing.T) {
	for _, text := range []string{"010", "0123", "07550054", "0o17", "0x1F", "1_000", "1.10", "1e3", "2026-11-29", "true", "No", "00", "-5", "99999999999999999999999"} {
		t.Run(text, func(t *testing.T) {
			for _, form := range []string{text, "'" + text + "'"} {
				config, err := Parse("x.yaml", []byte("hsm: {module: /m, token_serial: "+form+", token_label: "+form+"}\nboards: {firmware_allow: []}\n"))
				if err != nil {
					t.Fatal(err)
				}
				if config.HSM.TokenSerial != text || config.HSM.TokenLabel != text {
					t.Errorf("serial %q, label %q", config.HSM.TokenSerial, config.HSM.TokenLabel)
				}
			}
		})
	}
	config, err := Parse("x.yaml", []byte("station: 010\n"+minimal))
	if err != nil || config.Station != "010" {
		t.Errorf("station %q, %v", config.Station, err)
	}
	if config, err = Parse("x.yaml", []byte("\ufeffstation: bench\n"+minimal)); err != nil || config.Station != "bench" {
		t.Errorf("with a byte order mark: %v", err)
	}
}

func TestAnErrorNamesTheKeyAndNoTypeOfThisProgram(t *testing.T) {
	types := regexp.MustCompile(`\bGo\b|interface|int32|int64|uint|struct|unmarshal|map\[`)
	for _, test := range []struct{ text, says string }{
		{"station: [secret]", "station holds a list; expected text"},
		{"station: {a: secret}", "station holds keys with values; expected text"},
		{"hsm: 5", "hsm holds another value; expected keys with values"},
		{"hsm: {sessions: secret}", "hsm.sessions holds another value; expected a whole number without a leading zero"},
		{"hsm: {sessions: 2.5}", "hsm.sessions"},
		{"hsm: {sessions: 010}", "hsm.sessions"},
		{"hsm: {sessions: '5'}", "hsm.sessions"},
		{"hsm: {sessions: 99999999999999999999}", "hsm.sessions"},
		{"boards: {tfm_callers: [99999999999]}", "x.yaml:1"},
		{"hsm: {timeout: 5}", "hsm.timeout holds another value; expected a time with its unit, such as 5s"},
		{"hsm: {allow_software_token: yes}", "hsm.allow_software_token holds another value; expected true or false"},
		{"boards: {firmware_allow: secret}", "boards.firmware_allow holds another value; expected a list"},
		{"bays: [{name: a, baud: secret}]", "bays[0].baud"},
		{"station: &x a\nprofile: *x", "station holds an anchor"},
		{"station: !!str 010", "station holds an anchor, an alias or a tag"},
		{"station: \"\xff\"", "not UTF-8"},
	} {
		t.Run(test.text, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(test.text+"\n"))
			if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, want %q", err, test.says)
			}
			if types.MatchString(err.Error()) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v: names a type of this program, or the value", err)
			}
		})
	}
}
