package registry

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

func (b *testRegistry) opensOrder(o NewOrder) {
	b.t.Helper()
	b.must(b.OpenOrder(b.t.Context(), o, "ann"))
}

// admitsFor admits a new board for a work order.
func (b *testRegistry) admitsFor(order string) (*station.Run, error) {
	id := uuid.New()
	run := newRun(devices.BoardID(id), id.String()[:16])
	run.Order = order
	return run, b.Admit(b.t.Context(), run)
}

func (b *testRegistry) enrolsFor(order string) *station.Run {
	b.t.Helper()
	run, err := b.admitsFor(order)
	b.must(err)
	b.enrol(run)
	return run
}

// A work order is opened, raised and closed. Before and after a restart, the registry refuses the same.
func TestTheLifeOfAWorkOrder(t *testing.T) {
	for _, restart := range []bool{false, true} {
		b := newTestRegistry(t)
		again := func() {
			if restart {
				b.reopen()
			}
		}
		refuses := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		admits := func() error { _, err := b.admitsFor("WO-1"); return err }
		refuses("raising what was never opened", b.RaiseOrder(t.Context(), "WO-1", 2, "ann"), ErrUnknownOrder)
		refuses("closing what was never opened", b.CloseOrder(t.Context(), "WO-1", "ann"), ErrUnknownOrder)

		b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 1, Lot: "L7"})
		first := b.enrolsFor("WO-1")
		run, err := b.admitsFor("WO-1")
		b.must(err)
		refuses("the board after the last", b.intends(intent(run)), ErrQuota)
		again()
		refuses("another lot", b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1, Lot: "L8"}, "ann"), ErrOrderOpen)
		for _, quota := range []int64{-1, 0, 1} {
			refuses("a quota that is not greater", b.RaiseOrder(t.Context(), "WO-1", quota, "ann"), ErrOrderQuota)
		}
		b.must(b.RaiseOrder(t.Context(), "WO-1", 4, "ann"))
		again()
		b.enrolsFor("WO-1")
		b.must(b.Revoke(t.Context(), first.Certificate.Serial, "test", "ann"))
		late, err := b.admitsFor("WO-1")
		b.must(err)

		b.must(b.CloseOrder(t.Context(), "WO-1", "ann"))
		if !restart { // the start ends the Run
			refuses("a board of a Run that began before", b.intends(intent(late)), station.ErrOrderClosed)
		}
		again()
		refuses("a Run for a closed order", admits(), station.ErrOrderClosed)
		refuses("opening a closed order", b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 4, Lot: "L7"}, "ann"), station.ErrOrderClosed)
		refuses("raising a closed order", b.RaiseOrder(t.Context(), "WO-1", 9, "ann"), station.ErrOrderClosed)
		refuses("closing a closed order", b.CloseOrder(t.Context(), "WO-1", "ann"), station.ErrOrderClosed)
		orders, err := b.Orders(t.Context(), Filter{})
		b.must(err)
		if len(orders) != 1 || orders[0].Boards != (OrderSums{Certified: 1, Revoked: 1, Unused: 2}) || orders[0].Closed == "" || orders[0].Lot != "L7" {
			t.Errorf("%+v", orders)
		}
		b.verify()
	}
}

// The sums of a work order add up to its quota, also while an intent is open and after it was left.
func TestTheSumsOfAWorkOrder(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 5})
	sums := func() OrderSums {
		orders, err := b.Orders(t.Context(), Filter{})
		b.must(err)
		return orders[0].Boards
	}
	b.enrolsFor("WO-1")
	open, err := b.admitsFor("WO-1")
	b.must(err)
	b.must(b.intends(intent(open)))
	if got := sums(); got != (OrderSums{Certified: 1, Unresolved: 1, Unused: 3}) {
		t.Errorf("with an open intent: %+v", got)
	}
	b.reopen() // closes the intent as unresolved
	if got := sums(); got != (OrderSums{Certified: 1, Unresolved: 1, Unused: 3}) {
		t.Errorf("with an unresolved intent: %+v", got)
	}
	b.must(b.CloseOrder(t.Context(), "WO-1", "ann"))
	history, err := audit.OrderHistory(t.Context(), b.db, "WO-1", 0)
	b.must(err)
	want := map[string]string{"certified": "1", "unresolved": "1", "revoked": "0", "unused": "3"}
	if len(history) != 2 || !maps.Equal(history[1].Details, want) || history[1].WorkOrder.Counted != 2 {
		t.Errorf("%+v", history)
	}
	b.verify()
}

func TestAWorkOrderEndsAtItsTime(t *testing.T) {
	b := newTestRegistry(t)
	end := time.Now().Add(time.Hour)
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 5, Until: end})
	begun, err := b.admitsFor("WO-1")
	b.must(err)
	b.now = func() time.Time { return end }
	if _, err := b.admitsFor("WO-1"); !errors.Is(err, station.ErrOrderExpired) {
		t.Errorf("at its end: %v", err)
	}
	b.enrol(begun) // a Run that began before is finished
	b.verify()
}

func TestARunWithoutAWorkOrderIsRefusedWhereOneIsRequired(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.Shutdown())
	config := b.config()
	config.RequireOrder = true
	var err error
	b.Registry, err = Open(t.Context(), config)
	b.must(err)
	if _, err := b.admitsFor(""); !errors.Is(err, station.ErrOrderNeeded) {
		t.Errorf("got %v", err)
	}
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 5})
	b.enrolsFor("WO-1")
	b.verify()
}

