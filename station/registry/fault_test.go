package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"golang.org/x/sys/unix"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

func TestASecondStationIsRefused(t *testing.T) {
	b := newTestRegistry(t)
	if _, err := Open(t.Context(), b.config()); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
	reader, err := OpenReader(t.Context(), b.path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := reader.VerifyAudit(t.Context(), b.vkey); err != nil {
		t.Errorf("a reader beside the station: %v", err)
	}
}

func TestTheLockIsFreeAlthoughAChildStillHasItsFile(t *testing.T) {
	b := newTestRegistry(t)
	child, err := unix.Dup(int(b.lock.Fd())) // as a process that has not yet begun its program
	b.must(err)
	defer unix.Close(child)
	b.must(b.Shutdown())
	again, err := Open(t.Context(), b.config())
	b.must(err)
	b.must(again.Shutdown())
}

func TestSettingsAreReadBack(t *testing.T) {
	b := newTestRegistry(t)
	for _, s := range settings {
		var got string
		b.must(b.writer.conn.QueryRowContext(t.Context(), "PRAGMA "+s.pragma).Scan(&got))
		if got != s.want {
			t.Errorf("%s is %s, want %s", s.pragma, got, s.want)
		}
	}
	refused := setting{"page_size", "8192"} // SQLite ignores it for a file that has pages
	if err := refused.apply(t.Context(), b.writer.conn); !errors.Is(err, ErrSettings) {
		t.Errorf("a setting that did not take: %v", err)
	}
}

func TestAFileThatIsNoRegistryIsRefused(t *testing.T) {
	for name, content := range map[string]string{"text": strings.Repeat("not a database ", 100), "other database": ""} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if content != "" {
				must(t, os.WriteFile(path, []byte(content), 0o600))
			} else {
				db, err := sql.Open("sqlite3", path)
				must(t, err)
				_, err = db.Exec(`CREATE TABLE t (x)`)
				must(t, errors.Join(err, db.Close()))
			}
			_, err := Open(t.Context(), Config{Path: path})
			if !errors.Is(err, ErrSchema) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// full makes the database unable to grow. SQLite then gives SQLITE_FULL, as on a full disk.
func (b *testRegistry) full(full bool) {
	b.t.Helper()
	limit := 1 << 30
	if full {
		b.must(b.writer.conn.QueryRowContext(b.t.Context(), `PRAGMA page_count`).Scan(&limit))
	}
	var got int
	b.must(b.writer.conn.QueryRowContext(b.t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, limit)).Scan(&got))
}

// I8: on a full disk no intent is written, so nothing is signed. What was committed before
// is there, and the registry goes on when there is room again.
func TestAFullDiskStopsSigning(t *testing.T) {
	b := newTestRegistry(t)
	b.full(true)
	var good int
	var err error
	for err == nil && good < 1000 {
		run := newRun(devices.BoardID(uuid.New()), "hw")
		if err = b.Admit(t.Context(), run); err == nil {
			good++
			err = b.intends(intent(run))
		}
	}
	if !errors.Is(err, ErrNotDurable) {
		t.Fatalf("after %d boards: %v", good, err)
	}
	b.verify()
	b.full(false)
	b.enrol(b.run())
	b.reopen()
	b.verify()
	runs, err := b.SearchRuns(t.Context(), Search{})
	if b.must(err); len(runs) != good+1 {
		t.Errorf("%d Runs, want %d: what was acknowledged is there", len(runs), good+1)
	}
}

// The disk is full from the signature on, so the Run cannot be closed. The board's next
// Run is admitted nevertheless, in any bay: the board is neither in flight nor a clone.
func TestARunThatCouldNotBeClosedIsOver(t *testing.T) {
	for name, bay := range map[string]string{"in the same bay": "bay-1", "in another bay": "bay-2"} {
		t.Run(name, func(t *testing.T) {
			b := newTestRegistry(t)
			run := b.run()
			in := intent(run)
			b.must(b.intends(in))
			b.full(true)
			big := errors.New(strings.Repeat("x", maxText))
			run.Ending, run.Reason, run.Err = station.Fault, "registry", big
			var err error
			for err == nil { // until the file has no room for a small entry either
				err = b.Event(t.Context(), Event{Type: "test.fill", Outcome: audit.Success, Details: map[string]string{"text": big.Error()}})
			}
			if err := b.closeRun(t.Context(), run); !errors.Is(err, ErrNotDurable) {
				t.Fatalf("closing on a full disk: %v", err)
			}
			b.full(false)
			next := again(run, "")
			next.Bay = bay
			b.must(b.Admit(t.Context(), next))
			b.issue(next)
			next.Ending, next.Reason = station.Fault, "line"
			b.must(b.closeRun(t.Context(), next))
			b.verify()
			if record, err := b.Lookup(t.Context(), in.Serial); err != nil || record.Status != station.StatusUnresolved {
				t.Errorf("the first serial number is %+v, %v", record, err)
			}
		})
	}
}

func TestAClockThatGoesBackIsRefusedWhileItIsBehind(t *testing.T) {
	b := newTestRegistry(t)
	base := time.Now()
	b.now = func() time.Time { return base.Add(-time.Hour) }
	run := newRun(devices.BoardID(uuid.New()), "hw")
	for range 2 {
		err := b.Admit(t.Context(), run)
		var step *audit.ClockError
		if !errors.As(err, &step) || !strings.Contains(err.Error(), "set the clock right") {
			t.Fatalf("got %v", err)
		}
	}
	b.now = time.Now
	b.must(b.Admit(t.Context(), run))
	b.verify()
	if n := b.count("clock.step"); n != 1 {
		t.Errorf("%d entries about the clock, want 1", n)
	}
}

// count gives the number of audit entries of a type.
func (b *testRegistry) count(kind string) (n int) {
	b.t.Helper()
	b.must(b.db.QueryRow(`SELECT count(*) FROM audit_entry WHERE json_extract(body, '$.type') = ?`, kind).Scan(&n))
	return n
}

func TestAClockThatIsBehindAtTheStartIsRefusedUntilAccepted(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.Shutdown())
	base := time.Now()
	b.now = func() time.Time { return base.Add(-24 * time.Hour) }
	for range 2 { // the entry about the first refusal does not make the second start pass
		if _, err := Open(t.Context(), b.config()); !errors.Is(err, audit.ErrClockBack) {
			t.Fatalf("got %v", err)
		}
	}
	c := b.config()
	c.AcceptClock = "ann"
	r, err := Open(t.Context(), c)
	must(t, err)
	b.Registry = r
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	b.reopen() // no operator has to accept the clock a second time
	b.verify()
}

