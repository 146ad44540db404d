package instance_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// opensOrder opens a work order as a command does while no station runs, and gives what the person is told.
func opensOrder(t *testing.T, dir workdir.Dir) (told string, err error) {
	t.Helper()
	return acts(t, dir, func(record *instance.Record) error {
		return record.Registry.OpenOrder(t.Context(), registry.NewOrder{ID: "WO-1", Product: record.Profile.Name(), Quota: 5}, "ann")
	})
}

func closesOrder(t *testing.T, dir workdir.Dir) (told string, err error) {
	t.Helper()
	return acts(t, dir, func(record *instance.Record) error { return record.Registry.CloseOrder(t.Context(), "WO-1", "ann") })
}

func acts(t *testing.T, dir workdir.Dir, do func(*instance.Record) error) (told string, err error) {
	t.Helper()
	files := fixtures.Must(instance.OpenFiles(dir, instance.Options{}))(t)
	record := fixtures.Must(files.OpenRecord(t.Context()))(t)
	if err := do(record); err != nil {
		t.Fatal(err)
	}
	told, err = record.CoverActs(t.Context())
	if bad := files.Close(); bad != nil {
		t.Fatal(bad)
	}
	return told, err
}

// A command that opens a work order while no station runs has it signed, and the next start believes it.
func TestACommandHasItsActSigned(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	if told, err := opensOrder(t, dir); told != "" || err != nil {
		t.Errorf("got %q, %v", told, err)
	}
	opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	if err := opened.Close(); err != nil || len(opened.Registry.Accepted()) != 0 {
		t.Errorf("got %v, accepted %v", err, opened.Registry.Accepted())
	}
}

// Without the HSM the command does its work and says what comes next. The next start names the act, changes nothing, and goes on after a person
// has accepted it.
func TestAnActWithoutTheHSMHasToBeAccepted(t *testing.T) {
	for name, without := range map[string]struct {
		change func(dir workdir.Dir)
		back   func(dir workdir.Dir)
		told   string
	}{
		"a person types the PIN": {func(dir workdir.Dir) {
			fixtures.Configure(t, dir, "create_token: true", "create_token: false", "file:hsm/pin", "prompt")
		}, func(dir workdir.Dir) {
			fixtures.Configure(t, dir, "create_token: false", "create_token: true", "prompt", "file:hsm/pin")
		}, "pin_source: prompt"},
		"the file of the PIN is elsewhere": {func(dir workdir.Dir) { rename(t, dir.In("hsm/pin"), dir.In("hsm/away")) },
			func(dir workdir.Dir) { rename(t, dir.In("hsm/away"), dir.In("hsm/pin")) }, "hsm/pin"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fixtures.NewDirectory(t)
			without.change(dir)
			told, err := opensOrder(t, dir)
			if err != nil || !strings.Contains(told, without.told) || !strings.Contains(told, "no checkpoint covers it yet") || !strings.Contains(told, "station accept-registry") {
				t.Errorf("got %q, %v", told, err)
			}
			if told, err := closesOrder(t, dir); err != nil || !strings.Contains(told, "no checkpoint covers it yet") || strings.Contains(told, "accept-registry") {
				t.Errorf("the next start believes a closed order, and a person is told %q, %v", told, err)
			}
			without.back(dir)
			size := len(fixtures.Entries(t, dir))
			_, err = instance.Open(t.Context(), dir, instance.Options{})
			if !errors.Is(err, registry.ErrActsUnsigned) || !strings.Contains(err.Error(), "order.opened by ann") || !strings.Contains(err.Error(), "work order WO-1 for 5 boards") {
				t.Errorf("the next start: %v", err)
			}
			if after := len(fixtures.Entries(t, dir)); after != size {
				t.Errorf("the refused start wrote %d entries", after-size)
			}
			opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{AcceptRegistry: "bob"}))(t)
			if err := opened.Close(); err != nil || len(opened.Registry.Accepted()) != 1 {
				t.Errorf("accepting: %v", err)
			}
			if !fixtures.HasEntry(t, dir, "log.accepted", "bob", nil) {
				t.Error("the acceptance is not on record")
			}
			if err := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t).Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// A token that refuses the PIN ends the command with the exit code that no script tries again.
func TestAnActWithAWrongPINIsNotTriedAgain(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	if err := os.WriteFile(dir.In("hsm/pin"), []byte("wrong-pin-000000"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := opensOrder(t, dir); reason.ExitOf(err) != reason.ExitPIN || !strings.Contains(err.Error(), "this is on record") {
		t.Errorf("got %v", err)
	}
}
