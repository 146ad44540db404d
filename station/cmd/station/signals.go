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
// stop signal. done ends the watch.
func watch(ctx context.Context) (now, drain context.Context, done func()) {
	now, stopNow := context.WithCancelCause(ctx)
	drain, startDrain := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopSignals...)
	// If the reader of the output has gone, writing returns an error. Without this line, SIGPIPE would end the program,
	// also when the last error is written: so this stays until the program ends.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
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
		startDrain(nil)
		stopNow(nil)
	}
}
