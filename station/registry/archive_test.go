package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// kept are the bodies of a registry, as an archive has them.
type kept map[int64][]byte

func (k kept) Body(seq int64) ([]byte, error) {
	if body, ok := k[seq]; ok {
		return body, nil
	}
	return nil, fmt.Errorf("there is no entry %d", seq)
}

// archive archives all that can be archived, and gives the bodies before.
func (b *testRegistry) archive() (Archive, kept) {
	b.t.Helper()
	a, err := b.ArchiveBound(b.t.Context(), Wanted{Before: b.now().Add(time.Hour)}, nil)
	b.must(err)
	if b.bodies != nil { // of the archive before
		b.Restore(b.bodies, b.until)
	}
	bodies := kept{}
	b.must(b.EachBody(b.t.Context(), a.Until, func(seq int64, body []byte) error {
		bodies[seq] = append([]byte{}, body...)
		return nil
	}))
	a.SHA256, a.SumsSHA256 = [32]byte{1}, [32]byte{2}
	sign := func() error { return b.Checkpoint(b.t.Context(), origin, b.key) }
	b.must(b.Registry.Archive(b.t.Context(), a, "ann", sign))
	b.must(sign())
	b.bodies, b.until = bodies, a.Until
	return a, bodies
}

// archived gives a closed registry with an archive, and all that a registry can have before the archive.
func archived(t *testing.T) (*testRegistry, Archive, kept) {
	b := newTestRegistry(t)
	b.everything()
	b.reopen() // so that the entry of the newest start is newer
	a, bodies := b.archive()
	b.must(b.Shutdown())
	return b, a, bodies
}

// A label that one archive left, and that was read before the next archive, is not wanted again.
func TestALabelThatWasReadIsNotWantedAgainAfterAnArchive(t *testing.T) {
	b := newTestRegistry(t)
	b.wantsLabel("1")
	b.wantsLabel("2")
	b.reopen()
	b.archive()
	b.readsLabel("1")
	b.wantsLabel("1")
	b.readsLabel("1")
	b.reopen()
	b.archive()
	if bays := b.unlabelled(b.Reader); bays != "2 " {
		t.Errorf("the bays %q wait for a label", bays)
	}
	b.reopen()
}

// removed gives the entries without a body.
func (b *testRegistry) removed() (seqs []int64) {
	b.t.Helper()
	db, err := openForReading(b.path, nil)
	b.must(err)
	defer db.Close()
	rows, err := db.Query(`SELECT seq FROM audit_entry WHERE body = x'' ORDER BY seq`)
	b.must(err)
	seqs, err = collect(rows, func(seq *int64) []any { return []any{seq} })
	b.must(err)
	return seqs
}

func TestAnArchivedLogVerifies(t *testing.T) {
	b, a, bodies := archived(t)
	gone := b.removed()
	if len(gone) < 10 || gone[len(gone)-1] >= a.Until {
		t.Fatalf("the bodies of %v are removed, the archive has the entries before %d", gone, a.Until)
	}
	// 1. What a start looks up, however old it is, stays.
	for _, seq := range gone {
		if e, err := audit.Decode(bodies[seq]); err != nil || stays(e.Type) {
			t.Errorf("entry %d, %s, is removed: %v", seq, e.Type, err)
		}
	}
	// 2. Without the archive the tree holds, and the report says what it lacks.
	reader, err := OpenReader(t.Context(), b.path)
	must(t, err)
	defer reader.Close()
	report, err := reader.VerifyAudit(t.Context(), b.vkey)
	if err != nil || report.Archived != int64(len(gone)) || !strings.Contains(report.Lacks, fmt.Sprintf("entries 0 to %d ", a.Until-1)) {
		t.Errorf("%+v, %v", report, err)
	}
	if bays := b.unlabelled(reader); bays != "2 " {
		t.Errorf("after the archive the bays %q wait for a label", bays)
	}
	// 3. What needs a body names the archive.
	err = reader.EachBody(t.Context(), a.Until, func(int64, []byte) error { return nil })
	if !errors.Is(err, ErrArchived) {
		t.Errorf("reading all bodies: %v", err)
	}
	_, err = reader.Bodies(t.Context(), gone[0], gone[0]+1)
	if !errors.Is(err, ErrArchived) {
		t.Errorf("reading a body for a mirror: %v", err)
	}
	// 4. With the archive everything is there.
	reader.Restore(bodies, a.Until)
	again, err := reader.VerifyAudit(t.Context(), b.vkey)
	if err != nil || again.Lacks != "" || again.Archived != 0 || again.Head != report.Head {
		t.Errorf("%+v, %v", again, err)
	}
	must(t, reader.EachBody(t.Context(), a.Until, func(seq int64, body []byte) error {
		if string(body) != string(bodies[seq]) {
			t.Errorf("entry %d is %s", seq, body)
		}
		return nil
	}))
	// 5. The file becomes smaller, and the station goes on.
	before, err := os.Stat(b.path)
	must(t, err)
	must(t, Shrink(t.Context(), b.path))
	if after, err := os.Stat(b.path); err != nil || after.Size() >= before.Size() {
		t.Errorf("the file has %d octets, and had %d: %v", after.Size(), before.Size(), err)
	}
	b.open()
	if err := Shrink(t.Context(), b.path); !errors.Is(err, ErrLocked) {
		t.Errorf("beside a station: %v", err)
	}
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.Restore(bodies, a.Until)
	b.verify()
}

