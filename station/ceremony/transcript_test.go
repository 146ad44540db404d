package ceremony

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/station/workdir"
)

func newAct(text string) *Act {
	return &Act{File: &configs.Ceremony{Ceremony: "csr"}, Text: []byte(text), Show: io.Discard, now: func() time.Time { return noon }}
}

func TestATranscriptGoesOnWhereACeremonyStopped(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "out")
	first, err := openTranscript(folder, newAct("a"))
	must(t, err)
	key, err := first.intend("issuing", 8, bytes.NewReader(make([]byte, 8)))
	must(t, err)
	if left := first.left(); !strings.Contains(left, `the key "issuing" with id 0000000000000000 may be on the token`) {
		t.Errorf("a stop while the key is made says %q", left)
	}
	must(t, first.close())

	second, err := openTranscript(folder, newAct("a"))
	must(t, err)
	again, err := second.intend("issuing", 8, bytes.NewReader([]byte("another id")))
	must(t, err)
	if !bytes.Equal(again.ref.ID, key.ref.ID) || !second.resumed || !again.begun {
		t.Errorf("the second ceremony takes the id %x, want %x", again.ref.ID, key.ref.ID)
	}
	must(t, second.refused(again.ref))
	if left := second.left(); left != "" {
		t.Errorf("after the token refused the label: %q", left)
	}
	must(t, second.close())
	third, err := openTranscript(folder, newAct("a"))
	must(t, err)
	if next, err := third.intend("issuing", 8, bytes.NewReader([]byte("a new id"))); err != nil || next.begun || string(next.ref.ID) != "a new id" {
		t.Errorf("after a refused label: %+v, %v", next, err)
	}
	must(t, third.close())
	if _, err := openTranscript(folder, newAct("b")); !errors.Is(err, ErrOutput) {
		t.Errorf("another file goes on: %v", err)
	}
}

// Two processes that hold one ceremony would sign twice, and the second would remove the results of the first.
func TestACeremonyIsHeldByOneProcess(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "out")
	first, err := openTranscript(folder, newAct("a"))
	must(t, err)
	if _, err := openTranscript(folder, newAct("a")); !errors.Is(err, workdir.ErrJournalInUse) || !errors.Is(err, ErrOutput) {
		t.Errorf("a second process: got %v", err)
	}
	must(t, first.close())
}

// A power cut after the last result and before the transcript lost its name leaves a finished ceremony.
func TestAFinishedCeremonyIsNotHeldAgain(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	results := []string{"root.pem", "key.pub", "transcript.jsonl", "transcript.txt", "transcript.txt.sig", "transcript.sig"}
	for _, test := range []struct {
		name   string
		change func(folder string) error
		whole  bool
	}{
		{"everything is there", func(string) error { return nil }, true},
		{"the signature is missing", func(folder string) error { return os.Remove(filepath.Join(folder, "transcript.sig")) }, false},
		{"a result is missing", func(folder string) error { return os.Remove(filepath.Join(folder, "root.pem")) }, false},
		{"a result is another one", func(folder string) error {
			return errors.Join(os.Remove(filepath.Join(folder, "root.pem")), os.WriteFile(filepath.Join(folder, "root.pem"), []byte("other"), 0o600))
		}, false},
		{"the signature is cut", func(folder string) error { return os.Truncate(filepath.Join(folder, "transcript.sig"), 10) }, false},
		{"the signature of the text for people is cut", func(folder string) error { return os.Truncate(filepath.Join(folder, "transcript.txt.sig"), 10) }, false},
		{"the text for people is missing", func(folder string) error { return os.Remove(filepath.Join(folder, "transcript.txt")) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "out")
			log, err := openTranscript(folder, newAct("a"))
			must(t, err)
			must(t, log.finish([]workdir.File{{Path: "root.pem", Content: []byte("first")}}, key))
			must(t, errors.Join(log.close(), os.WriteFile(filepath.Join(folder, unfinished), log.text, 0o600), test.change(folder)))
			again, err := openTranscript(folder, newAct("a"))
			must(t, err)
			if again.ended != test.whole {
				t.Fatalf("it is taken as finished: %v, want %v", again.ended, test.whole)
			}
			if test.whole {
				must(t, again.end())
			} else {
				must(t, again.finish([]workdir.File{{Path: "root.pem", Content: []byte("second")}}, key))
			}
			must(t, again.close())
			for _, name := range results {
				if !workdir.Exists(filepath.Join(folder, name)) {
					t.Errorf("%s is missing", name)
				}
			}
			text, err := os.ReadFile(filepath.Join(folder, "root.pem"))
			must(t, err)
			if want := map[bool]string{true: "first", false: "second"}[test.whole]; string(text) != want || workdir.Exists(filepath.Join(folder, unfinished)) {
				t.Errorf("root.pem holds %q, want %q; the unfinished transcript is there: %v", text, want, workdir.Exists(filepath.Join(folder, unfinished)))
			}
		})
	}
}

