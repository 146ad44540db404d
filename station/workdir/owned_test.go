package workdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/station/reason"
)

func TestNoOutputTakesAPathOfTheStation(t *testing.T) {
	root := t.TempDir()
	home := filepath.Join(root, "a [station]*")
	for _, path := range []string{"station.yaml", "registry.db", "registry.db.lock", "pki/verifier.key", "certificates/1.pem", "report.jsonl"} {
		if err := WriteFile(filepath.Join(home, path), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	link := func(kind func(from, to string) error, from, to string) string {
		t.Helper()
		to = filepath.Join(root, to)
		if err := kind(from, to); err != nil {
			t.Fatal(err)
		}
		return to
	}
	in := func(name string) string { return filepath.Join(home, name) }
	t.Chdir(home)
	for name, test := range map[string]struct {
		path string
		free bool
	}{
		"the lock":                                  {in("registry.db.lock"), false},
		"the registry, by a relative path":          {"./pki/../registry.db", false},
		"a journal that does not exist":             {in("registry.db-journal"), false},
		"a mark that does not exist":                {in("registry.mark"), false},
		"a copy of a migration":                     {in("registry.db.schema2"), false},
		"badges that do not exist":                  {in("badges.yaml"), false},
		"a key":                                     {in("pki/verifier.key"), false},
		"a new file in certificates":                {in("certificates/new.pem"), false},
		"a directory":                               {in("notices"), false},
		"a file below a directory that is missing":  {in("bays/qemu-1/1/flash.bin"), false},
		"the station directory":                     {home, false},
		"a file that is being written":              {in(".new-1"), false},
		"a symbolic link":                           {link(os.Symlink, in("registry.db"), "link"), false},
		"a link to a file that does not exist":      {link(os.Symlink, in("badges.yaml"), "dangling"), false},
		"a link to a link":                          {link(os.Symlink, filepath.Join(root, "link"), "twice"), false},
		"a relative link":                           {link(os.Symlink, "a [station]*/registry.db", "relative"), false},
		"a file in a linked directory":              {filepath.Join(link(os.Symlink, in("pki"), "folder"), "new"), false},
		"a station that is linked":                  {filepath.Join(link(os.Symlink, home, "home"), "registry.db"), false},
		"a hard link":                               {link(os.Link, in("registry.db"), "hard"), false},
		"a hard link to a file in a directory":      {link(os.Link, in("certificates/1.pem"), "hard2"), false},
		"a hard link to the lock, in the directory": {link(os.Link, in("registry.db.lock"), "a [station]*/lock.jsonl"), false},
		"a report in the directory":                 {in("report.jsonl"), false},
		"a new report in the directory":             {in("new.jsonl"), false},
		"a hard link to a report":                   {link(os.Link, in("report.jsonl"), "copy"), false},
		"a directory of reports":                    {in("ci/runs.jsonl"), false},
		"a directory beside with a longer name":     {home + "2/runs.jsonl", true},
		"a file elsewhere with such a name":         {filepath.Join(root, "registry.db"), true},
		"a device":                                  {"/dev/null", true},
	} {
		t.Run(name, func(t *testing.T) {
			switch err := Dir(home).MayWrite(test.path); {
			case test.free && err != nil:
				t.Error(err)
			case !test.free && (!errors.Is(err, ErrOwned) || reason.ExitOf(err) != reason.ExitUsage || !strings.HasPrefix(err.Error(), test.path)):
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestALinkToItselfIsNoOutput(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "loop")
	if err := os.Symlink(path, path); err != nil {
		t.Fatal(err)
	}
	if err := Dir(home).MayWrite(path); err == nil || errors.Is(err, ErrOwned) {
		t.Errorf("got %v", err)
	}
}

func TestAFileGetsItsNameWhole(t *testing.T) {
	folder := t.TempDir()
	from, to := filepath.Join(folder, "from"), filepath.Join(folder, "to")
	for path, text := range map[string]string{from: "new", to: "old"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to); string(text) != "new" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if err := Rename(from, to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