func TestAWorkOrderGoesOnOverAnArchive(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 2}, "ann"))
	inOrder := func() error {
		run := b.run()
		run = again(run, "")
		run.Identity.ID[0]++
		run.Order = "WO-1"
		if err := b.Admit(t.Context(), run); err != nil {
			return err
		}
		in := intent(run)
		if _, err := b.Intend(t.Context(), in); err != nil {
			return err
		}
		return b.Issued(t.Context(), in.Serial, []byte("certificate"))
	}
	for want := 1; want <= 2; want++ {
		b.must(inOrder())
		b.must(b.Checkpoint(t.Context(), origin, b.key))
		b.reopen()
		b.archive()
		b.reopen()
	}
	if err := inOrder(); !errors.Is(err, ErrQuota) {
		t.Errorf("the work order is full: %v", err)
	}
}

func TestABodyFromAnArchiveMustHaveItsHash(t *testing.T) {
	b, a, bodies := archived(t)
	gone := b.removed()[0]
	bodies[gone] = append(bodies[gone][:len(bodies[gone])-1], ' ')
	reader, err := OpenReader(t.Context(), b.path)
	must(t, err)
	defer reader.Close()
	reader.Restore(bodies, a.Until)
	if _, err := reader.VerifyAudit(t.Context(), b.vkey); !errors.Is(err, ErrArchiveOther) {
		t.Errorf("verifying: %v", err)
	}
	if _, err := reader.Bodies(t.Context(), gone, gone+1); !errors.Is(reader.Why(err), ErrArchiveOther) {
		t.Errorf("reading: %v", err)
	}
}

func TestEveryTamperingOfAnArchivedRegistryShows(t *testing.T) {
	b, _, _ := archived(t)
	b.everyTampering()
}

// Each change is found at the start, and by a verification without the archive.
func TestABodyThatIsMissingWithoutAnArchiveIsFound(t *testing.T) {
	for name, change := range map[string]string{
		"behind the archive":              `UPDATE audit_entry SET body = x'' WHERE seq = (SELECT until FROM archives)`,
		"the genesis":                     `UPDATE audit_entry SET body = x'' WHERE seq = 0`,
		"an archive that is longer":       `UPDATE archives SET until = until + 1; UPDATE audit_entry SET body = x'' WHERE seq = (SELECT until FROM archives) - 1`,
		"an archive without its row":      `DELETE FROM archives`,
		"an archive with another digest":  `UPDATE archives SET sha256 = zeroblob(32)`,
		"an archive that nobody made":     `INSERT INTO archives SELECT until + 1, until, entry, root, sha256, removed_sha256, sums_sha256 FROM archives`,
		"an archive that begins later":    `UPDATE archives SET first = 1`,
		"an archive with another content": `UPDATE archives SET sums_sha256 = zeroblob(32)`,
		"the newest count of an order":    `UPDATE audit_entry SET body = x'' WHERE seq = (SELECT max(seq) FROM audit_entry WHERE instr(body, '"id":"WO-1","product"') AND seq < (SELECT until FROM archives))`,
		"one more that stays, in the row": `UPDATE archives SET removed_sha256 = zeroblob(32)`,
		"a body that is there again":      `UPDATE audit_entry SET body = X'7b7d' WHERE seq = (SELECT min(seq) FROM audit_entry WHERE body = x'')`,
	} {
		t.Run(name, func(t *testing.T) {
			b, _, _ := archived(t)
			triggers := b.triggers()
			b.tamper(`DROP TRIGGER archive_fixed`, `DROP TRIGGER archive_stays`, `DROP TRIGGER audit_entry_fixed`, change)
			b.tamper(triggers...)
			if _, err := Open(t.Context(), b.config()); !errors.Is(err, ErrDiffers) && !errors.Is(err, audit.ErrEntry) {
				t.Errorf("the start: %v", err)
			}
			reader, err := OpenReader(t.Context(), b.path)
			must(t, err)
			defer reader.Close()
			if _, err = reader.VerifyAudit(t.Context(), b.vkey); !errors.Is(err, ErrDiffers) && !errors.Is(err, audit.ErrEntry) {
				t.Errorf("verifying: %v", err)
			}
		})
	}
}