// A file with a typo must not bind its directory. What is on record about a key stays.
func TestACeremonyInWhichNothingHappenedLeavesNothing(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		stays bool
	}{
		{"the token did not open", nil, false},
		{"the key was not found", []string{"token"}, false},
		{"the label is taken", []string{"token", "key-intended", "key-refused"}, false},
		{"a key may have been made", []string{"token", "key-intended"}, true},
		{"a key was found", []string{"token", "key-found"}, true},
		{"a key was made", []string{"token", "key-intended", "key-made"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "out")
			for range 2 { // the second is a ceremony that goes on
				log, err := openTranscript(folder, newAct("a"))
				must(t, err)
				for _, what := range test.lines {
					must(t, log.add(what, map[string]string{"label": "a", "id": "01"}))
				}
				must(t, errors.Join(log.discard(), log.close()))
				if workdir.Exists(folder) != test.stays {
					t.Errorf("the directory is there: %v, want %v", !test.stays, test.stays)
				}
			}
		})
	}
	folder := filepath.Join(t.TempDir(), "out")
	log, err := openTranscript(folder, newAct("a"))
	must(t, err)
	must(t, log.close())
	if _, err := openTranscript(folder, newAct("b")); err == nil || !strings.Contains(err.Error(), "give the file that it has in its first line, or name another directory in out") {
		t.Errorf("another file: got %v", err)
	}
}

func TestATranscriptThatWasChangedIsRefused(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "out")
	made, err := openTranscript(folder, newAct("a"))
	must(t, err)
	must(t, made.add("token", map[string]string{"label": "line"}))
	must(t, made.add("key-made", map[string]string{"label": "issuing"}))
	must(t, made.close())
	good := made.text
	rows := bytes.SplitAfter(good, []byte("\n"))
	for name, text := range map[string][]byte{
		"a fact was changed":       bytes.Replace(good, []byte(`"line"`), []byte(`"lime"`), 1),
		"a line was taken out":     append(bytes.Clone(rows[0]), rows[2]...),
		"two lines were swapped":   bytes.Join([][]byte{rows[0], rows[2], rows[1]}, nil),
		"octets follow a line":     bytes.Replace(good, []byte("\n"), []byte(" {}\n"), 1)[:len(rows[0])+3],
		"an unknown key was added": bytes.Replace(good, []byte(`{"seq":0`), []byte(`{"more":1,"seq":0`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(filepath.Join(folder, unfinished), text, 0o600))
			if _, err := openTranscript(folder, newAct("a")); !errors.Is(err, ErrTranscript) || !strings.Contains(err.Error(), "begin again with another directory in out") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The ceremony had not gone on after a line that a power cut tore.
func TestATranscriptWithATornLineGoesOn(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "out")
	made, err := openTranscript(folder, newAct("a"))
	must(t, err)
	first := len(made.text)
	must(t, made.add("token", map[string]string{"label": "line"}))
	must(t, made.close())
	good := made.text
	for left := range len(good) {
		must(t, os.WriteFile(filepath.Join(folder, unfinished), good[:left], 0o600))
		again, err := openTranscript(folder, newAct("a"))
		if err != nil {
			t.Fatalf("%d of %d octets: %v", left, len(good), err)
		}
		must(t, again.close())
		text, err := os.ReadFile(filepath.Join(folder, unfinished))
		must(t, err)
		lines, err := parseTranscript(text)
		must(t, err)
		last := lines[len(lines)-1]
		switch {
		case left < first && (len(lines) != 1 || last.What != "begin"):
			t.Errorf("%d octets: %v, want a ceremony that begins", left, lines)
		case left > first && last.Facts["torn_octets"] != strconv.Itoa(left-first):
			t.Errorf("%d octets: %v, want to read that %d octets were torn", left, last, left-first)
		case left == first && (last.What != "resumed" || last.Facts["torn_octets"] != ""):
			t.Errorf("%d octets: %v, want no torn line", left, last)
		}
	}
}

func TestWhatACeremonyHasWrittenIsNeverChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.pem")
	must(t, writeOnce(path, []byte("first")))
	if err := writeOnce(path, []byte("second")); !errors.Is(err, ErrOutput) {
		t.Errorf("got %v", err)
	}
	info, err := os.Stat(path)
	must(t, err)
	if text, _ := os.ReadFile(path); string(text) != "first" || info.Mode().Perm() != 0o444 {
		t.Errorf("%q with mode %v", text, info.Mode())
	}
}

