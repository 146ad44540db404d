package registry

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// An older registry, or another one, is refused by the start and by the verification. An
// operator may accept it, on record.
func TestARegistryThatDoesNotFitItsMarkIsRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(b *testRegistry, older string)
		want   error
	}{
		{"an older one was put back", func(b *testRegistry, older string) { b.must(os.Rename(older, b.path)) }, ErrOlder},
		{"the mark is missing", func(b *testRegistry, _ string) { b.must(os.Remove(MarkOf(b.path))) }, ErrMarkMissing},
		{"the mark has no octets", func(b *testRegistry, _ string) { b.must(os.Truncate(MarkOf(b.path), 0)) }, ErrMark},
		{"the mark is text", func(b *testRegistry, _ string) { b.must(os.WriteFile(MarkOf(b.path), []byte("mark"), 0o600)) }, ErrMark},
		{"the mark is of another station", func(b *testRegistry, _ string) {
			another := newTestRegistry(b.t)
			another.must(another.Shutdown())
			content, err := os.ReadFile(MarkOf(another.path))
			b.must(err)
			b.must(os.WriteFile(MarkOf(b.path), content, 0o600))
		}, ErrOther},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.enrol(b.run())
			older := filepath.Join(t.TempDir(), "older.db")
			b.must(copyTo(t.Context(), b.writer.conn, older))
			lost := b.enrol(b.run())
			b.must(b.Shutdown())
			test.change(b, older)
			if _, err := Open(t.Context(), b.config()); !errors.Is(err, test.want) {
				t.Errorf("opening: got %v, want %v", err, test.want)
			}
			reader, err := OpenReader(t.Context(), b.path)
			b.must(err)
			if _, err := reader.VerifyAudit(t.Context(), b.vkey); !errors.Is(err, test.want) {
				t.Errorf("verifying: got %v, want %v", err, test.want)
			}
			b.must(reader.Close())
			config := b.config()
			config.AcceptRegistry = "ann"
			if b.Registry, err = Open(t.Context(), config); err != nil {
				t.Fatal(err)
			}
			defer func() { b.must(b.Shutdown()) }()
			b.verify()
			found := false
			_, err = b.VerifyEach(t.Context(), b.vkey, func(e audit.Entry) error {
				found = found || e.Type == "log.accepted" && e.Actor.ID == "ann" && e.Reason == wordOf(test.want)
				return nil
			})
			b.must(err)
			if !found {
				t.Error("the acceptance is not on record")
			}
			if _, err := b.Lookup(t.Context(), lost.Serial); errors.Is(test.want, ErrOlder) != errors.Is(err, station.ErrUnknownCertificate) {
				t.Errorf("the newest certificate: %v", err)
			}
		})
	}
}

// An acceptance that fails is not on record, so the next start refuses the registry again.
func TestAnAcceptanceThatFailsAcceptsNothing(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	older := filepath.Join(t.TempDir(), "older.db")
	b.must(copyTo(t.Context(), b.writer.conn, older))
	b.enrol(b.run())
	b.must(b.Shutdown())
	b.must(os.Rename(older, b.path))
	config := b.config()
	config.AcceptRegistry, config.Station = "ann", strings.Repeat("x", audit.MaxEntry) // no entry can be written
	if _, err := Open(t.Context(), config); !errors.Is(err, audit.ErrTooLarge) {
		t.Fatalf("got %v", err)
	}
	if _, err := Open(t.Context(), b.config()); !errors.Is(err, ErrOlder) {
		t.Errorf("the next start: got %v, want %v", err, ErrOlder)
	}
}

// A copy without the write-ahead log lacks what was committed last.
func TestACopyWithoutItsWriteAheadLogIsRefused(t *testing.T) {
	b := newTestRegistry(t)
	b.reopen() // the shutdown brings everything before from the write-ahead log into the database
	b.enrol(b.run())
	copied := filepath.Join(t.TempDir(), "registry.db")
	b.copyOf(b.path, copied) // while the station runs; the write-ahead log is not copied
	config := b.config()
	config.Path = copied
	if _, err := Open(t.Context(), config); !errors.Is(err, ErrOlder) {
		t.Errorf("opening: got %v, want %v", err, ErrOlder)
	}
}

