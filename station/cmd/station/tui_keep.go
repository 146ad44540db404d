package main

import (
	"context"
	"errors"
	"time"

	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/ui"
)

const (
	keeperPause = time.Second      // between two looks
	probeEvery  = 20 * time.Second // a lost HSM is noticed before the next board needs it
	reloading   = 3 * time.Second  // how long a passed board stays on the screen before the next one starts by itself
	maxResumed  = 3                // Runs of one bay that are started again by themselves, in a row
)

// A checkpoint is due after so many Runs, as in a batch, or when this long has
// passed since the last one with anything new to cover; one that did not come about is tried
// again after a pause.
const (
	anchorEvery = 15 * time.Minute
	anchorPause = time.Minute
)

// A keeper looks after what nobody asks for: an HSM that was lost, bays that start by
// themselves, checkpoints. Its fields are owned by its goroutine.
type keeper struct {
	line   *line
	stop   context.CancelFunc
	done   chan struct{}
	probed time.Time
	anchor time.Time // no checkpoint before
}

// keepFrom starts the keeper; end stops it. Its waits are those of the HSM and the
// registry, which have bounds.
func (l *line) keepFrom(now context.Context) *keeper {
	ctx, stop := context.WithCancel(now)
	k := &keeper{line: l, stop: stop, done: make(chan struct{})}
	go k.work(ctx)
	return k
}

func (k *keeper) end() {
	k.stop()
	<-k.done
}

func (k *keeper) work(ctx context.Context) {
	defer close(k.done)
	tick := time.NewTicker(keeperPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.line.suspect:
			k.look(time.Now(), true)
		case <-tick.C:
			k.look(time.Now(), false)
		}
	}
}

// look does what is due.
func (k *keeper) look(now time.Time, suspect bool) {
	l := k.line
	l.lookAtPorts()
	open := l.opened()
	if open == nil {
		return
	}
	if suspect || l.wanted(now.Sub(k.probed) >= probeEvery) {
		l.probe(open)
		k.probed = now
	}
	l.resume()
	l.startAutomatic(now)
	if l.due(now) && !now.Before(k.anchor) {
		k.anchor = now.Add(anchorPause)
		l.cover()
	}
}

// wanted reports whether the HSM is to be asked: somebody waits for it, or it is time and no
// Run does so anyway.
func (l *line) wanted(due bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.slots {
		if s.lost != nil {
			return true
		}
	}
	return l.away != nil || due && l.busy == 0
}

// probe has the token sign, and puts on record when it went and came back. The
// token bounds its own calls.
func (l *line) probe(open *opened) {
	_, err := prove(open.audit)
	if errors.Is(err, hsm.ErrBusy) && !errors.Is(err, hsm.ErrHung) {
		return // it works, for others
	}
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

// resume starts again what the HSM's loss ended, with the board that sat there. It
// comes after a probe.
func (l *line) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.slots {
		if s.lost == nil || l.away != nil || s.running {
			continue
		}
		ask := *s.lost
		if s.lost = nil; s.resumed >= maxResumed {
			continue
		}
		s.resumed++
		l.try(s, ask, "starting again after the HSM was lost")
	}
}

// try needs mu.
func (l *line) try(s *slot, ask ui.Start, why string) {
	if err := l.begin(s, ask); err != nil {
		l.log.Warn(why, "bay", ask.Bay, "error", err)
	} else {
		l.log.Info(why, "bay", ask.Bay)
	}
}

// startAutomatic starts what stands ready: an emulated bay that has had no board, or
// whose board passed a moment ago; a port on which a board has appeared.
func (l *line) startAutomatic(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.automatic || l.order.Quota > 0 && l.order.Count >= l.order.Quota {
		return
	}
	for _, s := range l.slots {
		if l.whyNot(s, s.bay.Name) == nil && s.stands(now) {
			l.try(s, ui.Start{Bay: s.bay.Name, Operator: l.operator, Order: l.order.ID}, "automatic start")
		}
	}
}

// stands reports whether a board waits in the bay that was not tried yet.
func (s *slot) stands(now time.Time) bool {
	if s.place.model == nil {
		return s.presence.appeared
	}
	return s.last == "" || s.last == station.Pass && now.Sub(s.passed) >= reloading
}

// due reports whether the log is to be signed over.
func (l *line) due(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away == nil && (l.uncovered >= checkpointEvery || now.Sub(l.anchored) >= anchorEvery)
}

// cover signs the log as it stands.
func (l *line) cover() {
	l.mu.Lock()
	covered := l.uncovered
	l.mu.Unlock()
	if err := l.bench.checkpoint(); err != nil {
		l.log.Error("checkpoint during the shift", "error", err)
		return
	}
	l.mu.Lock()
	l.uncovered -= covered
	l.mu.Unlock()
	l.refresh(l.life)
}
