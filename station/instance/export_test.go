package instance_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/workdir"
)

// recorded gives type and outcome of the notices about exports and logins that became entries behind the first ones.
func recorded(t *testing.T, dir workdir.Dir, first int) (entries []string) {
	t.Helper()
	opensRecord(t, dir)
	for _, e := range fixtures.Entries(t, dir)[first:] {
		if (strings.HasPrefix(e.Type, "export.") || e.Type == "hsm.open") && e.Details["notice"] != "" {
			entries = append(entries, e.Type+" "+string(e.Outcome))
		}
	}
	return entries
}

// The use of the audit key is on record before the HSM is opened, so that a kill leaves no signed bundle that nobody knows of.
func TestASignedExportIsOnRecordBeforeTheHSMIsOpened(t *testing.T) {
	for _, test := range []struct {
		name string
		hurt func(dir workdir.Dir, x *instance.Export) error
		want []string
	}{
		{"it is written", func(workdir.Dir, *instance.Export) error { return nil }, []string{"export.intent success", "hsm.open success", "export.done success"}},
		{"a wrong PIN", func(dir workdir.Dir, _ *instance.Export) error {
			return os.WriteFile(dir.In("hsm", "pin"), []byte("wrong\n"), 0o600)
		},
			[]string{"export.intent success", "hsm.open failure"}},
		{"it ends early", func(_ workdir.Dir, x *instance.Export) error { x.Language = "xx"; return nil }, []string{"export.intent success", "hsm.open success"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := fixtures.NewDirectory(t)
			in := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
			if err := in.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			opensRecord(t, dir)
			first := len(fixtures.Entries(t, dir))
			x := instance.Export{Dir: dir, Out: filepath.Join(t.TempDir(), "B"), Language: "en", Sign: true}
			if err := test.hurt(dir, &x); err != nil {
				t.Fatal(err)
			}
			made, err := x.Write(t.Context())
			if whole := slices.Contains(test.want, "export.done success"); whole != (err == nil) || whole != made.Signed {
				t.Errorf("got %+v, %v", made, err)
			}
			if got := recorded(t, dir, first); !slices.Equal(got, test.want) {
				t.Errorf("on record are %q, want %q", got, test.want)
			}
		})
	}
}

// What cannot be on record is not signed.
func TestAnExportThatCannotBeOnRecordIsNotSigned(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	if err := os.RemoveAll(dir.Notices()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Notices(), nil, 0o600); err != nil { // a file in the place of the folder: nobody can write there
		t.Fatal(err)
	}
	x := instance.Export{Dir: dir, Out: filepath.Join(t.TempDir(), "B"), Language: "en", Sign: true}
	if _, err := x.Write(t.Context()); err == nil || !strings.Contains(err.Error(), "export without --sign") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(x.Out); !os.IsNotExist(err) {
		t.Errorf("it wrote a bundle: %v", err)
	}
}
