package health_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station/health"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
	"hallmark/ui/catalogue"
)

// A shift is a Checker at the start of a shift: only the registry is open.
type shift struct {
	*health.Checker
	t       *testing.T
	record  *instance.Record
	begun   int // how often Runs were let begin
	checked map[string]health.Check
}

func newShift(t *testing.T, dir workdir.Dir, prompt bool) *shift {
	t.Helper()
	return newShiftAt(t, dir, prompt, nil)
}

// newShiftAt makes a shift with its own clock.
func newShiftAt(t *testing.T, dir workdir.Dir, prompt bool, now func() time.Time) *shift {
	t.Helper()
	files := fixtures.Must(instance.OpenFiles(dir, instance.Options{Now: now}))(t)
	s := &shift{t: t, record: fixtures.Must(files.OpenRecord(t.Context()))(t)}
	s.Checker = health.ForShift(s.record, prompt, func(*instance.Instance) (string, error) { s.begun++; return "ready", nil })
	t.Cleanup(func() {
		s.Leave()
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// runsChecks does all checks.
func (s *shift) runsChecks() {
	s.checked = map[string]health.Check{}
	for check := range s.RunChecks(s.t.Context()) {
		s.checked[check.Name] = check
	}
}

// wants compares the states of the checks. "others" is the state of each check that is not
// named. The check of ports is left out, because it depends on the test machine.
func (s *shift) wants(states map[string]health.State) {
	s.t.Helper()
	for name, check := range s.checked {
		want, named := states[name]
		if !named {
			want = states["others"]
		}
		if check.State != want && name != "ports" {
			s.t.Errorf("%s: %s, want %s: %s", name, check.State, want, check.Finding)
		}
	}
}

func TestTheChecksOpenTheStationPartByPart(t *testing.T) {
	s := newShift(t, fixtures.NewDirectory(t), false)
	for range 2 { // the second time all parts are already open
		s.runsChecks()
		s.wants(map[string]health.State{"others": health.OK})
	}
	if s.begun != 1 || s.checked["line"].Finding != "ready" || len(s.checked["self-test"].Rows) == 0 {
		t.Errorf("Runs were let begin %d times; %+v", s.begun, s.checked)
	}
}

// Each finding of a good station has a text in each language of the screen, and the text takes the values of the finding.
func TestEachFindingOfAGoodStationHasATextInEachLanguage(t *testing.T) {
	s := newShift(t, fixtures.NewDirectory(t), false)
	s.runsChecks()
	for _, language := range catalogue.Languages() {
		texts := fixtures.Must(catalogue.Load(language))(t)
		for name, check := range s.checked {
			if name == "ports" { // names alone
				continue
			}
			key := "check.found." + check.Word
			if got := texts.Text(key, check.Values...); !texts.Has(key) || strings.Contains(got, "%!") {
				t.Errorf("%s: %s found %q, which is %q", language, name, check.Finding, got)
			}
		}
	}
}

func TestAFailedCheckLeavesOpenWhatIsOpenAndIsDoneAgain(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	s := newShift(t, dir, false)
	hidden := dir.In("away")
	if err := os.Rename(dir.Server(), hidden); err != nil {
		t.Fatal(err)
	}
	s.runsChecks()
	s.wants(map[string]health.State{"others": health.OK, "certificates": health.Fail, "verifier": health.Fail, "self-test": health.None, "line": health.None})
	if s.begun != 0 {
		t.Error("Runs were let begin without a verifier")
	}
	if err := os.Rename(hidden, dir.Server()); err != nil {
		t.Fatal(err)
	}
	s.runsChecks()
	s.wants(map[string]health.State{"others": health.OK})
}

// An ending that no receiver takes is a warning after some minutes, and the line goes on.
func TestAnEndingThatWaitsForItsReceiverIsAWarningAfterSomeMinutes(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	secret := filepath.Join(t.TempDir(), "secret")
	fixtures.Must(0, os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef"), 0o600))(t)
	config := fixtures.Must(os.ReadFile(dir.Config()))(t)
	config = append(config, `webhooks: [{name: mes, url: "http://127.0.0.1:9/path-that-nobody-may-read", secret_file: `+secret+"}]\n"...)
	fixtures.Must(0, os.WriteFile(dir.Config(), config, 0o600))(t)
	var later time.Duration
	s := newShiftAt(t, dir, false, func() time.Time { return time.Now().Add(later) })
	s.runsChecks()
	s.wants(map[string]health.State{"others": health.OK})
	if found := s.checked["webhooks"]; found.Finding != "1 receiver is configured" || found.Rows[0] != "mes: 0 endings wait" {
		t.Errorf("%+v", found)
	}
	fixtures.EndRun(t, s.record, "ann")
	s.runsChecks()
	s.wants(map[string]health.State{"others": health.OK})
	later = 10 * time.Minute
	s.runsChecks()
	s.wants(map[string]health.State{"others": health.OK, "webhooks": health.Warn})
	if found := s.checked["webhooks"]; !strings.Contains(found.Finding, "mes: 1 ending waits") || !strings.Contains(found.Next, "station webhooks") || strings.Contains(found.Finding, "nobody-may-read") {
		t.Errorf("%+v", found)
	}
}

// An act that no checkpoint covers is no damage: the check names the act, and says how to go on.
func TestAnActThatNobodySignedIsNamedWithTheWayOn(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	files := fixtures.Must(instance.OpenFiles(dir, instance.Options{}))(t)
	record := fixtures.Must(files.OpenRecord(t.Context()))(t)
	opens := record.Registry.OpenOrder(t.Context(), registry.NewOrder{ID: "WO-1", Product: record.Profile.Name(), Quota: 5}, "ann")
	if err := errors.Join(opens, files.Close()); err != nil {
		t.Fatal(err)
	}
	s := newShift(t, dir, false)
	s.runsChecks()
	if log := s.checked["audit log"]; log.State != health.Fail || !strings.Contains(log.Finding, "order.opened by ann") || !strings.Contains(log.Next, "station accept-registry") {
		t.Errorf("got %+v", log)
	}
	if s.begun != 0 {
		t.Error("Runs were let begin")
	}
}

func TestChecksThatAreLeftEndAndNoOthersBegin(t *testing.T) {
	s := newShift(t, fixtures.NewDirectory(t), false)
	ctx, cancel := context.WithCancel(t.Context())
	checks := s.RunChecks(ctx)
	<-checks
	cancel()
	s.Leave() // waits for the checks
	if _, more := <-s.RunChecks(t.Context()); more {
		t.Error("a health check began on a station that is being closed")
	}
	if err := s.Unlock(t.Context(), []byte("1234")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutARegistryTheChecksThatNeedItAreNotDone(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	if err := os.Remove(dir.Registry()); err != nil {
		t.Fatal(err)
	}
	checker := health.New(dir, []string{})
	s := &shift{Checker: checker, t: t}
	s.runsChecks()
	s.wants(map[string]health.State{"others": health.None, "configuration": health.OK, "disk": health.OK, "certificates": health.OK, "issuing CA": health.OK, "registry": health.Fail})
	if _, open := checker.Record(); open {
		t.Error("there is a registry")
	}
	if err := checker.Close(); err != nil {
		t.Error(err)
	}
}

func TestUnlockTriesATypedPINAtMostOnce(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	good := fixtures.PINOf(t, dir)
	shim := fixtures.BehindShim(t, dir)
	fixtures.Configure(t, dir, "file:hsm/pin", "prompt")
	s := newShift(t, dir, true)
	s.runsChecks()
	if check := s.checked["HSM"]; check.State != health.Fail || !strings.Contains(check.Finding, "not typed yet") {
		t.Errorf("before the PIN was typed: %+v", check)
	}
	for _, row := range []struct {
		name, pin string
		faults    []string
		want      error
		tries     int // of the token
	}{
		{"nothing but a control character", "\x07", nil, hsm.ErrPINSource, 0},
		{"a wrong PIN is tried once", "4321-wrong", nil, hsm.ErrPINWrong, 1},
		{"one on its final try is not tried", good, []string{"token_flags 20000"}, hsm.ErrPINAtRisk, 0},
		{"one that is locked is not tried", good, []string{"token_flags 40000"}, hsm.ErrPINLocked, 0},
		{"a module that does not start", good, []string{"C_Initialize 30"}, hsm.ErrModuleNotStarted, 0},
		{"the right one opens the token", good, nil, nil, 1},
		{"a second time nothing is tried", "4321-wrong", nil, nil, 0},
	} {
		shim.Fail(t, append(row.faults, "count 1")...)
		before := shim.Calls(t, "C_Login")
		err := s.Unlock(t.Context(), []byte(row.pin))
		if tries := shim.Calls(t, "C_Login") - before; !errors.Is(err, row.want) || tries != row.tries {
			t.Errorf("%s: %v after %d tries, want %v after %d", row.name, err, tries, row.want, row.tries)
		}
		if err != nil && strings.Contains(err.Error(), row.pin) {
			t.Errorf("%s: the error holds the PIN", row.name)
		}
	}
	s.runsChecks()
	s.wants(map[string]health.State{"others": health.OK})
	fixtures.Nowhere(t, dir, good, "4321-wrong")
}

func TestTheLogSaysWhyAPINWasRefused(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	fixtures.Configure(t, dir, "create_token: true", "create_token: false", "file:hsm/pin", "prompt")
	t.Setenv("SOFTHSM2_CONF", filepath.Join(dir.HSM(), "softhsm2.conf"))
	s := newShift(t, dir, true)
	if err := s.Unlock(t.Context(), []byte("4321-wrong")); !errors.Is(err, hsm.ErrPINWrong) {
		t.Errorf("got %v", err)
	}
	s.Leave()
	if err := s.record.Close(); err != nil { // until then the refusal is a notice, because the token may refuse the registry
		t.Error(err)
	}
	if !fixtures.HasEntry(t, dir, "hsm.open", instance.LocalUser(), nil) {
		t.Error("the refusal is not on record")
	}
}
