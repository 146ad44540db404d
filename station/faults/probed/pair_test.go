package probed_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/devices/probe"
	"hallmark/fixtures"
	"hallmark/fixtures/jlink"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/workdir"
)

// spare starts a second board, which is blank.
func (b *environment) spare() *emulated.Board {
	b.t.Helper()
	board := fixtures.Must(emulated.Start(b.t.Context(), emulated.Config{Kind: emulated.QEMU, Machine: "mps2-an385", Dir: b.t.TempDir(), Debug: true}))(b.t)
	b.t.Cleanup(func() { b.closes(board.Close) })
	return board
}

// probeAt lays the debug cable of the bay to a board.
func (b *environment) probeAt(board *emulated.Board) {
	b.t.Helper()
	b.closes(b.emulated.Close)
	b.emulated = fixtures.Must(jlink.Start(jlink.Config{Serial: serial, Chip: jlink.NewQEMU(board, true)}))(b.t)
}

// isOpen checks that nothing has locked the board at the probe.
func (b *environment) isOpen(port station.DebugPort) {
	b.t.Helper()
	if state, err := port.LockState(b.t.Context()); state != station.LockOpen || err != nil {
		b.t.Errorf("the debug port of a board is %s, %v", state, err)
	}
}

func withoutStore(board *configs.Board) { board.Store = configs.FlashRegion{} }

// newImage is firmware that is never run: the next version of the board's firmware.
func newImage(t *testing.T) configs.BoardImage {
	t.Helper()
	image := fixtures.Must(probe.ReadImage(fixtures.Firmware(t, "../../..", emulated.QEMU, "mps2-an385"), 0))(t)
	last := &image.Segments[len(image.Segments)-1]
	last.Data = append(last.Data, 1, 2, 3, 4)
	text := image.Hex()
	file := filepath.Join(t.TempDir(), "new.hex")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	return configs.BoardImage{Image: file, SHA256: hex.EncodeToString(sum[:])}
}

func (b *environment) flashes() {
	b.t.Helper()
	if err := b.port.Flash(b.t.Context(), nil); err != nil {
		b.t.Fatal(err)
	}
}

// The board in the bay has its firmware, and the debug cable of the bay leads to another board, which is blank.
func TestADebugCableAtAnotherBoardIsNamedAndNeitherBoardIsChanged(t *testing.T) {
	for name, newer := range map[string]bool{"the board runs the image of the bay": false, "the board runs older firmware": true} {
		t.Run(name, func(t *testing.T) {
			b := newEnvironment(t, withoutStore)
			b.flashes()
			right := b.port
			if newer {
				b.port = b.debugPort("683806231", func(board *configs.Board) { withoutStore(board); board.Firmware = newImage(t) })
			}
			other := b.spare()
			b.probeAt(other)
			b.ends(b.run(t.Context()), station.Fault, "probe-elsewhere")
			b.isOpen(b.port)
			if newer {
				target := fixtures.Must(b.port.Content(t.Context()))(t)
				if target != station.FlashBlank {
					t.Errorf("the flash of the other board is %s", target)
				}
			}
			b.probeAt(b.board)
			b.port = right
			b.isOpen(b.port)
			b.passes()
			b.verifies()
		})
	}
}

// movedCable lays the debug cable to another board at the first question for the lock.
type movedCable struct {
	station.DebugPort
	move func()
}

func (m *movedCable) LockState(ctx context.Context) (station.LockState, error) {
	if m.move != nil {
		m.move()
		m.move = nil
	}
	return m.DebugPort.LockState(ctx)
}

func TestADebugCableThatIsMovedBeforeTheLockLocksNoOtherBoard(t *testing.T) {
	b := newEnvironment(t, nil)
	other, right := b.spare(), b.port
	b.port = &movedCable{right, func() { b.probeAt(other) }}
	run := b.run(t.Context())
	b.ends(run, station.Fault, "probe-elsewhere")
	if run.RecordedAt.IsZero() {
		t.Errorf("the Run ended early: %v", run.Err)
	}
	b.isOpen(right)
	b.probeAt(b.board)
	b.isOpen(right)
	b.port = right
	b.passes()
	b.verifies()
}

// cutLock loses the probe before or after the lock.
type cutLock struct {
	station.DebugPort
	after bool
}