// Entries about work orders that the registry would not write are refused by the verification.
func TestAForgedLifeOfAWorkOrderIsRefused(t *testing.T) {
	order := func(kind string, quota int64) audit.Entry {
		return audit.Entry{Actor: audit.Itself(), Category: audit.CategoryConfig, Type: kind, Outcome: audit.Success,
			WorkOrder: &audit.WorkOrder{ID: "WO-1", Product: "sensor", Quota: quota}}
	}
	opened, raised, closed := order(audit.TypeOrderOpened, 2), order(audit.TypeOrderRaised, 3), order(audit.TypeOrderClosed, 2)
	for name, entries := range map[string][]audit.Entry{
		"closed twice":            {opened, closed, closed},
		"raised after its end":    {opened, closed, raised},
		"raised to fewer":         {opened, order(audit.TypeOrderRaised, 1)},
		"closed and never opened": {closed},
		"a closing with a quota":  {opened, order(audit.TypeOrderClosed, 3)},
	} {
		replay := newReplay()
		refused := slices.ContainsFunc(entries, func(e audit.Entry) bool { return errors.Is(replay.apply(e), ErrDiffers) })
		if !refused {
			t.Errorf("%s is taken", name)
		}
	}
}

// The tables themselves refuse what the registry never does with the row of a work order, and let through what it does.
func TestTheRowOfAWorkOrderChangesOnlyAsItsLifeDoes(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "open", Product: "sensor", Quota: 3})
	b.enrolsFor("open")
	b.opensOrder(NewOrder{ID: "closed", Product: "sensor", Quota: 3})
	b.enrolsFor("closed")
	failed, err := b.admitsFor("closed")
	b.must(err)
	in := intent(failed)
	b.must(b.intends(in))
	b.must(b.CloseOrder(t.Context(), "closed", "ann"))
	for _, change := range []string{
		`DELETE FROM work_orders WHERE id = 'open'`,
		`DELETE FROM work_orders WHERE id = 'closed'`,
		`UPDATE work_orders SET product = 'other' WHERE id = 'open'`,
		`UPDATE work_orders SET opened = '' WHERE id = 'open'`,
		`UPDATE work_orders SET quota = 2 WHERE id = 'open'`,
		`UPDATE work_orders SET quota = 4 WHERE id = 'closed'`,
		`UPDATE work_orders SET closed = NULL WHERE id = 'closed'`,
		`UPDATE work_orders SET closed = 'later' WHERE id = 'closed'`,
		`UPDATE work_orders SET counted = counted + 1 WHERE id = 'closed'`,
	} {
		if err := b.write(t.Context(), func(w *work) error { return w.exec(change) }); !refusedByRow(err) {
			t.Errorf("%s: got %v", change, err)
		}
	}
	b.must(b.Failed(t.Context(), in.Serial, issuance.ErrNotSigned)) // takes the board out of the closed order
	b.verify()
}

// The registry counts no board for a work order after its end. A board that is counted already keeps its Run.
func TestABoardThatIsCountedAfterTheEndOfItsWorkOrderIsRefused(t *testing.T) {
	entry := func(e audit.Entry, counted int64) audit.Entry {
		e.WorkOrder = &audit.WorkOrder{ID: "WO-1", Product: "sensor", Quota: 2, Counted: counted}
		return e
	}
	life := func(kind string, counted int64) audit.Entry {
		return entry(audit.Entry{Actor: audit.Itself(), Type: kind}, counted)
	}
	run := newRun(devices.BoardID(uuid.New()), "hardware")
	run.Order = "WO-1"
	opened, admitted := life(audit.TypeOrderOpened, 0), entry(runEntry(run, typeAdmitted, audit.Success), 0)
	intended := func() audit.Entry { return entry(intentEntry(intent(run), "cert.issue.intent", audit.Success, ""), 1) }
	for _, test := range []struct {
		name    string
		entries []audit.Entry
		refused bool
	}{
		{"counted after the end", []audit.Entry{opened, admitted, life(audit.TypeOrderClosed, 0), intended()}, true},
		{"counted before the end", []audit.Entry{opened, admitted, intended(), life(audit.TypeOrderClosed, 1)}, false},
		{"a second key after the end", []audit.Entry{opened, admitted, intended(), life(audit.TypeOrderClosed, 1), intended()}, false},
	} {
		replay, err := newReplay(), error(nil)
		for _, e := range test.entries {
			err = errors.Join(err, replay.apply(e))
		}
		if errors.Is(err, ErrDiffers) != test.refused || !test.refused && err != nil {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

// A key that others may know gets no certificate any more: the board has no other key.
func TestAKeyThatWasCompromisedGetsNoCertificate(t *testing.T) {
	for _, test := range []struct {
		reason string
		want   error
	}{{ReasonKeyCompromise, issuance.ErrKeyCompromised}, {"superseded", nil}} {
		b := newTestRegistry(t)
		run := b.run()
		b.enrol(run)
		b.must(b.Revoke(t.Context(), run.Certificate.Serial, test.reason, "ann"))
		next := again(run, "rework")
		b.must(b.Admit(t.Context(), next))
		in := intent(next)
		in.Rework = true
		if err := b.intends(in); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.reason, err, test.want)
		}
		b.verify()
	}
}
