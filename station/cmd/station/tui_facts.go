package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/ui"
)

// Facts implements ui.FactsSource, from memory.
func (l *line) Facts(context.Context) (ui.Facts, error) {
	clock := l.bench.clockAt(time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	facts := ui.Facts{
		Order: l.order, HSM: l.token(), Entries: l.bench.registry.AuditSize(), Anchored: l.anchored, AuditBad: cmp.Or(l.unwritten, l.auditBad),
		Automatic: l.automatic, Draining: l.draining,
	}
	if clock != nil {
		facts.ClockBad = oneLine(clock)
	}
	if l.away != nil {
		facts.Paused = "HSM: " + oneLine(l.away)
	}
	for _, s := range l.slots {
		bay := ui.BayFacts{Name: s.bay.Name, Skipped: s.skipped, Present: s.presence.now}
		if stopped := s.bay.Stopped(); stopped != nil {
			bay.Stopped = oneLine(stopped)
		}
		facts.Bays = append(facts.Bays, bay)
	}
	return facts, nil
}

// token needs mu.
func (l *line) token() ui.HSM {
	if l.open == nil {
		return ui.HSM{State: ui.HSMClosed}
	}
	info := l.open.token.Info()
	state := ui.HSM{State: ui.HSMReady, Detail: info.Label + " " + info.Serial}
	switch {
	case l.away != nil:
		state = ui.HSM{State: ui.HSMAway, Detail: oneLine(l.away)}
	case info.Software:
		state.State = ui.HSMSoftware
	}
	return state
}

// refresh reads what Runs change: the count of the order, the last checkpoint.
func (l *line) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	l.mu.Lock()
	id := l.order.ID
	l.mu.Unlock()
	var order ui.Order
	var err error
	if id != "" {
		order, err = l.bench.orderNow(ctx, id)
	}
	anchored, more := l.bench.registry.LastCheckpointTime(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.auditBad = ""; errors.Join(err, more) != nil {
		l.auditBad = oneLine(errors.Join(err, more))
		return
	}
	if l.anchored = anchored; l.order.ID == id && id != "" {
		l.order = order
	}
}

// orderNow gives a work order as it stands.
func (b *bench) orderNow(ctx context.Context, id string) (ui.Order, error) {
	row, err := b.registry.Order(ctx, id)
	return ui.Order{ID: row.ID, Product: row.Product, Quota: row.Quota, Count: row.Counted}, err
}

var errOtherProduct = errors.New("work order is for another product than this station's profile")

// openedOrder refuses a work order that cannot be worked on here.
func (b *bench) openedOrder(ctx context.Context, id string) (ui.Order, error) {
	order, err := b.orderNow(ctx, id)
	switch {
	case err != nil:
		return ui.Order{}, err
	case order.Count >= order.Quota:
		return ui.Order{}, fmt.Errorf("%w: %d of %d", station.ErrQuota, order.Count, order.Quota)
	case order.Product != b.profile.Name():
		return ui.Order{}, fmt.Errorf("%w: %q, not %q", errOtherProduct, order.Product, b.profile.Name())
	}
	return order, nil
}

// Switch implements ui.Orders.
func (l *line) Switch(ctx context.Context, id, operator string) (ui.Order, error) {
	order, err := l.bench.openedOrder(ctx, id)
	if err != nil {
		return ui.Order{}, errors.Join(err, l.bench.said(ctx, "line.order", audit.Denied, operator, map[string]string{"order": id, "why": err.Error()}))
	}
	if err := l.bench.said(ctx, "line.order", audit.Success, operator, map[string]string{"order": id}); err != nil {
		return ui.Order{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.order = order
	return order, nil
}
