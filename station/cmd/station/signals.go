package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

var errInterrupted = errors.New("stopped by the operator")

// stopSignals are treated alike: Ctrl-C, a closed terminal, a service manager.
var stopSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

// watch gives two contexts: drain ends at the first stop signal, now at the
// second. done ends the watch.
func watch(ctx context.Context) (now, drain context.Context, done func()) {
	now, stopNow := context.WithCancelCause(ctx)
	drain, startDrain := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopSignals...)
	// A reader of our output that went away is an error of writing, not the end of the line.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	quit := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for _, stop := range []context.CancelCauseFunc{startDrain, stopNow} {
			select {
			case <-quit:
				return
			case <-signals:
				stop(errInterrupted)
			}
		}
	})
	return now, drain, func() {
		close(quit)
		watcher.Wait()
		signal.Stop(signals)
		signal.Stop(broken)
		startDrain(nil)
		stopNow(nil)
	}
}