// triggers gives the statements that make the triggers of archives again.
func (b *testRegistry) triggers() (statements []string) {
	b.t.Helper()
	db, err := openForReading(b.path, nil)
	b.must(err)
	defer db.Close()
	rows, err := db.Query(`SELECT sql FROM sqlite_schema WHERE name IN ('archive_fixed', 'archive_stays', 'audit_entry_fixed')`)
	b.must(err)
	statements, err = collect(rows, func(s *string) []any { return []any{s} })
	b.must(err)
	return statements
}

func TestTheTriggerLetsOnlyArchivedBodiesGo(t *testing.T) {
	b, a, _ := archived(t)
	db, err := OpenReader(t.Context(), b.path)
	must(t, err)
	must(t, db.Close())
	for change, allowed := range map[string]bool{
		`UPDATE audit_entry SET body = x'' WHERE seq = 0`:                                          true,
		`UPDATE audit_entry SET body = x'00' WHERE seq = 1`:                                        false,
		`UPDATE audit_entry SET hashes = zeroblob(32) WHERE seq = 1`:                               false,
		`UPDATE audit_entry SET seq = 1000 WHERE seq = 1`:                                          false,
		fmt.Sprintf(`UPDATE audit_entry SET body = x'' WHERE seq = %d`, a.Until):                   false,
		`UPDATE archives SET until = until + 5`:                                                    false,
		`DELETE FROM archives`:                                                                     false,
		`INSERT INTO archives VALUES (1, 5, 9, '', zeroblob(32), zeroblob(32), zeroblob(32))`:      false,
		`INSERT INTO archives VALUES (999, 5, 1000, '', zeroblob(31), zeroblob(32), zeroblob(32))`: false,
		fmt.Sprintf(`UPDATE audit_entry SET body = x'' WHERE seq IN (%d, %d)`, 1, a.Until+1):       false,
		fmt.Sprintf(`UPDATE audit_entry SET body = x'' WHERE seq BETWEEN %d AND %d`, 1, 2):         true,
		fmt.Sprintf(`UPDATE audit_entry SET body = x'', hashes = x'' WHERE seq = %d`, a.Until):     false,
	} {
		err := execute(t.Context(), b.path, nil, `BEGIN; `+change+`; ROLLBACK`)
		if (err == nil) != allowed {
			t.Errorf("%s: %v", change, err)
		}
	}
}

