package ui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hallmark/station/health"
	"hallmark/station/reason"
	"hallmark/station/workdir"
	"hallmark/ui/catalogue"
)

// Each check of a station has a name that fits its column, and a next action, in each language. The English texts are those
// of `station doctor`.
func TestEachCheckHasTextsInEachLanguage(t *testing.T) {
	checker := health.New(workdir.Dir(t.TempDir()), nil) // no station is there, so that most checks fail or are not done
	defer checker.Close()
	for check := range checker.RunChecks(t.Context()) {
		slug := strings.ReplaceAll(strings.ToLower(check.Name), " ", "-")
		for _, language := range catalogue.Languages() {
			texts := load(t, language)
			name, next := texts.Text("check.name."+slug), texts.Text("check.next."+slug)
			if !texts.Has("check.name."+slug) || !texts.Has("check.next."+slug) {
				t.Errorf("%s: the check %q has no name or no next action", language, check.Name)
			}
			if width(name) > 15 {
				t.Errorf("%s: the name %q is wider than 15 columns", language, name)
			}
			if language == catalogue.Reference && (name != check.Name || check.Next != "" && next != check.Next) {
				t.Errorf("the check %q says %q; the catalogue has %q and %q", check.Name, check.Next, name, next)
			}
		}
	}
}

// An operator reads in his language what failed; the finding behind it is for the engineer.
func TestACheckThatFailedSaysWhyInTheOperatorsLanguage(t *testing.T) {
	missing := reason.New("token-missing", "token is not there")
	err := fmt.Errorf("opening %q: %w", "factory-ca", missing)
	failed := Check{Name: "HSM", State: CheckFail, Finding: err.Error(), Err: err}
	for _, test := range []struct {
		name, language string
		check          Check
		want           string
	}{
		{"a reason that the catalogue has", "de", failed, "Das HSM hat dieses Token nicht. Prüfen, ob das HSM verbunden ist. (opening \"factory-ca\": token is not there)"},
		{"English keeps the finding alone", "en", failed, err.Error()},
		{"an error without a reason", "de", Check{State: CheckFail, Finding: "x", Err: errors.New("x")}, "x"},
		{"a good part", "de", Check{State: CheckOK, Finding: "configured: 2", Word: "witnesses", Values: []any{2}}, "eingerichtet: 2"},
		{"a good part in English", "en", Check{State: CheckOK, Finding: "2 witnesses are configured", Word: "witnesses", Values: []any{2}}, "2 witnesses are configured"},
		{"a good part without a text", "de", Check{State: CheckOK, Finding: "/dev/ttyS0"}, "/dev/ttyS0"},
		{"a warning", "de", Check{Name: "certificates", State: CheckWarn, Finding: "ends soon", Word: "certificates"}, "ein Zertifikat endet bald (ends soon)"},
		{"a warning in English", "en", Check{Name: "certificates", State: CheckWarn, Finding: "ends soon"}, "ends soon"},
		{"a warning of another check", "es", Check{Name: "line", State: CheckWarn, Finding: "x"}, "x"},
		{"a time", "de", Check{State: CheckOK, Finding: "signed a challenge in 2.1s", Word: "signed", Values: []any{2100 * time.Millisecond}}, "hat eine Probe in 2,1 s signiert"},
		{"a check that was not done", "es", Check{State: CheckNone, Finding: "not checked"}, "sin revisar: falló arriba lo que necesita"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := drive(t, 1, 80, 24, test.language).finding(test.check); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheBannerSaysInTheOperatorsLanguageWhatIsWrongWithTheHSM(t *testing.T) {
	d := drive(t, 4, 120, 40, "de")
	d.send(factsMsg{facts: Facts{HSM: HSM{State: HSMAway, Detail: "session with the token was lost", Word: "session-lost"}}})
	d.shows("Die Verbindung zum HSM ging verloren.")
	d.send(factsMsg{facts: Facts{HSM: HSM{State: HSMAway, Detail: "CKR_GENERAL_ERROR", Word: "fault"}}})
	d.shows("CKR_GENERAL_ERROR")
}

// The next action below a long table of checks has a row of its own above the footer.
func TestALongTableOfChecksLeavesTheFooterAlone(t *testing.T) {
	for _, language := range catalogue.Languages() {
		d := drive(t, 4, 60, 16, language)
		for i := range 20 {
			d.checks.checks = append(d.checks.checks, Check{Name: fmt.Sprint("check ", i), State: CheckOK, Finding: "good"})
		}
		d.key("d")
		lines := strings.Split(d.View(), "\n")
		if footer := lines[len(lines)-1]; !strings.Contains(footer, "esc "+d.keys.Back.does) || strings.Contains(footer, d.theme.shapes.next) {
			t.Errorf("%s: the footer is %q", language, footer)
		}
		d.shows(d.Model.t("doctor.go", d.keys.Go.show))
	}
}
