package registry

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
)

// A row is never deleted, so a registry that lost a row was changed by somebody. A start, or the
// first use, refuses each loss after which the station would do something wrong. Without a row of
// locks the station trusts no locked board. Cosignatures and time stamps are evidence alone:
// `audit verify` refuses their loss, as TestEveryTamperingShows shows for each row.
func TestADeletedRowIsRefused(t *testing.T) {
	admits := func(b *testRegistry, run *station.Run) error { return b.Admit(b.t.Context(), again(run, "")) }
	intends := func(b *testRegistry, run *station.Run) error {
		next := again(run, "")
		b.must(b.Admit(b.t.Context(), next))
		_, err := b.Intend(b.t.Context(), intent(next))
		return err
	}
	passes := func(b *testRegistry, run *station.Run) error {
		next := again(run, "")
		b.must(b.Admit(b.t.Context(), next))
		next.Certificate, next.Ending = run.Certificate, station.Pass
		return b.closeRun(b.t.Context(), proven(next))
	}
	orders := func(b *testRegistry, _ *station.Run) error {
		return b.OpenOrder(b.t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 5}, "ann")
	}
	for _, test := range []struct {
		table, delete, trigger string
		use                    func(b *testRegistry, run *station.Run) error // nil: the start refuses
		want                   error
	}{
		{"bays", `DELETE FROM bays`, "", nil, ErrBayMissing},
		{"state", `DELETE FROM state WHERE key = 'startup'`, "", nil, ErrStartup},
		{"audit_entry", `DELETE FROM audit_entry WHERE seq = (SELECT max(seq) FROM audit_entry)`, "audit_entry_stays", nil, ErrOlder},
		{"audit_checkpoint", `DELETE FROM audit_checkpoint`, "audit_checkpoint_stays", nil, audit.ErrCheckpointMissing},
		{"runs that are open", `DELETE FROM runs WHERE ending IS NULL`, "run_stays", nil, ErrDiffers},
		{"runs", `DELETE FROM runs WHERE ending = 'pass'`, "run_stays", passes, ErrDiffers},
		{"boards", `DELETE FROM boards`, "board_stays", admits, ErrDiffers},
		{"keys", `DELETE FROM keys`, "key_stays", intends, ErrDiffers},
		{"certificates", `DELETE FROM certificates WHERE status = 'active'`, "certificate_stays", intends, ErrDiffers},
		{"work_orders", `DELETE FROM work_orders`, "work_order_stays", orders, ErrDiffers},
	} {
		deleted := func(t *testing.T, archive func(*testRegistry)) {
			b := newTestRegistry(t)
			b.reopen()
			b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 5}, "ann"))
			run := b.run()
			b.enrol(run)
			b.stopBay(b.run())
			b.must(b.Checkpoint(t.Context(), origin, b.key))
			archive(b)
			open := b.run()
			b.must(b.intends(intent(open)))
			b.must(b.Shutdown())
			b.deletes(test.trigger, test.delete)
			var err error
			if b.Registry, err = Open(t.Context(), b.config()); err == nil && test.use != nil {
				err = test.use(b, run)
				b.must(b.Shutdown())
			}
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		}
		t.Run(test.table, func(t *testing.T) { deleted(t, func(*testRegistry) {}) })
		t.Run(test.table+", over an archive", func(t *testing.T) {
			deleted(t, func(b *testRegistry) {
				b.reopen()
				b.archive()
				b.reopen()
			})
		})
	}
}

// A bay that a Run stopped cannot be freed by a change of its row (I13): not by the name of a bay that
// is free, and not by the name of an older Run that somebody acknowledged.
func TestAChangedBayIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, change string
		want         error
	}{
		{"free", `UPDATE bays SET stopped = NULL`, ErrReleased},
		{"free since an older Run", `UPDATE bays SET stopped = NULL, run = (SELECT id FROM runs WHERE bay = 'bay-1' AND ending = 'reject' ORDER BY last_entry LIMIT 1) WHERE name = 'bay-1'`, ErrDiffers},
		{"stopped by an older Run", `UPDATE bays SET run = (SELECT id FROM runs WHERE bay = 'bay-1' AND ending = 'reject' ORDER BY last_entry LIMIT 1) WHERE name = 'bay-1'`, ErrDiffers},
		{"another name", `UPDATE bays SET name = 'bay-9' WHERE name = 'bay-1'`, ErrBayMissing},
		{"names changed round", `UPDATE bays SET name = iif(name = 'bay-1', 'bay-2 ', 'bay-1 '); UPDATE bays SET name = trim(name)`, ErrDiffers},
	} {
		changed := func(t *testing.T, archive bool) {
			b := newTestRegistry(t)
			for _, bay := range []string{"bay-1", "bay-2"} { // both were stopped and acknowledged
				run := b.run()
				run.Bay = bay
				b.stopBay(run)
				b.must(b.AcknowledgeBay(t.Context(), bay, "ann"))
			}
			b.stopBay(b.run())
			if archive {
				b.must(b.Checkpoint(t.Context(), origin, b.key))
				b.reopen()
				b.archive()
			}
			b.reopen() // the registry as it is opens
			b.must(b.Shutdown())
			b.tamper(test.change)
			var err error
			if b.Registry, err = Open(t.Context(), b.config()); err == nil {
				b.must(b.Shutdown())
			}
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		}
		t.Run(test.name, func(t *testing.T) { changed(t, false) })
		t.Run(test.name+", over an archive", func(t *testing.T) { changed(t, true) })
	}
}

// deletes deletes rows as an attacker would: without the trigger, which is there again afterwards.
func (b *testRegistry) deletes(trigger, statement string) {
	b.t.Helper()
	statements := []string{`PRAGMA foreign_keys = off`, statement}
	if trigger != "" {
		statements = []string{`PRAGMA foreign_keys = off`, `DROP TRIGGER ` + trigger, statement, b.trigger(trigger)}
	}
	b.tamper(statements...)
}

// The log is searched for a work order before the transaction, and in it only from there on: a board
// that was counted in between is seen.
func TestAWorkOrderIsComparedWithEntriesAfterItsSearchToo(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 5}, "ann"))
	b.reopen()
	before, err := b.searchOrder(t.Context(), "WO-1")
	b.must(err)
	run := newRun(devices.BoardID(uuid.New()), "hardware")
	run.Order = "WO-1"
	b.must(b.Admit(t.Context(), run))
	b.enrol(run)
	b.orders.Clear() // as if nobody had used the order yet
	b.must(b.write(t.Context(), func(w *work) error {
		order, err := w.orderOnRecord("WO-1", before)
		if err == nil && (order.Counted != 1 || before.order.Counted != 0) {
			t.Errorf("counted %d, before %d", order.Counted, before.order.Counted)
		}
		return err
	}))
}
