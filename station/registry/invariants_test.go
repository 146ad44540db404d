package registry

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
)

// again gives a new Run for the board of an older one.
func again(run *station.Run, rework string) *station.Run {
	next := newRun(run.Identity.ID, string(run.Identity.HardwareID))
	next.Rework = rework
	return next
}

func TestRefusals(t *testing.T) {
	cases := []struct {
		name string
		do   func(t *testing.T, b *testRegistry) error
		want error
	}{
		{"a serial number that was used is refused, even after the certificate was revoked (I2)", func(t *testing.T, b *testRegistry) error {
			used := b.enrol(b.run())
			b.must(b.Revoke(t.Context(), used.Serial, "test", "ann"))
			in := intent(b.run())
			in.Serial = used.Serial
			return b.intends(in)
		}, issuance.ErrSerialTaken},
		{"a serial number that certainly signed nothing stays used up (I2)", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			in := intent(run)
			b.must(b.intends(in))
			b.must(b.Failed(t.Context(), in.Serial, issuance.ErrNotSigned))
			return b.intends(in)
		}, issuance.ErrSerialTaken},
		{"a row that is refused for another reason than its serial number keeps that reason", func(t *testing.T, b *testRegistry) error {
			in := intent(b.run())
			err := b.write(t.Context(), func(w *work) error {
				return w.insertIntent(in, sql.NullString{}, "now") // the table keys does not have its key
			})
			if !refusedByRow(err) || errors.Is(err, issuance.ErrSerialTaken) {
				t.Errorf("got %v", err)
			}
			return nil
		}, nil},
		{"a second certificate beside an active one is refused (I3)", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			b.enrol(run)
			next := again(run, "")
			b.must(b.Admit(t.Context(), next))
			in := intent(next)
			in.ProfileSHA256 = sha256.Sum256([]byte("another profile"))
			return b.intends(in)
		}, issuance.ErrAlreadyActive},
		{"activating beside an active certificate is refused when it is no rework (I3)", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			b.enrol(run)
			next := again(run, "new profile")
			b.must(b.Admit(t.Context(), next))
			b.issue(next)
			b.must(b.Delivered(t.Context(), proven(next)))
			next.Rework = ""
			return b.Activate(t.Context(), next)
		}, ErrWrongStatus},
		{"the key of another board is refused (I4)", func(t *testing.T, b *testRegistry) error {
			first := b.enrol(b.run())
			in := intent(b.run())
			in.SPKISHA256 = first.SPKISHA256
			return b.intends(in)
		}, issuance.ErrKeyElsewhere},
		{"another key for a known board is refused, even at a rework (I4)", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			b.enrol(run)
			next := again(run, "repair")
			b.must(b.Admit(t.Context(), next))
			in := intent(next)
			in.SPKISHA256 = sha256.Sum256([]byte("another key"))
			return b.intends(in)
		}, issuance.ErrKeyElsewhere},
		{"a known BoardID on other hardware is a clone (I4)", func(t *testing.T, b *testRegistry) error {
			return b.Admit(t.Context(), newRun(b.run().Identity.ID, "other hardware"))
		}, station.ErrClone},
		{"one BoardID in two bays at once is a clone (I4)", func(t *testing.T, b *testRegistry) error {
			next := again(b.run(), "")
			next.Bay = "bay-2"
			return b.Admit(t.Context(), next)
		}, station.ErrClone},
		{"a certificate is not activated before it was delivered (I7)", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			b.issue(run)
			return b.Activate(t.Context(), run)
		}, ErrWrongStatus},
		{"the same request again is answered from the registry (I9)", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			b.enrol(run)
			next := again(run, "")
			b.must(b.Admit(t.Context(), next))
			return b.intends(intent(next))
		}, errAnswered},
		{"two signatures at once for one board are refused", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			b.must(b.intends(intent(run)))
			return b.intends(intent(run))
		}, issuance.ErrInFlight},
		{"an intent of a Run that was not admitted is refused", func(t *testing.T, b *testRegistry) error {
			return b.intends(intent(newRun(devices.BoardID(uuid.New()), "hw")))
		}, ErrUnknownRun},
		{"an intent of a closed Run is refused", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			run.Ending = station.Aborted
			b.must(b.closeRun(t.Context(), run))
			return b.intends(intent(run))
		}, ErrUnknownRun},
		{"a result without an intent is refused (I1)", func(t *testing.T, b *testRegistry) error {
			return b.Issued(t.Context(), [16]byte{1}, []byte("der"))
		}, ErrNoIntent},
		{"a second result for one intent is refused", func(t *testing.T, b *testRegistry) error {
			in := b.issue(b.run())
			return b.Issued(t.Context(), in.Serial, []byte("another"))
		}, ErrNoIntent},
		{"a revoked board gets nothing new without a rework", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			in := b.enrol(run)
			b.must(b.Revoke(t.Context(), in.Serial, "stolen", "ann"))
			next := again(run, "")
			b.must(b.Admit(t.Context(), next))
			return b.intends(intent(next))
		}, issuance.ErrRevoked},
		{"a scrapped board is not admitted", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			b.enrol(run)
			b.scraps(Which{BoardID: run.Identity.ID})
			return b.Admit(t.Context(), again(run, ""))
		}, ErrScrapped},
		{"a work order that nobody opened is refused", func(t *testing.T, b *testRegistry) error {
			run := newRun(devices.BoardID(uuid.New()), "hw")
			run.Order = "WO-1"
			return b.Admit(t.Context(), run)
		}, ErrUnknownOrder},
		{"the board after the last of a work order is refused", func(t *testing.T, b *testRegistry) error {
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1}, "ann"))
			var runs []*station.Run
			for range 2 {
				run := newRun(devices.BoardID(uuid.New()), "hw")
				run.Order = "WO-1"
				b.must(b.Admit(t.Context(), run))
				runs = append(runs, run)
			}
			b.enrol(runs[0])
			return b.intends(intent(runs[1]))
		}, ErrQuota},
		{"an open work order is not changed", func(t *testing.T, b *testRegistry) error {
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1}, "ann"))
			return b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 2}, "ann")
		}, ErrOrderOpen},
		{"a board whose firmware is not on the list of its work order is refused", func(t *testing.T, b *testRegistry) error {
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1, Firmware: [][32]byte{{1}, {2}}}, "ann"))
			run := newRun(devices.BoardID(uuid.New()), "hw")
			run.Order, run.Identity.FirmwareHash = "WO-1", [32]byte{2}
			b.must(b.Admit(t.Context(), run))
			other := newRun(devices.BoardID(uuid.New()), "hw2")
			other.Order, other.Identity.FirmwareHash = "WO-1", [32]byte{3}
			return b.Admit(t.Context(), other)
		}, station.ErrFirmware},
		{"an image that is not on the list of the work order is refused before it is flashed", func(t *testing.T, b *testRegistry) error {
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1, Firmware: [][32]byte{{1}, {2}}}, "ann"))
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-2", Product: "sensor", Quota: 1}, "ann"))
			run := &station.Run{Order: "WO-1"}
			for range 2 { // before and after the order is known to this process
				b.must(b.ImageAllowed(t.Context(), run, [32]byte{2}))
				if err := b.ImageAllowed(t.Context(), run, [32]byte{3}); !errors.Is(err, station.ErrImageNotAllowed) {
					t.Errorf("got %v", err)
				}
				b.must(b.ImageAllowed(t.Context(), &station.Run{Order: "WO-2"}, [32]byte{3}))
				b.must(b.ImageAllowed(t.Context(), &station.Run{}, [32]byte{3}))
				_, err := b.admitsFor("WO-2")
				b.must(err)
			}
			b.reopen()
			return b.ImageAllowed(t.Context(), run, [32]byte{3})
		}, station.ErrImageNotAllowed},
		{"the firmware of an open work order is not changed", func(t *testing.T, b *testRegistry) error {
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1, Firmware: [][32]byte{{2}, {1}}}, "ann"))
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1, Firmware: [][32]byte{{1}, {2}}}, "ann"))
			return b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1, Firmware: [][32]byte{{1}}}, "ann")
		}, ErrOrderOpen},
		{"a certificate of another board is not delivered", func(t *testing.T, b *testRegistry) error {
			one, two := b.run(), b.run()
			b.issue(one)
			two.Certificate = one.Certificate
			return b.Delivered(t.Context(), proven(two))
		}, station.ErrUnknownCertificate},
		{"a Run is closed once", func(t *testing.T, b *testRegistry) error {
			run := b.run()
			b.enrol(run)
			return b.closeRun(t.Context(), run)
		}, ErrUnknownRun},
		{"revoking what was never issued is refused", func(t *testing.T, b *testRegistry) error {
			return b.Revoke(t.Context(), [16]byte{1}, "test", "ann")
		}, ErrNoCertificate},
		{"a second genesis is refused", func(t *testing.T, b *testRegistry) error {
			_, err := b.Genesis(t.Context(), Genesis{Origin: origin, AuditKey: b.key.Public()})
			return err
		}, ErrGenesis},
		{"an event that would explain rows is refused", func(t *testing.T, b *testRegistry) error {
			return b.Event(t.Context(), Event{Type: "cert.issued", Outcome: "success"})
		}, ErrReserved},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newTestRegistry(t)
			if err := c.do(t, b); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			b.verify()
		})
	}
}

