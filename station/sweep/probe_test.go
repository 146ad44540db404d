package sweep_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"

	"hallmark/devices"
	"hallmark/devices/probe"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/registry"
)

// A probed board is a posix board with a debug port. The process of the board stands for its CPU,
// and files in its directory stand for what a probe changes: that the image is there, and that
// the debug port is locked. Package station/faults/probed has real probes.
type probedBoard struct {
	w    *environment
	uart *devices.Client
}

// Files of a probed board.
const (
	imageFile = "image" // there: the flash holds the image
	lockFile  = "locked"
)

func (b probedBoard) has(name string) bool {
	_, err := os.Stat(filepath.Join(b.w.board, name))
	return err == nil
}

func (b probedBoard) put(name string) error {
	return os.WriteFile(filepath.Join(b.w.board, name), nil, 0o600)
}

// blankUntilFlashed is the board's UART, which has no answer while the board has no image.
type blankUntilFlashed struct {
	*devices.Client
	probedBoard
}

func (b blankUntilFlashed) Identify(ctx context.Context) (devices.Identity, error) {
	if !b.has(imageFile) { // at once, so that the sweep need not shorten a wait of the station
		return devices.Identity{}, devices.ErrNoAnswer
	}
	return b.Client.Identify(ctx)
}

func (b probedBoard) Setup() station.DebugSetup {
	octets := must(os.ReadFile(b.w.image))(b.w.t)
	sum := sha256.Sum256(octets)
	return station.DebugSetup{Image: &station.FirmwareImage{SHA256: sum, Octets: sum}, Store: true,
		Lock: &station.LockRecipe{Kind: "file", SHA256: sha256.Sum256([]byte("recipe")), Key: "SHA256:key"}}
}

func (b probedBoard) Target(context.Context) (station.ProbeRecord, error) {
	return station.ProbeRecord{Serial: "1", Target: "posix"}, nil
}

func (b probedBoard) Content(context.Context) (station.FlashContent, error) {
	if b.has(imageFile) {
		return station.FlashImage, b.refusal()
	}
	return station.FlashBlank, b.refusal()
}

// refusal is the refusal of a locked debug port.
func (b probedBoard) refusal() error {
	if b.has(lockFile) {
		return probe.ErrLocked
	}
	return nil
}

func (b probedBoard) Flash(_ context.Context, progress func(done, total int)) error {
	progress(1, 1)
	return errors.Join(b.refusal(), b.put(imageFile))
}

// Restart also works on a locked chip, as by a reset pin.
func (b probedBoard) Restart(ctx context.Context) error {
	_, _, err := b.uart.Reset(ctx)
	return err
}

func (b probedBoard) ReadStore(context.Context) ([]byte, error) {
	octets, err := os.ReadFile(filepath.Join(b.w.board, "flash.bin"))
	return octets, errors.Join(err, b.refusal())
}

// Lock checks first that the intent is on record (I15).
func (b probedBoard) Lock(context.Context) error {
	db := fixtures.OpenDatabase(b.w.t, b.w.database())
	defer db.Close()
	if state := fixtures.Texts(b.w.t, db, `SELECT state FROM locks`); len(state) != 1 || state[0] != "intended" {
		b.w.t.Errorf("I15: the debug port is about to be locked, and the registry has %v", state)
	}
	return b.put(lockFile)
}

func (b probedBoard) LockState(context.Context) (station.LockState, error) {
	if b.has(lockFile) {
		return station.LockLocked, nil
	}
	return station.LockOpen, nil
}

// crashingPort has the crash point in front of each call.
type crashingPort struct {
	*crashPoint
	inner station.DebugPort
}

func (p crashingPort) Setup() station.DebugSetup { return p.inner.Setup() } // a constant is no effect

func (p crashingPort) Target(ctx context.Context) (station.ProbeRecord, error) {
	return withCrash(p.crashPoint, "DebugPort.Target", func() (station.ProbeRecord, error) { return p.inner.Target(ctx) })
}

func (p crashingPort) Content(ctx context.Context) (station.FlashContent, error) {
	return withCrash(p.crashPoint, "DebugPort.Content", func() (station.FlashContent, error) { return p.inner.Content(ctx) })
}

func (p crashingPort) Flash(ctx context.Context, progress func(done, total int)) error {
	return withCrashNoValue(p.crashPoint, "DebugPort.Flash", func() error { return p.inner.Flash(ctx, progress) })
}

func (p crashingPort) Restart(ctx context.Context) error {
	return withCrashNoValue(p.crashPoint, "DebugPort.Restart", func() error { return p.inner.Restart(ctx) })
}

func (p crashingPort) ReadStore(ctx context.Context) ([]byte, error) {
	return withCrash(p.crashPoint, "DebugPort.ReadStore", func() ([]byte, error) { return p.inner.ReadStore(ctx) })
}

func (p crashingPort) Lock(ctx context.Context) error {
	return withCrashNoValue(p.crashPoint, "DebugPort.Lock", func() error { return p.inner.Lock(ctx) })
}

func (p crashingPort) LockState(ctx context.Context) (station.LockState, error) {
	return withCrash(p.crashPoint, "DebugPort.LockState", func() (station.LockState, error) { return p.inner.LockState(ctx) })
}

// theLockIsOnRecord checks that chip and registry agree after a Pass, and that all rows follow
// from the entries.
func (w *environment) theLockIsOnRecord() {
	w.t.Helper()
	if !w.probe {
		return
	}
	db := fixtures.OpenDatabase(w.t, w.database())
	defer db.Close()
	if state := fixtures.Texts(w.t, db, `SELECT state FROM locks`); len(state) != 1 || state[0] != "locked" || !(probedBoard{w: w}).has(lockFile) {
		w.t.Errorf("I15: the registry has %v for the debug port", state)
	}
	reader := must(registry.OpenReader(w.t.Context(), w.database()))(w.t)
	defer reader.Close()
	must(reader.VerifyAudit(w.t.Context(), w.AuditKeyText(w.t)))(w.t)
}
