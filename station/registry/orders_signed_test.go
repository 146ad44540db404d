package registry

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
)

var (
	ownerKey     = []byte("public key of the owner")
	otherKey     = []byte("public key of another owner")
	orderProfile = sha256.Sum256([]byte("profile")) // as intent has it
)

// signedOrder gives an order as a file with this revision opens it. Each file has another content.
func signedOrder(revision, quota int64) NewOrder {
	return NewOrder{ID: "WO-1", Product: "sensor", Quota: quota, Lot: "L7", Signed: &SignedOrder{Revision: revision, Total: 100,
		Profiles: [][sha256.Size]byte{orderProfile}, File: sha256.Sum256(fmt.Append(nil, revision, quota)), Owner: ownerKey, Signature: []byte("signature")}}
}

// newSignedRegistry takes only orders that the owner has signed.
func newSignedRegistry(t *testing.T, owners ...[]byte) *testRegistry {
	t.Helper()
	b := newTestRegistry(t)
	b.reopenFor(true, owners...)
	return b
}

func (b *testRegistry) reopenFor(signedOnly bool, owners ...[]byte) {
	b.t.Helper()
	b.must(b.Shutdown())
	config := b.config()
	config.SignedOnly = signedOnly
	for _, owner := range owners {
		config.Owners = append(config.Owners, sha256.Sum256(owner))
	}
	opened, err := Open(b.t.Context(), config)
	b.must(err)
	b.Registry = opened
	b.t.Cleanup(func() { _ = opened.Shutdown() })
}

func (b *testRegistry) imports(o NewOrder) error { return b.ImportOrder(b.t.Context(), o, "ann") }

// Before and after a restart, a signed order changes only by a file of the same owner with a greater revision.
func TestTheLifeOfASignedWorkOrder(t *testing.T) {
	for _, restart := range []bool{false, true} {
		b := newSignedRegistry(t, ownerKey, otherKey)
		refuses := func(what string, err, want error) {
			t.Helper()
			if restart {
				b.reopenFor(true, ownerKey, otherKey)
			}
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		refuses("an order that nobody signed", b.OpenOrder(t.Context(), NewOrder{ID: "WO-2", Product: "sensor", Quota: 1}, "ann"), station.ErrOrderUnsigned)
		b.must(b.imports(signedOrder(1, 1)))
		refuses("the same file", b.imports(signedOrder(1, 1)), ErrOrderReplayed)
		refuses("more boards with the same revision", b.imports(signedOrder(1, 9)), ErrOrderRevision)
		refuses("raising by hand", b.RaiseOrder(t.Context(), "WO-1", 9, "ann"), station.ErrOrderUnsigned)
		other := signedOrder(2, 5)
		other.Signed.Owner = otherKey
		refuses("a file of another owner", b.imports(other), station.ErrOrderOwner)
		other = signedOrder(2, 5)
		other.Lot = "L8"
		refuses("another lot", b.imports(other), ErrOrderOpen)

		b.enrolsFor("WO-1")
		run, err := b.admitsFor("WO-1")
		b.must(err)
		refuses("the board after the share", b.intends(intent(run)), ErrQuota)
		b.must(b.imports(signedOrder(2, 3)))
		b.enrolsFor("WO-1")
		refuses("a lower share", b.imports(signedOrder(3, 2)), ErrOrderQuota)
		refuses("an older revision", b.imports(signedOrder(1, 1)), ErrOrderRevision)
		b.must(b.CloseOrder(t.Context(), "WO-1", "ann"))
		refuses("the same file after the end", b.imports(signedOrder(2, 3)), ErrOrderReplayed)
		refuses("a newer file after the end", b.imports(signedOrder(4, 9)), station.ErrOrderClosed)
		orders, err := b.Orders(t.Context(), Filter{})
		b.must(err)
		if o := orders[0]; o.Revision != 2 || o.Quota != 3 || o.Boards.Unused != 1 || o.SHA256 == "" || o.OwnerSHA256 == "" {
			t.Errorf("%+v", orders)
		}
		b.verify()
	}
}

func TestARunForAnOrderThatIsNotSignedAsTheStationWantsIsRefused(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "by hand", Product: "sensor", Quota: 5})
	b.must(b.imports(signedOrder(1, 5)))
	admits := func(id string, want error) {
		t.Helper()
		if _, err := b.admitsFor(id); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", id, err, want)
		}
	}
	b.reopenFor(true, ownerKey)
	admits("by hand", station.ErrOrderUnsigned)
	admits("WO-1", nil)
	b.reopenFor(false, ownerKey)
	admits("by hand", nil)
	b.reopenFor(false, otherKey) // the station does not know the owner any more
	admits("WO-1", station.ErrOrderOwner)
	b.verify()
}

