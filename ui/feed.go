package ui

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
)

// A Feed carries events and log lines to the screen. Push and Log never block and may be
// called from any goroutine. The screen takes all waiting events, at most once in each interval.
// A newer step of a Run replaces an older step that was not drawn yet, so the number of
// waiting events is bounded by the number of bays.
type Feed struct {
	interval time.Duration
	wake     chan struct{} // holds one element when something waits

	mu     sync.Mutex // covers the following fields
	events []station.Event
	logs   []LogLine
}

const (
	defaultInterval = 100 * time.Millisecond
	keptLogLines    = 500
	keptEvents      = 4096
)

// NewFeed makes a Feed. An interval of 0 means 100 ms: people do not see more, and the Runs need the CPU.
func NewFeed(interval time.Duration) *Feed {
	if interval <= 0 {
		interval = defaultInterval
	}
	return &Feed{interval: interval, wake: make(chan struct{}, 1)}
}

// Push takes an event. It is meant to be station.Config.Events.
func (f *Feed) Push(e station.Event) {
	f.mu.Lock()
	f.push(e)
	f.mu.Unlock()
	f.rouse()
}

func (f *Feed) push(e station.Event) {
	last := len(f.events) - 1
	for i := last; i >= 0 && e.Kind != station.RunStarted; i-- {
		old := &f.events[i]
		if old.Run != e.Run || old.Bay != e.Bay {
			continue
		}
		if isStep(old.Kind) {
			*old = e
			return
		}
		break
	}
	if len(f.events) >= keptEvents {
		f.events = f.events[1:]
	}
	f.events = append(f.events, e)
}

func isStep(k station.EventKind) bool {
	return k == station.StepStarted || k == station.StepMoved || k == station.StepEnded
}

// Log takes a line of the log.
func (f *Feed) Log(line LogLine) {
	f.mu.Lock()
	f.logs = append(f.logs, line)
	if len(f.logs) > keptLogLines {
		f.logs = f.logs[1:]
	}
	f.mu.Unlock()
	f.rouse()
}

func (f *Feed) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// feedMsg holds the events and log lines since the last feedMsg.
type feedMsg struct {
	events []station.Event
	logs   []LogLine
}

// EventMsg hands one event to a Model directly, for programs that have no Feed.
type EventMsg struct{ Event station.Event }

// next waits for an event or a log line, and returns everything that comes within the interval after that.
func (f *Feed) next(ctx context.Context) tea.Cmd {
	return func() tea.Msg {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return nil
		}
		pause := time.NewTimer(f.interval)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		return f.take()
	}
}

func (f *Feed) take() feedMsg {
	f.mu.Lock()
	defer f.mu.Unlock()
	msg := feedMsg{f.events, f.logs}
	f.events, f.logs = nil, nil
	return msg
}