func TestTheBoundOfAnArchive(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	size, _, err := b.NewestCheckpoint(t.Context())
	must(t, err)
	later := time.Now().Add(time.Hour)
	b.reopen()
	open := b.run()
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	// 1. The entry of the newest start and what is open stay.
	if a, err := b.ArchiveBound(t.Context(), Wanted{Before: later}, nil); err != nil || a.Until > size+1 || a.First != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	// 2. The time.
	if _, err := b.ArchiveBound(t.Context(), Wanted{Before: time.Unix(0, 0).UTC()}, nil); !errors.Is(err, ErrNothingToArchive) {
		t.Errorf("before everything: %v", err)
	}
	// 3. A number of entries.
	first, err := b.ArchiveBound(t.Context(), Wanted{Entries: size - 1}, nil)
	if err != nil || first.Until == 0 || first.Until >= size {
		t.Errorf("fewer entries than %d: %+v, %v", size, first, err)
	}
	if _, err := b.ArchiveBound(t.Context(), Wanted{Entries: 1}, nil); !errors.Is(err, ErrNothingToArchive) || !strings.Contains(err.Error(), "at or below 1 entry") {
		t.Errorf("one entry: %v", err)
	}
	// 4. A mirror that has nothing yet, and a mirror that has a part.
	witness := newWitness(t, "mirror.test/m1")
	if _, err := b.ArchiveBound(t.Context(), Wanted{Before: later}, []note.Verifier{witness}); !errors.Is(err, ErrNothingToArchive) || !strings.Contains(err.Error(), "mirror.test/m1") {
		t.Errorf("a mirror without entries: %v", err)
	}
	// A webhook whose receiver is away for long.
	if _, err := b.ArchiveBound(t.Context(), Wanted{Before: later, Unsent: 1, Webhook: "the webhook mes"}, nil); !errors.Is(err, ErrNothingToArchive) || !strings.Contains(err.Error(), "the webhook mes") {
		t.Errorf("a webhook that has taken nothing: %v", err)
	}
	open.Ending = station.Aborted
	b.must(b.closeRun(t.Context(), open))
	b.reopen()
	b.archive()
	// 5. A second archive begins where the first one ends.
	made, err := b.Archives(t.Context())
	must(t, err)
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.reopen()
	a, err := b.ArchiveBound(t.Context(), Wanted{Before: later}, nil)
	if err != nil || a.First != made[0].Until || a.Until <= a.First {
		t.Errorf("%+v after %+v, %v", a, made, err)
	}
}

// killPoint has the point at which the test binary kills itself while it archives; see archivingUntilKilled.
const killPoint = "HALLMARK_TEST_KILL_ARCHIVING"

// archivingUntilKilled archives, and kills this process: before the checkpoint over the intent, after it, or in the
// transaction that removes the bodies.
func archivingUntilKilled(path, point string) error {
	die := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }
	ctx, signed := context.Background(), false
	now := func() time.Time {
		if signed && point == "removing" { // the entry log.archived takes the time
			die()
		}
		return time.Now()
	}
	r, err := Open(ctx, Config{Path: path, Station: "line-1", Now: now})
	if err != nil {
		return err
	}
	a, err := r.ArchiveBound(ctx, Wanted{Before: time.Now().Add(time.Hour)}, nil)
	if err != nil {
		return err
	}
	a.SHA256 = [32]byte{1}
	return r.Archive(ctx, a, "ann", func() error {
		signed = true
		if point != "removing" {
			die()
		}
		return nil
	})
}

func TestAKilledArchiveLeavesAllBodies(t *testing.T) {
	for _, point := range []string{"signing", "removing"} {
		t.Run(point, func(t *testing.T) {
			b := newTestRegistry(t)
			b.everything()
			b.must(b.Shutdown())
			self, err := os.Executable()
			must(t, err)
			command := exec.Command(self)
			command.Env = append(os.Environ(), stormVariable+"="+b.path, killPoint+"="+point)
			if out, err := command.CombinedOutput(); err == nil || len(out) > 0 {
				t.Fatalf("it was not killed: %v, %s", err, out)
			}
			if gone := b.removed(); len(gone) > 0 {
				t.Errorf("the bodies of %v are removed", gone)
			}
			b.open()
			if n := b.count(typeArchiveIntent); n != 1 {
				t.Errorf("%d intents", n)
			}
			b.verify()
			b.archive()
			b.reopen()
		})
	}
}

// The disk is full when the bodies would be removed: all bodies are there, and an archive is made when there is room.
func TestAFullDiskWhileArchivingLeavesAllBodies(t *testing.T) {
	b := newTestRegistry(t)
	b.everything()
	b.reopen()
	a, err := b.ArchiveBound(t.Context(), Wanted{Entries: 1 << 40}, nil)
	must(t, err)
	fill := func() error {
		b.full(true)
		for err == nil { // until the file has no room for a small entry
			err = b.Event(t.Context(), Event{Type: "test.fill", Outcome: audit.Success, Details: map[string]string{"text": strings.Repeat("x", maxText)}})
		}
		for err = error(nil); err == nil; {
			err = b.Event(t.Context(), Event{Type: "test.fill", Outcome: audit.Success})
		}
		return nil
	}
	if err := b.Registry.Archive(t.Context(), a, "ann", fill); !errors.Is(err, ErrNotDurable) {
		t.Fatalf("got %v, want %v", err, ErrNotDurable)
	}
	b.full(false)
	if gone := b.removed(); len(gone) > 0 {
		t.Errorf("the bodies of %v are removed", gone)
	}
	b.verify()
	b.archive()
	b.reopen()
}

