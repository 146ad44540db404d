// Package conformance is what any board must pass before a station works with
// it: the posix process, the QEMU machines, a Zephyr image, real silicon.
// It asks over the line only, by PROTOCOL.md, so it needs nothing of the board's
// inside. It imports testing and is imported by tests.
package conformance

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"hallmark/devices"
)

// patience bounds each check; a loaded emulator is slow.
const patience = 60 * time.Second

// A Subject is a fresh board: nothing in its store, not sealed, powered.
type Subject struct {
	Line devices.Line // whoever opened it closes it, after the check
	// HUK, if it is known, is what the identity must be derived from.
	HUK    []byte
	Suffix string
	// BoardType, if not empty, is what hello must say.
	BoardType string
	// PowerCycle, if not nil, takes the power away and gives it back.
	PowerCycle func(context.Context) error
}

// chapter is one group of checks; each check gets a fresh board.
type chapter struct {
	name   string
	checks []check
}

type check struct {
	name string
	do   func(*bench)
}

var chapters = []chapter{
	{"identity", identityChecks},
	{"csr", csrChecks},
	{"store", storeChecks},
	{"wire", wireChecks},
	{"handshake", handshakeChecks},
}

// TestBoard runs the suite. open makes a fresh board for each check and
// arranges its end with t.Cleanup.
func TestBoard(t *testing.T, open func(t *testing.T) Subject) {
	for _, chapter := range chapters {
		t.Run(chapter.name, func(t *testing.T) {
			for _, check := range chapter.checks {
				t.Run(check.name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					check.do(&bench{T: t, ctx: ctx, subject: open(t)})
				})
			}
		})
	}
}

// bench is one check with its board. Either client or wire reads the line.
type bench struct {
	*testing.T
	ctx     context.Context
	subject Subject
	board   *devices.Client
	options devices.Options
}

// client gives the client of this check's board.
func (b *bench) client() *devices.Client {
	b.Helper()
	if b.board == nil {
		b.board = devices.NewClient(b.subject.Line, b.options)
		board := b.board
		b.Cleanup(func() {
			if err := board.Detach(); err != nil && !errors.Is(err, net.ErrClosed) {
				b.Error(err)
			}
		})
	}
	return b.board
}

// check ends the check when something failed that is not on trial.
func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) identify() devices.Identity {
	b.Helper()
	id, err := b.client().Identify(b.ctx)
	b.check(err)
	return id
}

func (b *bench) reset() devices.BootID {
	b.Helper()
	_, boot, err := b.client().Reset(b.ctx)
	b.check(err)
	return boot
}
