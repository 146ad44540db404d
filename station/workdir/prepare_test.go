package workdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// Somebody else may have prepared the directory in which an engineer makes a station.
func TestAJournalOfSomebodyElseIsRefused(t *testing.T) {
	row := []byte(`{"label":"hallmark-issuing","id":"0102030405060708","made":true}` + "\n")
	for name, test := range map[string]struct {
		prepare func(path string) error
		want    error // nil: it is taken
	}{
		"nothing":        {func(string) error { return nil }, nil},
		"the user's own": {func(path string) error { return os.WriteFile(path, append([]byte(journalHead), row...), 0o600) }, nil},
		"one without the line with which init begins": {func(path string) error { return os.WriteFile(path, row, 0o600) }, ErrOtherJournal},
		"one that everybody wrote":                    {func(path string) error { return errors.Join(os.WriteFile(path, row, 0o600), os.Chmod(path, 0o666)) }, ErrOthersJournal},
		"one of another user": {func(path string) error {
			if os.Geteuid() != 0 { // only root may give a file away
				return errors.Join(os.WriteFile(path, row, 0o600), os.Chmod(path, 0o620))
			}
			return errors.Join(os.WriteFile(path, row, 0o600), os.Chown(path, 65534, 65534))
		}, ErrOthersJournal},
		"an empty one of another user": {func(path string) error {
			if os.Geteuid() != 0 {
				return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o620))
			}
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 65534, 65534))
		}, ErrOthersJournal},
		"a pipe": {func(path string) error { return unix.Mkfifo(path, 0o600) }, ErrNotRegular},
		"a link": {func(path string) error {
			return errors.Join(os.WriteFile(path+".own", row, 0o600), os.Symlink(path+".own", path))
		}, unix.ELOOP},
	} {
		t.Run(name, func(t *testing.T) {
			dir := Dir(t.TempDir())
			if err := test.prepare(dir.In(journal)); err != nil {
				t.Fatal(err)
			}
			file, err := dir.Begin()
			if !errors.Is(err, test.want) || test.want != nil && (reason.ExitOf(err) != reason.ExitUsage || !strings.Contains(err.Error(), filepath.Base(journal))) {
				t.Errorf("got %v with exit code %d, want %v", err, reason.ExitOf(err), test.want)
			}
			if file != nil {
				_ = file.Close()
			}
		})
	}
}

// Two processes with one journal would each make keys and remove what the other has made.
func TestAJournalHasOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), journal)
	first, err := OpenJournal(path, os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(path, 0); !errors.Is(err, ErrJournalInUse) {
		t.Errorf("a second process: got %v", err)
	}
	// A process that opened the journal before the first one ended gets the lock of a file without a name.
	late, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), first.Close()); err != nil {
		t.Fatal(err)
	}
	if err := claim(late, path); !errors.Is(err, ErrJournalInUse) {
		t.Errorf("a process that comes late: got %v", err)
	}
	other, err := OpenJournal(path, os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := claim(late, path); !errors.Is(err, ErrJournalInUse) {
		t.Errorf("a process that comes late, beside a new journal: got %v", err)
	}
	if err := errors.Join(late.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
}

// A file that came between the look into the directory and the lock does not cost the names of keys.
func TestBeginKeepsAJournalThatNamesKeys(t *testing.T) {
	dir := Dir(t.TempDir())
	rows := journalHead + `{"label":"hallmark-issuing","id":"0102030405060708"}` + "\n"
	write(t, dir.In(journal), rows)
	write(t, dir.In("letter"), "mine")
	if _, err := dir.Begin(); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(dir.In(journal)); err != nil || string(text) != rows {
		t.Errorf("the journal is now %q, %v", text, err)
	}
}

// Another `init` may have finished between the look into the directory and the lock.
func TestBeginRemovesNoFinishedStation(t *testing.T) {
	dir := Dir(t.TempDir())
	if err := os.WriteFile(dir.Config(), []byte("station: line"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Begin(); !errors.Is(err, ErrNotEmpty) || !Exists(dir.Config()) || Exists(dir.In(journal)) {
		t.Errorf("got %v; station.yaml is there: %v, the journal: %v", err, Exists(dir.Config()), Exists(dir.In(journal)))
	}
}

// Whoever drops an empty journal into a directory, or finds one there, gives no `init` the right to remove anything.
func TestBeginRemovesOnlyWhatInitHasMade(t *testing.T) {
	head, registry := journalHead, registryRow
	for name, test := range map[string]struct {
		journal string
		files   []string
		want    error // nil: all files are removed
	}{
		"an empty journal":                        {"", []string{"log/thesis", "registry.txt", "certificates/x"}, ErrNotEmpty},
		"a journal whose first line is cut off":   {head[:7], []string{"pki/x"}, ErrNotEmpty},
		"an empty journal beside a registry":      {"", []string{"registry.db"}, ErrNotEmpty},
		"an init that came to the certificates":   {head, []string{"pki/x", "profile.yaml"}, nil},
		"an init that came to the registry":       {head + registry, []string{"pki/x", "registry.db", "registry.db-wal"}, nil},
		"a registry that this init has not made":  {head, []string{"registry.db"}, ErrOtherRegistry},
		"somebody's file beside one of init":      {head + registry, []string{"pki/x", "letter"}, ErrNotEmpty},
		"a station that was finished after all":   {head + registry, []string{"station.yaml", "registry.db"}, ErrNotEmpty},
		"an empty journal in an empty directory":  {"", nil, nil},
		"half a first line in an empty directory": {head[:7], nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := Dir(t.TempDir())
			write(t, dir.In(journal), test.journal)
			for _, file := range test.files {
				write(t, dir.In(file), "mine")
			}
			file, err := dir.Begin()
			if !errors.Is(err, test.want) || err != nil && reason.ExitOf(err) != reason.ExitUsage {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			for _, file := range test.files {
				if Exists(dir.In(file)) == (test.want == nil) {
					t.Errorf("%s is there: %v", file, test.want == nil)
				}
			}
			if text, err := os.ReadFile(dir.In(journal)); err == nil && test.want == nil && !strings.HasPrefix(string(text), head) {
				t.Errorf("the journal begins with %q", text)
			} else if err == nil && test.want != nil && string(text) != test.journal {
				t.Errorf("the refused journal is now %q", text)
			}
			if file != nil {
				_ = file.Close()
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// An init that was killed behind the commit point leaves its journal beside a station. The first process that opens the station
// removes it, and leaves that of an init which still runs.
func TestAFinishedStationLosesItsJournal(t *testing.T) {
	dir := Dir(t.TempDir())
	file, err := dir.Begin()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir.Config(), "station: line")
	if err := dir.EndFinished(); err != nil || !Exists(dir.In(journal)) {
		t.Errorf("the journal of an init that runs: %v, it is there: %v", err, Exists(dir.In(journal)))
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := dir.EndFinished(); err != nil || Exists(dir.In(journal)) {
		t.Errorf("got %v, the journal is there: %v", err, Exists(dir.In(journal)))
	}
	if err := dir.EndFinished(); err != nil {
		t.Errorf("without a journal: %v", err)
	}
}