func TestAReworkSupersedesInOneStep(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	old := b.enrol(run)
	next := again(run, "antenna replaced")
	b.must(b.Admit(t.Context(), next))
	fresh := b.enrol(next)
	for serial, want := range map[[16]byte]station.Status{old.Serial: station.StatusRevoked, fresh.Serial: station.StatusActive} {
		if record, err := b.Lookup(t.Context(), serial); err != nil || record.Status != want {
			t.Errorf("got %+v, %v; want %s", record, err, want)
		}
	}
	if der := b.answer(fresh.Key, false); string(der) != string(next.Certificate.DER) {
		t.Errorf("the board's certificate is %q", der)
	}
	if der := b.answer(fresh.Key, true); der != nil {
		t.Errorf("the active certificate answers another rework: %q", der)
	}
	b.verify()
}

func TestWhatIsDoneIsDoneAgainWithoutEffect(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	in := b.issue(run)
	for range 2 {
		b.must(b.Delivered(t.Context(), proven(run)))
	}
	for range 2 {
		b.must(b.Activate(t.Context(), run))
	}
	b.must(b.Delivered(t.Context(), proven(run)))
	size := b.log.Head().Size
	for range 2 {
		b.must(b.Revoke(t.Context(), in.Serial, "test", "ann"))
	}
	if got := b.log.Head().Size; got != size+1 {
		t.Errorf("revoking twice made %d entries, want 1", got-size)
	}
	b.verify()
}

