package instance_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// putBack makes a station whose registry and mark were put back from an older copy. Only the
// checkpoint on the token knows the newer ones.
func putBack(t *testing.T) workdir.Dir {
	t.Helper()
	dir := fixtures.NewDirectory(t)
	ends := func() {
		opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
		if err := errors.Join(opened.Note("doctor.done", audit.Success, nil), opened.Checkpoint(), opened.Close()); err != nil {
			t.Fatal(err)
		}
	}
	ends()
	older := map[string][]byte{dir.Registry(): read(t, dir.Registry()), dir.Mark(): read(t, dir.Mark())}
	ends()
	for path, content := range older {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path string) []byte { return fixtures.Must(os.ReadFile(path))(t) }

// A registry that the checkpoint on the token refuses stays as it was, with the words of the
// token, also when an operator signed in before the token was asked.
func TestARegistryThatTheTokenRefusesStaysAsItWas(t *testing.T) {
	for name, start := range map[string]func(dir workdir.Dir) error{
		"a batch": func(dir workdir.Dir) error {
			_, err := instance.Open(t.Context(), dir, instance.Options{})
			return err
		},
		"a screen": func(dir workdir.Dir) error {
			files := fixtures.Must(instance.OpenFiles(dir, instance.Options{}))(t)
			record := fixtures.Must(files.OpenRecord(t.Context()))(t)
			signedIn := record.NoteBy(t.Context(), "operator.login.ok", audit.Success, "anna", map[string]string{"by": "badge"})
			_, err := record.OpenAll(t.Context())
			return errors.Join(signedIn, err, files.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := putBack(t)
			before, marked := read(t, dir.Registry()), read(t, dir.Mark())
			err := start(dir)
			if !errors.Is(err, registry.ErrOlderThanToken) || !strings.Contains(err.Error(), "older than the checkpoint on the token") || strings.Contains(err.Error(), "its mark") {
				t.Errorf("got %v", err)
			}
			if len(registry.WaysOut(err)) != 1 {
				t.Errorf("ways out: %q", registry.WaysOut(err))
			}
			if !bytes.Equal(before, read(t, dir.Registry())) || !bytes.Equal(marked, read(t, dir.Mark())) {
				t.Error("the registry was changed")
			}
			// The operator accepts it, and what was noted before is on record now.
			opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{AcceptRegistry: "ann"}))(t)
			if err := opened.Close(); err != nil || len(opened.Registry.Accepted()) == 0 {
				t.Errorf("accepting: %v", err)
			}
			if !fixtures.HasEntry(t, dir, "log.accepted", "ann", nil) {
				t.Error("the acceptance is not on record")
			}
			if name == "a screen" && !fixtures.HasEntry(t, dir, "operator.login.ok", "anna", map[string]string{"by": "badge"}) {
				t.Error("the login is not on record")
			}
		})
	}
}
