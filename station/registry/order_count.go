package registry

import (
	"context"
	"database/sql"
	"fmt"

	"hallmark/devices"
	"hallmark/station/audit"
)

// This file counts boards on a work order.

// count adds the board to the work order, unless the order counts it already. It
// refuses with ErrQuota when the order is complete, and with ErrOrderClosed when it is closed.
func (w *work) count(order sql.NullString, boardID devices.BoardID) (*audit.WorkOrder, error) {
	if !order.Valid {
		return nil, nil
	}
	counted, err := w.countedAlready(order.String, boardID)
	if err != nil {
		return nil, err
	}
	if !counted {
		n, err := w.change(`UPDATE work_orders SET counted = counted + 1 WHERE id = ? AND counted < quota AND closed IS NULL`, order.String)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, w.whyNotCounted(order.String)
		}
	}
	now, err := w.orderNow(order.String)
	return &now.WorkOrder, err
}

func (w *work) whyNotCounted(id string) error {
	order, err := w.orderNow(id)
	if err != nil {
		return err
	}
	if err := order.isOpen(); err != nil {
		return fmt.Errorf("%q: %w", id, err)
	}
	return fmt.Errorf("%w: %s", ErrQuota, id)
}

func (w *work) countedAlready(order string, boardID devices.BoardID) (bool, error) {
	var n int
	err := w.row(`SELECT count(*) FROM certificates WHERE board_id = ? AND work_order = ? AND status != 'failed'`, []any{boardID.String(), order}, &n)
	return n > 0, err
}

// An orderRow is the row of a work order.
type orderRow struct {
	audit.WorkOrder
	closed sql.NullString // time of the entry that closed the order
}

func (w *work) orderNow(id string) (*orderRow, error) {
	order := orderRow{WorkOrder: audit.WorkOrder{ID: id}}
	err := w.row(`SELECT product, quota, counted, closed FROM work_orders WHERE id = ?`, []any{id}, &order.Product, &order.Quota, &order.Counted, &order.closed)
	return &order, err
}

// A loggedOrder is what the audit log says of a work order.
type loggedOrder struct {
	order  audit.WorkOrder
	found  bool
	opened bool   // the entry that opens it was found
	quota  int64  // of that entry, or of the newest that raises or revises the order: other entries only repeat it
	terms  terms  // of that entry, or of the newest that revises the order
	closed string // time of the entry that closes it
	size   int64  // entries that were searched
}

// search adds what the entries from size on say.
func (l *loggedOrder) search(ctx context.Context, q audit.Querier, id string) error {
	order, found, err := audit.OfOrder(ctx, q, id, l.size)
	if err != nil || !found {
		return err
	}
	l.order, l.found = order, true
	history, err := audit.OrderHistory(ctx, q, id, l.size)
	for _, e := range history {
		if e.Type != audit.TypeOrderClosed {
			l.quota = e.WorkOrder.Quota
		}
		switch e.Type {
		case audit.TypeOrderOpened:
			l.opened, l.terms = true, termsOf(e)
		case audit.TypeOrderRevised:
			l.terms = termsOf(e)
		case audit.TypeOrderClosed:
			l.closed = e.Time.String()
		}
	}
	return err
}

// searchOrder searches the log before the first use of a work order in this process. It reads on a
// connection of its own, because a search through a year's log takes seconds, and in the
// transaction that writes, all Runs would wait for it.
func (r *Registry) searchOrder(ctx context.Context, id string) (logged loggedOrder, err error) {
	if id == "" {
		return logged, nil
	}
	if _, compared := r.orders.Load(id); compared {
		return logged, nil
	}
	size, err := audit.Size(ctx, r.db)
	if err == nil {
		err = logged.search(ctx, r.db, id)
	}
	logged.size = size
	return logged, err
}

// orderOnRecord is orderNow. Before the first use of a work order it compares the row with the log:
// a quota that somebody raised in the row would let boards be signed that nobody ordered, and so
// would an order whose row was deleted and that is opened again. logged is what searchOrder found;
// here only newer entries are searched. The error is sql.ErrNoRows for an order that was never opened.
func (w *work) orderOnRecord(id string, logged loggedOrder) (*orderRow, error) {
	order, err := w.orderNow(id)
	if _, compared := w.orders.Load(id); compared || err != nil && !none(err) {
		return order, err
	}
	if bad := logged.search(context.Background(), w.conn, id); bad != nil {
		return nil, bad
	}
	switch {
	case none(err) && !logged.found:
		return nil, err
	case none(err):
		return nil, fmt.Errorf("%w: work order %q has no row, and the log has quota %d and count %d; restore registry.db from its backup",
			ErrDiffers, id, logged.order.Quota, logged.order.Counted)
	case !logged.found || logged.order != order.WorkOrder:
		return nil, fmt.Errorf("%w: work order %q is for %q with quota %d and count %d, in the log for %q with quota %d and count %d",
			ErrDiffers, id, order.Product, order.Quota, order.Counted, logged.order.Product, logged.order.Quota, logged.order.Counted)
	case !logged.opened:
		return nil, fmt.Errorf("%w: no entry opens work order %q", ErrDiffers, id)
	case logged.quota != logged.order.Quota:
		return nil, fmt.Errorf("%w: work order %q has a quota of %d, and the newest entry that a person gave it one has %d", ErrDiffers, id, logged.order.Quota, logged.quota)
	case logged.closed != order.closed.String:
		return nil, fmt.Errorf("%w: work order %q is closed at %q, in the log at %q", ErrDiffers, id, order.closed.String, logged.closed)
	}
	w.orders.Store(id, logged.terms)
	return order, nil
}
