package operate

import (
	"context"
	"slices"

	"hallmark/devices/usb"
)

// plugged watches what is plugged in. The zero value watches nothing.
type plugged struct{ watcher *usb.Watcher }

// watchPorts makes the Supervisor tick when a board is plugged in or pulled. Without it the Supervisor sees the
// change at its next tick.
func (c *Controller) watchPorts(ctx context.Context) plugged {
	if !slices.ContainsFunc(c.bays, func(b *bayState) bool { return b.spec.Kind == nil }) {
		return plugged{}
	}
	watcher, err := usb.Watch(ctx, usb.WatchOptions{Root: c.options.Boards.Root()})
	if err != nil {
		c.record.Log.Warn("boards that appear are seen later", "error", err)
		return plugged{}
	}
	if err := watcher.Polls(); err != nil {
		c.record.Log.Info("the kernel sends no messages of USB", "error", err)
	}
	return plugged{watcher}
}

// changes gets a value for each change; nil if nothing is watched.
func (p plugged) changes() <-chan []usb.Event {
	if p.watcher == nil {
		return nil
	}
	return p.watcher.Events()
}

func (p plugged) close(c *Controller) {
	if p.watcher == nil {
		return
	}
	if err := p.watcher.Close(); err != nil {
		c.record.Log.Warn("watching USB", "error", err)
	}
}