// The key signs the whole transcript at the end, so a stopped transcript may say nothing that the ceremony did not.
func TestAStoppedTranscriptThatSomebodyWroteAnewIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		facts map[string]string // of a transcript whose lines follow each other
		mode  os.FileMode
		want  error
	}{
		"another text than the file":     {map[string]string{"ceremony": "csr", "file": "b", "file_sha256": hexSum([]byte("a"))}, 0o600, ErrOutput},
		"another ceremony":               {map[string]string{"ceremony": "root", "file": "a", "file_sha256": hexSum([]byte("a"))}, 0o600, ErrOutput},
		"everybody may have written it":  {map[string]string{"ceremony": "csr", "file": "a", "file_sha256": hexSum([]byte("a"))}, 0o666, workdir.ErrOthersJournal},
		"the transcript of the ceremony": {map[string]string{"ceremony": "csr", "file": "a", "file_sha256": hexSum([]byte("a"))}, 0o600, nil},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "out")
			must(t, os.Mkdir(folder, 0o700))
			path := filepath.Join(folder, unfinished)
			file, err := os.Create(path)
			must(t, err)
			forged := &transcript{file: file, now: func() time.Time { return noon }, show: io.Discard}
			must(t, forged.add("begin", test.facts))
			must(t, forged.add("key-intended", map[string]string{"label": "of somebody else", "id": "01"}))
			must(t, errors.Join(forged.close(), os.Chmod(path, test.mode)))
			log, err := openTranscript(folder, newAct("a"))
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err != nil {
				return
			}
			if key, err := log.intend("issuing", 8, bytes.NewReader(make([]byte, 8))); !errors.Is(err, ErrTranscript) {
				t.Errorf("adopts the key %+v: %v", key, err)
			}
			must(t, log.close())
		})
	}
}

func TestADirectoryWithoutAStoppedCeremonyIsNamed(t *testing.T) {
	base := t.TempDir()
	for name, test := range map[string]struct {
		prepare func(path string) error
		want    string
	}{
		"finished": {func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "transcript.sig"), nil, 0o400))
		}, "holds a ceremony that is finished; use its results"},
		"empty":    {func(path string) error { return os.Mkdir(path, 0o700) }, "is an empty directory, and the ceremony makes its own; remove"},
		"dangling": {func(path string) error { return os.Symlink("/nonexistent", path) }, "is a link that leads nowhere; name"},
		"a file":   {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "exists and is no directory"},
		"other": {func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "letter"), nil, 0o600))
		}, "exists and holds no ceremony that was stopped; name a new directory in out"},
	} {
		path := filepath.Join(base, name)
		must(t, test.prepare(path))
		if _, err := stoppedIn(path); !errors.Is(err, ErrOutput) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
