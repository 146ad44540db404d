package workdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/station/reason"
)

func TestAPathThatEverybodyMayWriteIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		path    string
		mode    os.FileMode
		refused bool
	}{
		"the directory":                  {".", 0o777, true},
		"the directory with sticky bit":  {".", 0o777 | os.ModeSticky, true},
		"a directory of a group":         {".", 0o770 | os.ModeSetgid, false},
		"a directory that others read":   {".", 0o755, false},
		"the configuration":              {"station.yaml", 0o666, true},
		"a configuration of a group":     {"station.yaml", 0o660, false},
		"the profile":                    {"profile.yaml", 0o602, true},
		"the configuration of the token": {"hsm/softhsm2.conf", 0o666, true},
		"the directory of the token":     {"hsm", 0o777, true},
		"a certificate":                  {"pki/root.pem", 0o666, true},
		"the certificate of the log":     {"pki/audit.pem", 0o666, true},
		"the registry":                   {"registry.db", 0o666, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := Dir(t.TempDir())
			for _, file := range []string{"station.yaml", "profile.yaml", "hsm/softhsm2.conf", "pki/root.pem", "pki/audit.pem", "registry.db"} {
				if err := WriteFile(dir.In(file), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(string(dir), test.path), test.mode); err != nil {
				t.Fatal(err)
			}
			switch err := dir.CheckModes(); {
			case !test.refused && err != nil:
				t.Error(err)
			case test.refused && (!errors.Is(err, ErrWritable) || reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), "chmod o-w "+dir.In(test.path))):
				t.Errorf("got %v", err)
			}
		})
	}
}
