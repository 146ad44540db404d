package registry

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
)

// BenchmarkGrow measures the registry's part of a whole Run, in a small registry and in one
// with the boards of a year. The ratio shows what a large registry costs.
func BenchmarkGrow(b *testing.B) {
	for _, boards := range []int{100, 100_000} {
		b.Run(fmt.Sprint(boards), func(b *testing.B) {
			r := newTestRegistry(b)
			r.fill(boards)
			before := processorTime(b)
			for b.Loop() {
				must(b, r.whole())
			}
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

// processorTime gives the processor time of this process. Other processes do not change
// it much, unlike the time on the clock.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// fill enrols boards, many at once.
func (b *testRegistry) fill(boards int) {
	b.t.Helper()
	var next atomic.Int64
	var wait sync.WaitGroup
	for range maxBatch {
		wait.Go(func() {
			for next.Add(1) <= int64(boards) {
				if err := b.whole(); err != nil {
					b.t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

// whole does one Run of a new board, from Admit to Close.
func (b *testRegistry) whole() error {
	ctx := b.t.Context()
	run := newRun(devices.BoardID(uuid.New()), "hardware")
	if err := b.Admit(ctx, run); err != nil {
		return err
	}
	in := intent(run)
	if err := b.intends(in); err != nil {
		return err
	}
	der := append(make([]byte, 500), in.Serial[:]...)
	if err := b.Issued(ctx, in.Serial, der); err != nil {
		return err
	}
	run.Certificate = certificateFor(in.Serial, der)
	if err := b.Delivered(ctx, proven(run)); err != nil {
		return err
	}
	if err := b.Activate(ctx, run); err != nil {
		return err
	}
	run.Ending = station.Pass
	return b.closeRun(ctx, run)
}