func TestASignedOrderHasAnOrderThatWasOpenedByHand(t *testing.T) {
	b := newTestRegistry(t)
	b.opensOrder(NewOrder{ID: "WO-1", Product: "sensor", Quota: 5, Lot: "L7"})
	b.enrolsFor("WO-1")
	b.reopenFor(true, ownerKey)
	b.must(b.imports(signedOrder(1, 5)))
	b.enrolsFor("WO-1")
	b.verify()
}

func TestASignedOrderBeginsAtItsTime(t *testing.T) {
	b := newSignedRegistry(t, ownerKey)
	begin := time.Now().Add(time.Hour).Truncate(time.Second)
	order := signedOrder(1, 5)
	order.Signed.NotBefore, order.Until = begin, begin.Add(time.Hour)
	b.must(b.imports(order))
	if _, err := b.admitsFor("WO-1"); !errors.Is(err, station.ErrOrderNotYet) {
		t.Errorf("before its begin: %v", err)
	}
	b.now = func() time.Time { return begin }
	b.enrolsFor("WO-1")
	b.now = func() time.Time { return begin.Add(time.Hour) }
	if _, err := b.admitsFor("WO-1"); !errors.Is(err, station.ErrOrderExpired) {
		t.Errorf("at its end: %v", err)
	}
	b.verify()
}

// A revision counts for the next signature, also for a Run that has begun.
func TestACertificateByAnotherProfileThanTheOrderNamesIsRefused(t *testing.T) {
	b := newSignedRegistry(t, ownerKey)
	other := signedOrder(1, 5)
	other.Signed.Profiles = [][sha256.Size]byte{sha256.Sum256([]byte("another profile"))}
	b.must(b.imports(other))
	run, err := b.admitsFor("WO-1")
	b.must(err)
	if err := b.intends(intent(run)); !errors.Is(err, station.ErrOrderProfile) {
		t.Errorf("got %v", err)
	}
	b.must(b.imports(signedOrder(2, 5)))
	b.must(b.intends(intent(run)))
	b.verify()
}

func TestAForgedRevisionOfAWorkOrderIsRefused(t *testing.T) {
	order := func(kind, product string, quota int64) audit.Entry {
		return audit.Entry{Actor: audit.Itself(), Category: audit.CategoryConfig, Type: kind, Outcome: audit.Success,
			WorkOrder: &audit.WorkOrder{ID: "WO-1", Product: product, Quota: quota}}
	}
	opened, closed := order(audit.TypeOrderOpened, "sensor", 2), order(audit.TypeOrderClosed, "sensor", 2)
	for name, test := range map[string]struct {
		entries []audit.Entry
		good    bool
	}{
		"the same quota":    {[]audit.Entry{opened, order(audit.TypeOrderRevised, "sensor", 2), closed}, true},
		"never opened":      {[]audit.Entry{order(audit.TypeOrderRevised, "sensor", 2)}, false},
		"after its end":     {[]audit.Entry{opened, closed, order(audit.TypeOrderRevised, "sensor", 2)}, false},
		"a lower quota":     {[]audit.Entry{opened, order(audit.TypeOrderRevised, "sensor", 1)}, false},
		"another product":   {[]audit.Entry{opened, order(audit.TypeOrderRevised, "other", 2)}, false},
		"an unnoticed rise": {[]audit.Entry{opened, order(audit.TypeOrderRevised, "sensor", 3), closed}, false},
	} {
		replay := newReplay()
		var err error
		for _, e := range test.entries {
			err = errors.Join(err, replay.apply(e))
		}
		if test.good != (err == nil) || !test.good && !errors.Is(err, ErrDiffers) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
