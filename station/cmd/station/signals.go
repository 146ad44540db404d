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

// stopSignals stop the station. They come from Ctrl-C, a closed terminal or a service manager.
var stopSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

// watch returns two contexts. drain ends at the first stop signal, and now ends at the second
// stop signal. A third one ends the program, also if a part of the system does not answer. done ends the watch.
func watch(ctx context.Context) (now, drain context.Context, done func()) {
	now, stopNow := context.WithCancelCause(ctx)
	drain, startDrain := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopSignals...)
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
		signal.Stop(signals) // a third signal ends the program at once
	})
	return now, drain, func() {
		close(quit)
		watcher.Wait()
		signal.Stop(signals)
		startDrain(nil)
		stopNow(nil)
	}
}