func (c *cutLock) Lock(ctx context.Context) error {
	if c.after {
		if err := c.DebugPort.Lock(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: cut", probe.ErrLost)
}

// After an intent to lock, a locked chip at the probe counts only if it is the board.
func TestAnotherLockedBoardIsNotTakenForTheOneThatShouldBeLocked(t *testing.T) {
	b := newEnvironment(t, nil)
	right := b.port
	b.port = &cutLock{DebugPort: right}
	b.ends(b.run(t.Context()), station.Fault, "probe-lost")
	b.port = right
	other := b.spare()
	b.probeAt(other)
	if err := b.port.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.ends(b.run(t.Context()), station.Fault, "lock-unproven")
	b.probeAt(b.board)
	b.isOpen(b.port)
	if again := b.passes(); again.Lock.State != station.LockLocked {
		t.Errorf("lock %+v", again.Lock)
	}
	b.verifies()
}

// The reset pin restarts a locked chip, so the lock of a Run that ended early is not lost.
func TestALockWhoseRecordIsMissingIsProvenByTheResetPin(t *testing.T) {
	b := newEnvironment(t, nil)
	right := b.port
	b.port = &cutLock{right, true}
	b.ends(b.run(t.Context()), station.Fault, "probe-lost")
	b.port = right
	again := b.passes()
	if again.Lock.State != station.LockLocked {
		t.Errorf("lock %+v", again.Lock)
	}
	b.verifies()
}

// A board that answers and is done is not at the probe, and the chip at the probe belongs to a board that is done.
func TestAnActiveBoardAtTheWrongProbeIsNotErased(t *testing.T) {
	b := newEnvironment(t, withoutStore)
	b.port = &cutLock{DebugPort: b.port} // the active board stays open
	active := b.run(t.Context())
	b.ends(active, station.Fault, "probe-lost")
	done := b.client
	other := b.spare()
	b.probeAt(other)
	b.port = b.debugPort("683806231", withoutStore)
	b.flashes() // the board in the bay answers
	b.client = devices.NewClient(other.Transport(), devices.Options{Answer: emulated.AnswerTime})
	b.port = b.debugPort("683806231", func(board *configs.Board) { withoutStore(board); board.Firmware = newImage(t) })
	b.probeAt(b.board)
	b.ends(b.run(t.Context()), station.Fault, "probe-elsewhere")
	b.closes(b.client.Close)
	b.client = done
	id, err := done.Identify(t.Context())
	if err != nil || id.ID != active.Identity.ID || id.FirmwareHash != active.Identity.FirmwareHash || !id.Stored.Has(devices.SlotCertificate) {
		t.Errorf("the active board says %+v, %v", id, err)
	}
	b.verifies()
}

// recovers does what `station recover left` does, in a copy of the station: the bay left has a board of its own, which runs its
// firmware, and the debug cable leads to the board at the probe. agreed is called when the person is asked.
// named is whether the person names the board in the bay.
func (b *environment) recovers(at *emulated.Board, named bool, agreed func(what string) error) error {
	t := b.t
	t.Helper()
	dir := workdir.Dir(filepath.Join(t.TempDir(), "copy"))
	fixtures.CopyDirectory(t, string(b.opened.Dir), string(dir))
	config := fixtures.Must(os.ReadFile(dir.Config()))(t)
	config = append(config, "bays:\n  - {name: left, board: qemu-an385, probe: {driver: openocd, serial: \"683806231\"}}\n"...)
	if err := os.WriteFile(dir.Config(), config, 0o600); err != nil {
		t.Fatal(err)
	}
	own := fixtures.Must(emulated.Start(t.Context(), emulated.Config{Kind: emulated.QEMU, Machine: "mps2-an385", Dir: dir.In("bays", "left", "1"), Debug: true}))(t)
	b.probeAt(own)
	b.flashes()
	ask := operate.Recover{Why: "bad batch", Operator: "anna"}
	if named {
		client := devices.NewClient(own.Transport(), devices.Options{Answer: emulated.AnswerTime})
		ask.Board = fixtures.Must(client.Identify(t.Context()))(t).ID
	}
	b.closes(own.Close)
	b.probeAt(at)
	bays := fixtures.Must(instance.SelectBay(dir, "left"))(t)
	files := fixtures.Must(instance.OpenFiles(dir, b.options))(t)
	defer func() { b.closes(files.Close) }()
	image := fixtures.Firmware(t, "../../..", emulated.QEMU, "mps2-an385")
	source := fixtures.Must(files.Boards(bays, instance.Images{File: image}))(t)
	record := fixtures.Must(files.OpenRecord(t.Context()))(t)
	_, err := operate.RecoverBoard(t.Context(), record, source, bays[0], ask, agreed)
	return err
}

// neverAsked is for a recover that must end before the question.
func neverAsked(t *testing.T) func(what string) error {
	return func(what string) error {
		t.Errorf("a person was asked: %s", what)
		return errSaysNo
	}
}

var errSaysNo = errors.New("the person says no")

func TestRecoverErasesOnlyTheBoardThatAnswers(t *testing.T) {
	b := newEnvironment(t, nil)
	right := b.port
	b.port = &cutLock{DebugPort: right} // the active board stays open
	active := b.run(t.Context())
	b.ends(active, station.Fault, "probe-lost")
	b.port = right
	blank := b.spare()
	for name, at := range map[string]*emulated.Board{"an active board at the probe": b.board, "a board without a certificate at the probe": blank} {
		t.Run(name, func(t *testing.T) {
			err := b.recovers(at, false, neverAsked(t))
			if !errors.Is(err, station.ErrProbeElsewhere) {
				t.Errorf("got %v", err)
			}
		})
	}
	id, err := b.client.Identify(t.Context())
	if err != nil || !id.Stored.Has(devices.SlotCertificate) {
		t.Errorf("the active board says %+v, %v", id, err)
	}
}

// The reset pin restarts a locked chip, too.
func TestRecoverOfALockedChipAtAnotherBoardIsRefused(t *testing.T) {
	b := newEnvironment(t, nil)
	b.passes()
	err := b.recovers(b.board, false, neverAsked(t))
	if !errors.Is(err, station.ErrProbeElsewhere) || !strings.Contains(err.Error(), "give --board ") {
		t.Errorf("got %v", err)
	}
}

// A reset pin that is not connected looks like a cable at another board. Only a person can say then which board it is.
func TestRecoverOfALockedChipThatDoesNotRestartAsksThePersonWhoNamesTheBoard(t *testing.T) {
	b := newEnvironment(t, nil)
	b.passes()
	err := b.recovers(b.board, true, func(what string) error {
		if !strings.Contains(what, "nothing shows that the probe is connected") {
			t.Errorf("the question does not say what is not known: %s", what)
		}
		return errSaysNo
	})
	if !errors.Is(err, errSaysNo) {
		t.Errorf("got %v", err)
	}
}
