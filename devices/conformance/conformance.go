// Package conformance is what any board must pass before a station works with
// it: the posix process, the QEMU machines, a Zephyr image, real silicon.
// It asks over the line only, by PROTOCOL.md, so it needs nothing of the board's
// inside. It imports testing and is imported by tests.
//
// An emulated board is made anew for each check. Silicon is the same board
// throughout: it must be a development board whose store the suite may
// overwrite, and not sealed. Before each check the suite gives it a trust anchor of
// its own, unless its store is empty, which takes the rest of the store with it,
// and resets it. The chapters that need an empty store or seal a board
// are left out then, and the log says so. In the end the board holds a trust
// anchor, a chain or a certificate of the suite, which no station knows.
package conformance

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"hallmark/devices"
)

// patience bounds each check; a loaded emulator is slow.
const patience = 60 * time.Second

// Boards is where the suite gets a board for each check.
type Boards struct {
	// Open gives a board that is powered and not sealed, and arranges its end
	// with t.Cleanup.
	Open func(t *testing.T) Subject
	// Fresh says that nothing is in the store of a board that Open gives.
	Fresh bool
	// MaySeal says that a board that Open gave may be sealed, which is for ever.
	// It counts with Fresh only.
	MaySeal bool
}

// A Subject is the board of one check.
type Subject struct {
	Line devices.Line // whoever opened it closes it, after the check
	// HUK, if it is known, is what the identity must be derived from.
	HUK    []byte
	Suffix string
	// BoardType, if not empty, is what hello must say.
	BoardType string
	// Reach gives what the board dials to come to an address of this machine; nil: the address itself.
	Reach func(netip.AddrPort) netip.AddrPort
	// Zephyr says that frames are read by Zephyr's MCUmgr and TLS is Zephyr's:
	// see mcumgrDiffers, and TLS 1.3 is not in every version.
	Zephyr bool
	// PowerCycle, if not nil, takes the power away and gives it back.
	PowerCycle func(context.Context) error
	// NoCutTable leaves out the power cuts in the middle of a commit. They are for a board whose
	// core and flash another board of the same run has, too.
	NoCutTable bool
}

// chapter is one group of checks.
type chapter struct {
	name   string
	needs  need
	checks []check
}

// need is what a chapter wants of its boards.
type need int

const (
	anyBoard need = iota
	freshBoard
	boardToSeal // fresh, too
)

// String says it to whoever wonders why a chapter is left out.
func (n need) String() string {
	return [...]string{"a board", "boards with an empty store", "boards with an empty store that may be sealed for ever"}[n]
}

func (b Boards) offer(n need) bool { return n == anyBoard || b.Fresh && (n == freshBoard || b.MaySeal) }

type check struct {
	name string
	do   func(*bench)
}

var chapters = []chapter{
	{"identity", anyBoard, identityChecks},
	{"csr", anyBoard, csrChecks},
	{"store", anyBoard, storeChecks},
	{"wire", anyBoard, wireChecks},
	{"handshake", anyBoard, handshakeChecks},
	{"network", anyBoard, netChecks},
	{"bounds", anyBoard, boundsChecks},
	{"fresh", freshBoard, freshChecks},
	{"seal", boardToSeal, sealChecks},
}

// TestBoard runs the suite.
func TestBoard(t *testing.T, boards Boards) {
	for _, chapter := range chapters {
		if !boards.offer(chapter.needs) {
			t.Logf("left out: the chapter %q needs %s", chapter.name, chapter.needs)
			continue
		}
		t.Run(chapter.name, func(t *testing.T) {
			for _, check := range chapter.checks {
				t.Run(check.name, func(t *testing.T) { check.on(t, boards) })
			}
		})
	}
}

func (c check) on(t *testing.T, boards Boards) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	subject := boards.Open(t)
	if !boards.Fresh {
		(&bench{T: t, ctx: ctx, subject: subject}).prepare()
	}
	c.do(&bench{T: t, ctx: ctx, subject: subject})
}

// prepare makes a board that has been used as good as new, but for an anchor.
func (b *bench) prepare() {
	b.Helper()
	id := b.identify()
	if id.Sealed {
		b.Fatalf("board %v is sealed: the suite needs a development board that is not; erase its store", id.ID)
	}
	if id.Stored != 0 {
		b.write(anchor, b.root("suite").der())
	}
	b.reset() // no transfer and no session is left of what was before
	b.check(b.board.Detach())
}

// bench is one check with its board. Either client or wire reads the line.
type bench struct {
	*testing.T
	ctx     context.Context
	subject Subject
	board   *devices.Client
	options devices.Options
	network bool // handshakes go over the board's own network
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
