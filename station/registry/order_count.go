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
// refuses with ErrQuota when the order is complete.
func (w *work) count(order sql.NullString, boardID devices.BoardID) (*audit.WorkOrder, error) {
	if !order.Valid {
		return nil, nil
	}
	counted, err := w.countedAlready(order.String, boardID)
	if err != nil {
		return nil, err
	}
	if !counted {
		n, err := w.change(`UPDATE work_orders SET counted = counted + 1 WHERE id = ? AND counted < quota`, order.String)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("%w: %s", ErrQuota, order.String)
		}
	}
	return w.orderNow(order.String)
}

func (w *work) countedAlready(order string, boardID devices.BoardID) (bool, error) {
	var n int
	err := w.row(`SELECT count(*) FROM certificates WHERE board_id = ? AND work_order = ? AND status != 'failed'`, []any{boardID.String(), order}, &n)
	return n > 0, err
}

func (w *work) orderNow(id string) (*audit.WorkOrder, error) {
	order := audit.WorkOrder{ID: id}
	err := w.row(`SELECT product, quota, counted FROM work_orders WHERE id = ?`, []any{id}, &order.Product, &order.Quota, &order.Counted)
	return &order, err
}

// A loggedOrder is what the audit log says of a work order.
type loggedOrder struct {
	order  audit.WorkOrder
	found  bool
	images string // firmware that boards of the order may run
	size   int64  // entries that were searched
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
	if logged.size, err = audit.Size(ctx, r.db); err != nil {
		return logged, err
	}
	logged.order, logged.found, err = audit.OfOrder(ctx, r.db, id, 0)
	if err == nil && logged.found {
		logged.images, err = firmwareOf(ctx, r.db, logged.order, 0)
	}
	return logged, err
}

// orderOnRecord is orderNow. Before the first use of a work order it compares the row with the log:
// a quota that somebody raised in the row would let boards be signed that nobody ordered, and so
// would an order whose row was deleted and that is opened again. before is what searchOrder found;
// here only newer entries are searched. The error is sql.ErrNoRows for an order that was never opened.
func (w *work) orderOnRecord(id string, before loggedOrder) (*audit.WorkOrder, error) {
	order, err := w.orderNow(id)
	if _, compared := w.orders.Load(id); compared || err != nil && !none(err) {
		return order, err
	}
	logged, found, bad := audit.OfOrder(context.Background(), w.conn, id, before.size)
	if !found {
		logged, found = before.order, before.found
	}
	switch {
	case bad != nil:
		return nil, bad
	case none(err) && !found:
		return nil, err
	case none(err):
		return nil, fmt.Errorf("%w: work order %q has no row, and the log has quota %d and count %d; restore registry.db from its backup",
			ErrDiffers, id, logged.Quota, logged.Counted)
	case !found || logged != *order:
		return nil, fmt.Errorf("%w: work order %q has quota %d and count %d, the log has quota %d and count %d",
			ErrDiffers, id, order.Quota, order.Counted, logged.Quota, logged.Counted)
	}
	images := before.images
	if !before.found { // the order was opened after the search
		if images, err = firmwareOf(context.Background(), w.conn, *order, before.size); err != nil {
			return nil, err
		}
	}
	w.orders.Store(id, images)
	return order, nil
}
