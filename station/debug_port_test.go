package station_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/reason"
)

// debugPort is the fake of a debug port. The tests of package sweep use real boards.
type debugPort struct {
	*fakes
	setup     station.DebugSetup
	image     [32]byte // SHA-256 of what lies in the flash
	state     station.LockState
	cut       error // Flash ends with this error in the middle
	stays     bool  // Lock does nothing, as a wrong recipe
	store     []byte
	restarts  int
	elsewhere bool          // the probe is connected to another chip than that of the board on the UART
	pin       bool          // Restart works on a locked chip, too
	slow      bool          // a board that is silent stays silent after a restart, until the test says otherwise
	left      time.Duration // until the context of Flash ends
	lockLeft  time.Duration // until the context of Lock ends
}

var (
	errLocked      = reason.New("target-locked", "debug port is locked")
	errErased      = reason.New("chip-erased", "the connection has erased the chip")
	errProbeLost   = reason.New("probe-lost", "probe was lost")
	provisioning   = sha256.Sum256([]byte("octets of the provisioning firmware"))
	firmwareImage  = station.FirmwareImage{SHA256: sha256.Sum256([]byte("file")), Octets: provisioning}
	testLockRecipe = station.LockRecipe{Kind: "APPROTECT", SHA256: sha256.Sum256([]byte("recipe")), Key: "SHA256:abc"}
)

// withPort gives the fakes a blank board in a bay with a debug port.
func withPort(t *testing.T) *fakes {
	w := newFakes(t)
	image, lock := firmwareImage, testLockRecipe
	w.done = map[devices.BoardID]time.Time{}
	w.port = &debugPort{fakes: w, setup: station.DebugSetup{Image: &image, Store: true, Lock: &lock}, state: station.LockOpen}
	w.silent = true
	return w
}

// locking is a station that flashes and locks.
func (w *fakes) locking(changes ...func(*station.Config)) *station.Station {
	w.t.Helper()
	return w.station(append([]func(*station.Config){func(c *station.Config) {
		c.Flash, c.LockDebugPort, c.Timeouts.Ask = true, true, 10*time.Millisecond
	}}, changes...)...)
}

func (p *debugPort) Setup() station.DebugSetup { return p.setup }

func (p *debugPort) Target(ctx context.Context) (station.ProbeRecord, error) {
	return station.ProbeRecord{Serial: "683806234", Target: "Cortex-M4"}, p.open(ctx, "Target") // a locked chip does not say what it is
}

// open refuses work on a locked chip.
func (p *debugPort) open(ctx context.Context, name string) error {
	if err := p.call(ctx, name); err != nil {
		return err
	}
	if p.state == station.LockLocked {
		return errLocked
	}
	return nil
}

func (p *debugPort) Content(ctx context.Context) (station.FlashContent, error) {
	content := station.FlashOther
	switch p.image {
	case provisioning:
		content = station.FlashImage
	case [32]byte{}:
		content = station.FlashBlank
	}
	return content, p.open(ctx, "Content")
}

func (p *debugPort) Flash(ctx context.Context, progress func(done, total int)) error {
	if err := p.open(ctx, "Flash"); err != nil {
		return err
	}
	if end, bounded := ctx.Deadline(); bounded {
		p.left = time.Until(end)
	}
	for done := range 1001 {
		progress(done, 1000)
		if done == 500 && p.cut != nil {
			p.image = [32]byte{1}
			return fmt.Errorf("flashing: %w: %w", p.cut, station.ErrNeedsFlash)
		}
	}
	p.image = provisioning
	if !p.elsewhere {
		p.silent, p.identity.FirmwareHash = p.silent && p.slow, provisioning
		p.identity.Boot[1]++
	}
	return nil
}

func (p *debugPort) Restart(ctx context.Context) error {
	if err := p.call(ctx, "Restart"); err != nil {
		return err
	}
	if p.state == station.LockLocked && !p.pin {
		return errLocked
	}
	p.restarts++
	if !p.elsewhere {
		p.silent = p.silent && p.slow
		p.identity.Boot[1]++
		if p.image == provisioning {
			p.identity.FirmwareHash = provisioning
		}
	}
	return nil
}

func (p *debugPort) ReadStore(ctx context.Context) ([]byte, error) {
	if err := p.open(ctx, "ReadStore"); err != nil {
		return nil, err
	}
	if p.store != nil {
		return p.store, nil
	}
	return fixtures.FlashStore(p.slots), nil
}

func (p *debugPort) Lock(ctx context.Context) error {
	if err := p.open(ctx, "Lock"); err != nil {
		return err
	}
	if end, bounded := ctx.Deadline(); bounded {
		p.lockLeft = time.Until(end)
	}
	p.identity.Boot[1]++ // the programmer resets the board
	if !p.stays {
		p.state = station.LockLocked
	}
	return nil
}

func (p *debugPort) LockState(ctx context.Context) (station.LockState, error) {
	return p.state, p.call(ctx, "LockState")
}
