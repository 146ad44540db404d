package faults_test

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestAClockThatGoesBackIsANamedFaultUntilItIsRight(t *testing.T) {
	var moved atomic.Int64 // nanoseconds
	l := newEnvironment(t, func(l *environment) {
		l.now = func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }
	})
	bay := l.bay("bay")
	bay.passes(t)
	bay.troubled(t, "clock", func() { moved.Store(int64(-30 * time.Minute)) }, func() { moved.Store(0) })
}