// The file cannot be written anew on a full disk. The archive stands, and the station goes on.
func TestAFullDiskKeepsTheFileAsItIs(t *testing.T) {
	b, a, bodies := archived(t)
	path := b.onFullDisk()
	if err := Shrink(t.Context(), path); !errors.Is(err, ErrNotDurable) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("on a full disk: %v", err)
	}
	must(t, os.Remove(filepath.Join(filepath.Dir(path), "filler")))
	b.path = path
	b.open()
	b.Restore(bodies, a.Until)
	b.verify()
	b.must(b.Shutdown())
	must(t, Shrink(t.Context(), path))
}

func TestARegistryOfSchema6IsMigrated(t *testing.T) {
	path, vkey := stored(t, "testdata/schema6.sql")
	markAsNewest(t, path)
	reader, err := OpenReader(t.Context(), path)
	must(t, err)
	before, err := reader.VerifyAudit(t.Context(), vkey)
	must(t, errors.Join(err, reader.Close()))
	r, err := Open(t.Context(), Config{Path: path, Station: "demo"})
	must(t, err)
	report, err := r.VerifyAudit(t.Context(), vkey)
	if err != nil || report.Size <= before.Size {
		t.Errorf("%+v, %v", report, err)
	}
	boards, err := r.Boards(t.Context(), Filter{})
	if err != nil || len(boards) != 3 {
		t.Errorf("%d boards, %v", len(boards), err)
	}
	must(t, r.Shutdown())
	r, err = Open(t.Context(), Config{Path: path, Station: "demo"})
	must(t, err)
	must(t, r.Shutdown())
}

// The birth record of a board has all its entries from an archive, too: also what was written before its first Run. What lies in an archive
// that was not given is named, and not left out.
func TestTheEntriesOfABoardAreWholeBehindAnArchive(t *testing.T) {
	b := newTestRegistry(t)
	known, recovered := newRun(devices.BoardID(uuid.New()), "hardware"), Recovery{Operator: "ann", Why: "found locked"}
	recovered.Board = known.Identity.ID // an erase before its first Run
	b.must(b.RecoverIntended(t.Context(), recovered))
	b.must(b.RecoverDone(t.Context(), recovered, "", nil))
	b.must(b.Admit(t.Context(), known))
	b.enrol(known)
	refused := newRun(devices.BoardID(uuid.New()), "hardware") // its refusal is the entry before its Run
	refused.Order = "WO-unknown"
	if err := b.Admit(t.Context(), refused); !errors.Is(err, ErrUnknownOrder) {
		t.Fatal(err)
	}
	refused.Ending, refused.Reason = station.Reject, ErrUnknownOrder.Word()
	b.must(b.closeRun(t.Context(), refused))
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.reopen()
	a, bodies := b.archive()
	late := b.run()
	b.enrol(late)
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	seqs := func(r *Reader, id devices.BoardID) (seqs []int64, err error) {
		err = r.EachEntry(t.Context(), b.AuditSize(), Selection{BoardID: id}, func(e *audit.Entry, _ []byte) error {
			seqs = append(seqs, e.Seq)
			return nil
		})
		return seqs, err
	}
	// 1. Without the archive each answer that may need an archived entry names the archive.
	reader, err := OpenReader(t.Context(), b.path)
	b.must(err)
	defer reader.Close()
	for _, run := range []*station.Run{known, refused} {
		if _, err := seqs(reader, run.Identity.ID); !errors.Is(err, ErrArchived) {
			t.Errorf("without the archive: %v", err)
		}
	}
	if got, err := seqs(reader, late.Identity.ID); err != nil || len(got) != 6 {
		t.Errorf("a board of which the archive has nothing: %v, %v", got, err)
	}
	// 2. With it, nothing is left out.
	b.reopen()
	b.Restore(bodies, a.Until)
	b.boardsHaveTheirEntries()
}
