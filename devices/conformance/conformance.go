// Package conformance is the suite that every board must pass before a station works
// with it: the posix process, the QEMU machines, a Zephyr image, real silicon. The
// suite talks to a board only over its UART, as PROTOCOL.md says. The package imports
// testing; only tests import the package.
//
// An emulated board is new for each check. Silicon is the same board in all checks. It
// must be a development board that is not sealed, and the suite overwrites its store.
// Before each check the suite writes its own trust anchor, unless the store is empty;
// that erases the rest of the store. Then it resets the board. For such a board the
// suite leaves out the chapters that need an empty store or seal a board, and the log
// says so. At the end the store holds objects of the suite, which no station knows.
package conformance

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/smp"
)

// checkTimeout is the longest time for one check. An emulator on a busy machine is slow.
const checkTimeout = 3 * time.Minute

// Boards provides a board for each check.
type Boards struct {
	// Open returns a board that is powered and not sealed. It registers the board's
	// end with t.Cleanup.
	Open func(t *testing.T) Subject
	// Fresh: the store of a board that Open returns is empty.
	Fresh bool
	// MaySeal: the suite may seal a board that Open returned, for ever. MaySeal has no
	// effect without Fresh.
	MaySeal bool
}

// A Subject is the board of one check.
type Subject struct {
	Transport devices.Transport // the caller of the suite opens it, and closes it after the check
	// HUK is the HUK from which the board derives its identity; nil: not known.
	HUK    []byte
	Suffix string
	// BoardType is the board type in hello; "": not checked.
	BoardType string
	// Reach returns the address that the board must dial to get to an address of this machine; nil: the same address.
	Reach func(netip.AddrPort) netip.AddrPort
	// Zephyr: Zephyr's MCUmgr decodes the frames (see mcumgrDiffers), and Zephyr's
	// mbedTLS does TLS, in some versions without TLS 1.3.
	Zephyr bool
	// PowerCycle switches the board's power off and on; nil: the suite cannot do it.
	PowerCycle func(context.Context) error
	// Memory returns a copy of the board's RAM; nil: the suite cannot read it.
	Memory func(context.Context) ([]byte, error)
	// NoCutTable leaves out the power cuts in the middle of a commit. They are for a board whose
	// core and flash another board of the same run has, too.
	NoCutTable bool
}

// A chapter is a group of checks.
type chapter struct {
	name     string
	requires requirement
	checks   []check
}

// A requirement is what a chapter needs of its boards.
type requirement int

const (
	anyBoard requirement = iota
	freshBoard
	boardToSeal // also fresh
)

// String names the boards in the log when a chapter is left out.
func (r requirement) String() string {
	return [...]string{"a board", "boards with an empty store", "boards with an empty store that may be sealed for ever"}[r]
}

func (b Boards) satisfy(r requirement) bool {
	return r == anyBoard || b.Fresh && (r == freshBoard || b.MaySeal)
}

type check struct {
	name string
	do   func(*environment)
}

var chapters = []chapter{
	{"identity", anyBoard, identityChecks},
	{"csr", anyBoard, csrChecks},
	{"store", anyBoard, storeChecks},
	{"wire", anyBoard, wireChecks},
	{"handshake", anyBoard, handshakeChecks},
	{"network", anyBoard, netChecks},
	{"receipt", anyBoard, receiptChecks},
	{"memory", freshBoard, memoryChecks},
	{"bounds", anyBoard, boundsChecks},
	{"fresh", freshBoard, freshChecks},
	{"seal", boardToSeal, sealChecks},
	{"update", boardToSeal, updateChecks},
}

// TestBoard runs the suite. It logs each chapter that the boards do not allow.
func TestBoard(t *testing.T, boards Boards) {
	t.Helper()
	testChapters(t, boards, chapters)
}

func testChapters(t *testing.T, boards Boards, chapters []chapter) {
	t.Helper()
	for _, chapter := range chapters {
		if !boards.satisfy(chapter.requires) {
			t.Logf("left out: the chapter %q needs %s", chapter.name, chapter.requires)
			continue
		}
		t.Run(chapter.name, func(t *testing.T) {
			for _, check := range chapter.checks {
				t.Run(check.name, func(t *testing.T) { check.run(t, boards) })
			}
		})
	}
}

func (c check) run(t *testing.T, boards Boards) {
	ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
	defer cancel()
	subject := boards.Open(t)
	if !subject.Zephyr {
		subject.Zephyr = (&environment{T: t, ctx: ctx, subject: subject}).runsZephyr()
	}
	if !boards.Fresh {
		(&environment{T: t, ctx: ctx, subject: subject, options: devices.Options{Answer: answerTime}}).prepare()
	}
	c.do(&environment{T: t, ctx: ctx, subject: subject, options: devices.Options{Answer: answerTime}})
}

// runsZephyr asks the board for the name of its kernel. Zephyr's MCUmgr knows it with CONFIG_MCUMGR_GRP_OS_INFO;
// a board that does not know the question is no Zephyr board, or -zephyr names it.
func (b *environment) runsZephyr() bool {
	b.Helper()
	var info smp.InfoResponse
	err := b.wire().ask(&smp.Info{Format: "s"}, &info)
	return err == nil && strings.TrimSpace(info.Output) == "Zephyr"
}

// prepare erases everything in the store of a used board but a trust anchor, and resets the board.
func (b *environment) prepare() {
	b.Helper()
	id := b.identify()
	if id.Sealed {
		b.Fatalf("board %v is sealed: the suite needs a development board that is not; erase its store", id.ID)
	}
	if id.Stored != 0 {
		b.write(anchor, b.root("suite").der())
	}
	b.reset() // ends transfers and sessions of the check before
	b.check(b.board.Detach())
}

// An environment is one check with its board. Either client or wire reads the transport.
type environment struct {
	*testing.T
	ctx     context.Context
	subject Subject
	board   *devices.Client
	options devices.Options
	known   devices.Identity // what the board last said about itself
	network bool             // handshakes go over the board's own network
}

// client returns the client of this check's board.
func (b *environment) client() *devices.Client {
	b.Helper()
	if b.board == nil {
		b.board = devices.NewClient(b.subject.Transport, b.options)
		board := b.board
		b.Cleanup(func() {
			if err := board.Detach(); err != nil && !errors.Is(err, net.ErrClosed) {
				b.Error(err)
			}
		})
	}
	return b.board
}

// check ends the check after an error of something that the check does not examine.
func (b *environment) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *environment) identify() devices.Identity {
	b.Helper()
	id, err := b.client().Identify(b.ctx)
	b.check(err)
	b.known = id
	return id
}

func (b *environment) reset() devices.BootID {
	b.Helper()
	_, boot, err := b.client().Reset(b.ctx)
	b.check(err)
	b.known.Boot = boot
	return boot
}
