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

// watch calls drain at the first stop signal and cancels the context at the
// second one. done ends the watch.
func watch(ctx context.Context, drain func()) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopSignals...)
	// A reader of our output that went away is an error of writing, not the end of the line.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	quit := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for first := true; ; first = false {
			select {
			case <-quit:
				return
			case <-signals:
			}
			if first {
				drain()
			} else {
				cancel(errInterrupted)
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		signal.Stop(broken)
		close(quit)
		watcher.Wait()
		cancel(nil)
	}
}