// A station whose registry was replaced or removed tells nobody that a call was recorded.
func TestARegistryThatWasReplacedTakesNothing(t *testing.T) {
	for name, change := range map[string]func(b *testRegistry, other string){
		"replaced": func(b *testRegistry, other string) { b.must(os.Rename(other, b.path)) },
		"removed":  func(b *testRegistry, _ string) { b.must(os.Remove(b.path)) },
		"the write-ahead log removed": func(b *testRegistry, _ string) {
			b.must(os.Remove(b.path + "-wal"))
		},
		"written over":                                   func(b *testRegistry, _ string) { b.must(os.Truncate(b.path, 0)) }, // as cp begins
		"the write-ahead log emptied":                    func(b *testRegistry, _ string) { b.must(os.Truncate(b.path+"-wal", 0)) },
		"written over by an older copy of the same size": func(b *testRegistry, other string) { b.writeOver(b.path, b.sized(other)) },
		"written over by a longer copy":                  func(b *testRegistry, other string) { b.writeOver(b.path, b.sized(other)+strings.Repeat("x", 4096)) },
		"written over, and its time set back": func(b *testRegistry, other string) {
			info, err := os.Stat(b.path)
			b.must(err)
			b.writeOver(b.path, b.sized(other))
			b.must(os.Chtimes(b.path, info.ModTime(), info.ModTime()))
		},
		"the write-ahead log written over by one of the same size": func(b *testRegistry, _ string) {
			content, err := os.ReadFile(b.path + "-wal")
			b.must(err)
			b.writeOver(b.path+"-wal", string(content))
		},
		"changed with SQL": func(b *testRegistry, _ string) { b.tamper(`UPDATE state SET value = '1' WHERE key = 'startup'`) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			b.reopen()
			other := filepath.Join(t.TempDir(), "other.db")
			b.must(copyTo(t.Context(), b.writer.conn, other))
			b.enrol(b.run())
			change(b, other)
			for range 2 {
				err := b.Admit(t.Context(), newRun(devices.BoardID(uuid.New()), "hardware"))
				if !errors.Is(err, ErrReplaced) || !errors.Is(err, station.ErrRegistry) || errors.Is(err, ErrNotDurable) { // the disk is not the cause
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// sized gives the content of a copy with the size of the registry.
func (b *testRegistry) sized(copied string) string {
	b.t.Helper()
	content, err := os.ReadFile(copied)
	b.must(err)
	info, err := os.Stat(b.path)
	b.must(err)
	return string(append(content, make([]byte, info.Size())...)[:info.Size()])
}

// writeOver writes content into a file that stays the same file, until the time of the file differs:
// the clock of a file system ticks every few milliseconds.
func (b *testRegistry) writeOver(path, content string) {
	b.t.Helper()
	before, err := os.Stat(path)
	b.must(err)
	for now := before; now.ModTime().Equal(before.ModTime()); {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		b.must(err)
		_, err = file.WriteString(content)
		b.must(errors.Join(err, file.Close()))
		now, err = os.Stat(path)
		b.must(err)
	}
}

// What was committed last may lie in the write-ahead log alone. So the end of the station does not
// bring it into a file that somebody wrote over.
func TestTheWriteAheadLogOfARegistryThatWasWrittenOverStays(t *testing.T) {
	b := newTestRegistry(t)
	other := filepath.Join(t.TempDir(), "other.db")
	b.must(copyTo(t.Context(), b.writer.conn, other))
	b.enrol(b.run())
	b.writeOver(b.path, b.sized(other))
	before := b.contents()
	if err := b.Event(t.Context(), Event{Type: "doctor.done", Outcome: audit.Success}); !errors.Is(err, ErrReplaced) {
		t.Fatalf("got %v", err)
	}
	if err := b.Shutdown(); !errors.Is(err, ErrReplaced) {
		t.Errorf("the end: %v", err)
	}
	after := b.contents()
	for _, name := range []string{filepath.Base(b.path), filepath.Base(b.path) + "-wal"} {
		if before[name] == "" || before[name] != after[name] {
			t.Errorf("%s was changed: %d octets before, %d after", name, len(before[name]), len(after[name]))
		}
	}
}

// A new mode, a further link and the times of a reader change no registry.
func TestAChangeOfTheInodeAloneIsNoWriting(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	info, err := os.Stat(b.path)
	b.must(err)
	b.must(os.Chmod(b.path, 0o640))
	b.must(os.Link(b.path, b.path+".link"))
	b.must(os.Chtimes(b.path, info.ModTime(), info.ModTime()))
	b.enrol(b.run())
	b.verify()
}

// A registry whose pages are damaged is refused with a next action. So looks a registry.db that
// The next checkpoint makes a mark anew that somebody removed: the log itself is whole.
func TestAMarkThatWasRemovedIsMadeAnew(t *testing.T) {
	b := newTestRegistry(t)
	b.must(os.Remove(MarkOf(b.path)))
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.verify()
	b.reopen()
	b.verify()
}

// A work order whose row was changed is not used: with a greater quota, boards would be signed

// The form of a slot stays: a station of another version reads the mark.
func TestASlotOfTheMarkHasItsForm(t *testing.T) {
	text := "hallmark-mark-1 12345 " + strings.Repeat("ab", 32)
	want := fmt.Sprintf("%-512s", fmt.Sprintf("%s %x\n", text, sha256.Sum256([]byte(text))))
	head := audit.Head{Size: 12345, Root: tlog.Hash(bytes.Repeat([]byte{0xab}, 32))}
	if got := string(encodeSlot(head)); got != want {
		t.Errorf("the slot is %q, want %q", got, want)
	}
	if got, ok := decodeSlot([]byte(want)); !ok || got != head {
		t.Errorf("the slot says %v, %v; want %v", got, ok, head)
	}
}
