package main

import (
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
	l.mu.Lock()
	defer l.mu.Unlock()
	facts := ui.Facts{
		Order: l.order, HSM: l.token(), Entries: l.bench.registry.AuditSize(), Anchored: l.anchored, AuditBad: l.auditBad,
		Automatic: l.automatic, Draining: l.draining,
	}
	if l.away != nil {
		facts.Paused = "HSM: " + oneLine(l.away)
	}
	for _, s := range l.slots {
		bay := ui.BayFacts{Name: s.bay.Name, Skipped: s.skipped}
		if s.place.model != nil {
			bay.Present = ui.BoardPresent
		}
		if stopped := s.bay.Stopped(); stopped != nil {
			bay.Stopped = oneLine(stopped)
		}
		facts.Bays = append(facts.Bays, bay)
	}
	return facts, nil
}

// token needs mu.
func (l *line) token() ui.HSM {
	info := l.bench.token.Info()
	state := ui.HSM{State: ui.HSMReady, Detail: info.Label + " " + info.Serial}
	switch {
	case l.away != nil:
		state = ui.HSM{State: ui.HSMAway, Detail: oneLine(l.away)}
	case info.Software:
		state.State = ui.HSMSoftware
	}
	return state
}

const (
	keeperPause = time.Second     // between two rounds of keep
	reloading   = 3 * time.Second // how long a passed board stays on the screen before the next one starts by itself
)

// keep looks after what nobody asks for: the HSM that was lost, bays that start by
// themselves. It ends with ctx.
func (l *line) keep(ctx context.Context) {
	tick := time.NewTicker(keeperPause)
	defer tick.Stop()
	passed := map[*slot]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.suspect:
			l.probe()
		case now := <-tick.C:
			if l.isAway() {
				l.probe()
			}
			l.startAutomatic(now, passed)
		}
	}
}

func (l *line) isAway() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away != nil
}

// probe has the token sign, and puts on record when it went and came back. The
// token bounds its own calls.
func (l *line) probe() {
	_, err := prove(l.bench.audit)
	l.mu.Lock()
	before := l.away
	l.away = err
	l.mu.Unlock()
	var noted error
	switch {
	case err != nil && before == nil:
		l.log.Warn("HSM is away: the line pauses", "error", err)
		noted = l.bench.note("hsm.away", audit.Failure, map[string]string{"error": err.Error()})
	case err == nil && before != nil:
		l.log.Info("HSM is back: the line goes on")
		noted = l.bench.note("hsm.back", audit.Success, nil)
	}
	if noted != nil {
		l.log.Error("recording the state of the HSM", "error", noted)
	}
}

// startAutomatic starts what stands ready: a bay that has had no board, one whose
// board passed a moment ago, one that lost the HSM.
func (l *line) startAutomatic(now time.Time, passed map[*slot]time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.automatic || l.draining || l.away != nil {
		return
	}
	for _, s := range l.slots {
		if s.running || s.skipped != "" || s.bay.Stopped() != nil || s.place.model == nil || s.last != "" && s.last != station.Pass && !s.again {
			delete(passed, s)
			continue
		}
		if s.last == station.Pass {
			if passed[s].IsZero() {
				passed[s] = now
			}
			if now.Sub(passed[s]) < reloading {
				continue
			}
		}
		delete(passed, s)
		if l.order.Quota > 0 && l.order.Count >= l.order.Quota {
			continue
		}
		if err := l.begin(s, ui.Start{Bay: s.bay.Name, Operator: l.operator, Order: l.order.ID}); err != nil {
			l.log.Warn("automatic start", "bay", s.bay.Name, "error", err)
		}
	}
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
	anchored, more := l.bench.registry.Anchored(ctx)
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