func TestASmallStepOfTheClockIsNoMatter(t *testing.T) {
	b := newTestRegistry(t)
	base := time.Now()
	b.now = func() time.Time { return base.Add(-time.Minute) }
	b.enrol(b.run())
	b.verify()
}

func TestRecovery(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	in := intent(run)
	b.must(b.intends(in))
	delivered := b.run()
	kept := b.issue(delivered)
	b.reopen()
	b.verify()
	if record, err := b.Lookup(t.Context(), in.Serial); err != nil || record.Status != station.StatusUnresolved {
		t.Errorf("the open intent is %+v, %v; want unresolved (I10)", record, err)
	}
	if record, err := b.Lookup(t.Context(), kept.Serial); err != nil || record.Status != station.StatusIssued {
		t.Errorf("the issued certificate is %+v, %v; want issued (I7)", record, err)
	}
	runs, err := b.SearchRuns(t.Context(), Search{})
	b.must(err)
	for _, r := range runs {
		if r.Ending != station.Fault || r.Reason != "interrupted" {
			t.Errorf("Run ended %s, %s", r.Ending, r.Reason)
		}
	}
	next := again(run, "")
	b.must(b.Admit(t.Context(), next))
	if fresh := b.enrol(next); fresh.Serial == in.Serial {
		t.Error("the next Run signs under the burned serial number")
	}
	if der := b.answer(kept.Key, false); string(der) != string(delivered.Certificate.DER) {
		t.Errorf("the issued certificate is not handed out again: %q", der)
	}
	if n := b.count("log.recovered"); n != 1 {
		t.Errorf("%d entries about recovery, want 1", n)
	}
	b.reopen()
	if n := b.count("log.recovered"); n != 1 {
		t.Errorf("after a clean end %d entries about recovery, want still 1", n)
	}
}

func TestAnAnswerThatNobodyWaitsForIsNotGiven(t *testing.T) {
	b := newTestRegistry(t)
	held, begun := make(chan struct{}), make(chan struct{})
	go b.write(context.Background(), func(*work) error { close(begun); <-held; return nil })
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Intend(ctx, issuance.Intent{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(held)
	b.verify()
}

func TestAClosedRegistryRefuses(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.must(b.Shutdown())
	if err := b.Admit(context.Background(), again(run, "")); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	b.must(b.Shutdown())
}

func TestARolledBackDatabaseIsRefused(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	anchor, err := b.LastCheckpoint(t.Context())
	b.must(err)
	b.must(b.Shutdown())
	b.tamper(`DROP TRIGGER audit_entry_stays`, `DELETE FROM audit_entry WHERE seq > 3`, b.trigger("audit_entry_stays"))
	if _, err := Open(t.Context(), b.config()); !errors.Is(err, audit.ErrRolledBack) {
		t.Errorf("opening: %v", err)
	}
	// When the newest checkpoint is deleted as well, a copy from another place shows it.
	b.tamper(`DROP TRIGGER audit_checkpoint_stays`, `DELETE FROM audit_checkpoint WHERE size > 2`)
	reader, err := OpenReader(t.Context(), b.path)
	b.must(err)
	defer reader.Close()
	if _, err := reader.VerifyAudit(t.Context(), b.vkey, anchor); !errors.Is(err, audit.ErrRolledBack) {
		t.Errorf("verifying: %v", err)
	}
}

// tamper changes the closed file with another connection.
func (b *testRegistry) tamper(queries ...string) {
	b.t.Helper()
	db, err := sql.Open("sqlite3", b.path)
	b.must(err)
	for _, query := range queries {
		_, err := db.Exec(query)
		b.must(err)
	}
	b.must(db.Close())
}