func TestAFailedSignatureGivesTheBoardBackToItsOrder(t *testing.T) {
	for cause, want := range map[error]int64{issuance.ErrNotSigned: 0, issuance.ErrUnresolved: 1} {
		b := newTestRegistry(t)
		b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 3}, "ann"))
		run := newRun(devices.BoardID(uuid.New()), "hw")
		run.Order = "WO-1"
		b.must(b.Admit(t.Context(), run))
		in := intent(run)
		b.must(b.intends(in))
		b.must(b.Failed(t.Context(), in.Serial, cause))
		var counted int64
		b.must(b.db.QueryRow(`SELECT counted FROM work_orders`).Scan(&counted))
		if counted != want {
			t.Errorf("after %v %d boards count, want %d", cause, counted, want)
		}
		b.verify()
	}
}

func TestManyCallersShareCommitsAndOneRefusalSpoilsNothing(t *testing.T) {
	b := newTestRegistry(t)
	clone := b.run()
	var wait sync.WaitGroup
	errs := make(chan error, 200)
	for n := range 200 {
		wait.Go(func() {
			run := newRun(devices.BoardID(uuid.New()), fmt.Sprint(n))
			if n%5 == 0 {
				run = newRun(clone.Identity.ID, "other hardware")
			}
			err := b.Admit(t.Context(), run)
			if (n%5 == 0) != errors.Is(err, station.ErrClone) {
				errs <- fmt.Errorf("board %d: %w", n, err)
			}
		})
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	runs, err := b.SearchRuns(t.Context(), Search{})
	if b.must(err); len(runs) != 161 {
		t.Errorf("%d Runs, want 161", len(runs))
	}
	b.verify()
}

func TestWritingNeedsGenesis(t *testing.T) {
	b := newTestRegistry(t)
	b.path = t.TempDir() + "/other.db"
	b.open()
	err := b.Admit(t.Context(), newRun(devices.BoardID(uuid.New()), "hw"))
	if !errors.Is(err, ErrNoGenesis) {
		t.Errorf("got %v", err)
	}
}

func TestRowsStay(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	for _, query := range []string{
		`DELETE FROM certificates`, `DELETE FROM boards`, `DELETE FROM keys`, `DELETE FROM runs`,
		`UPDATE certificates SET serial = zeroblob(16)`, `UPDATE certificates SET status = 'issued'`, `UPDATE certificates SET der = x'00'`,
		`UPDATE boards SET hardware_id = x'00'`, `UPDATE keys SET board_id = ''`, `UPDATE runs SET ending = 'reject'`,
		`DELETE FROM audit_entry`, `UPDATE audit_entry SET body = x'00'`,
	} {
		err := b.write(t.Context(), func(w *work) error { return w.exec(query) })
		if err == nil {
			t.Errorf("%s is allowed", query)
		} else if !refusedByRow(err) {
			t.Errorf("%s: %v", query, err)
		}
	}
	b.verify()
}

func TestListings(t *testing.T) {
	b := newTestRegistry(t)
	run := b.run()
	b.enrol(run)
	boards, err := b.Boards(t.Context(), Filter{BoardID: run.Identity.ID})
	if b.must(err); len(boards) != 1 || boards[0].Status != "active" || boards[0].Runs != 1 || boards[0].LastEnding != station.Pass {
		t.Errorf("got %+v", boards)
	}
	certificates, err := b.Certificates(t.Context(), Filter{Status: "active"})
	if b.must(err); len(certificates) != 1 || !strings.HasPrefix(string(certificates[0].DER), "certificate") {
		t.Errorf("got %+v", certificates)
	}
}
