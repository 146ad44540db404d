package station_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
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
		p.silent, p.identity.FirmwareHash = false, provisioning
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
		p.silent = false
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

func TestABlankBoardIsFlashedEnrolledAndLocked(t *testing.T) {
	w := withPort(t)
	var percents []int
	s := w.locking(func(c *station.Config) {
		c.Events = func(e station.Event) {
			if e.Kind == station.StepMoved {
				percents = append(percents, e.Progress.Percent())
			}
		}
	})
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Pass {
		t.Fatalf("ending %s: %v", run.Ending, run.Err)
	}
	want := "Identify Target Content ImageAllowed ReadStore Flash Identify Identify Marked Admit CSR Check Sign Write 0 Write 1 Write 2 Reset Read 2 ReadStore Delivered " +
		"Connect Handshake Verdict Activate Identify LockState Restart Identify LockIntended Lock Reset LockState LockRead Close"
	if got := strings.Join(w.calls, " "); got != want {
		t.Errorf("calls %s\nwant  %s", got, want)
	}
	if run.Flash.Held || run.Flash.Image != firmwareImage.SHA256 || *run.StoreRead != w.certificate.SHA256 || run.Probe.Serial != "683806234" {
		t.Errorf("flash %+v, store %x, probe %+v", run.Flash, run.StoreRead, run.Probe)
	}
	if run.Lock.State != station.LockLocked || run.Lock.Recipe != testLockRecipe || !slices.Equal(w.locks, []string{"intended", "locked"}) {
		t.Errorf("lock %+v, entries %v", run.Lock, w.locks)
	}
	if len(percents) != 101 || !slices.IsSorted(percents) || percents[100] != 100 {
		t.Errorf("progress %v", percents)
	}
	if s := run.Steps; s[0].Name != "flash" || s[len(s)-1].Name != "lock" {
		t.Errorf("steps %v", s)
	}
}

func TestABoardThatHoldsTheImageIsNotFlashed(t *testing.T) {
	t.Run("it says so", func(t *testing.T) {
		w := withPort(t)
		w.silent, w.identity.FirmwareHash = false, provisioning
		if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Pass || !run.Flash.Held || slices.Contains(w.calls, "Content") {
			t.Errorf("ending %s: %v; calls %v", run.Ending, run.Err, w.calls)
		}
	})
	t.Run("the probe finds it, and the board does not run", func(t *testing.T) {
		w := withPort(t)
		w.port.image = provisioning
		if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Pass || !run.Flash.Held || w.port.restarts != 2 { // the second one before the lock
			t.Errorf("ending %s: %v; %d restarts", run.Ending, run.Err, w.port.restarts)
		}
	})
}

// An image whose parts lie far from each other has no such hash, and a board may report none.
func TestABoardWithoutAHashDoesNotHoldAnImageWithoutAHash(t *testing.T) {
	w := withPort(t)
	w.silent, w.identity.FirmwareHash, w.port.image, w.port.setup.Image.Octets = false, [32]byte{}, [32]byte{2}, [32]byte{}
	if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Pass || run.Flash.Held || !slices.Contains(w.calls, "Flash") {
		t.Errorf("ending %s: %v; calls %v", run.Ending, run.Err, w.calls)
	}
}

func TestABoardThatIsDoneIsNotErased(t *testing.T) {
	since := time.Date(2026, 11, 20, 10, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		name    string
		prepare func(w *fakes)
	}{
		{"it answers with other firmware", func(w *fakes) { w.silent, w.port.image = false, [32]byte{2} }},
		{"it answers late, with other firmware", func(w *fakes) {
			w.port.image = [32]byte{2}
			w.hook = func(call string) error { w.silent = w.silent && call != "Target"; return nil }
		}},
		{"it is silent, and its store holds an active certificate", func(w *fakes) { w.holds(w.certificate); w.registered(w.certificate) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			test.prepare(w)
			w.done[w.identity.ID] = since
			run := w.enrol(t.Context(), w.locking())
			if run.Ending != station.Reject || run.Reason != "done-before" || slices.Contains(w.calls, "Flash") ||
				!strings.Contains(run.Err.Error(), "was done at 2026-11-20T10:30:00Z: take it out") {
				t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
			}
		})
	}
}

func TestACutFlashNeedsFlashUntilTheNextRun(t *testing.T) {
	w := withPort(t)
	s := w.locking()
	w.port.cut = errProbeLost
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Fault || run.Reason != "needs-flash" || !errors.Is(run.Err, errProbeLost) || run.Flash != nil {
		t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
	}
	w.port.cut = nil
	if again := w.enrol(t.Context(), s); again.Ending != station.Pass || again.Flash.Held {
		t.Errorf("the next Run ends as %s: %v; flash %+v", again.Ending, again.Err, again.Flash)
	}
}

// A programmer may erase a locked chip when it connects. The board was not locked by this station's hand before, and it
// needs flash, also if an operator stops the Run.
func TestAChipThatAQuestionErasedIsNamedAndOnRecord(t *testing.T) {
	for name, silent := range map[string]bool{"a board that answers": false, "a silent board": true} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.silent = silent
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.hook = func(call string) error {
				if call != "Target" {
					return nil
				}
				cancel()
				return fmt.Errorf("asking the probe: %w: %w", errErased, station.ErrNeedsFlash)
			}
			run := w.enrol(ctx, w.locking())
			if run.Ending != station.Fault || run.Reason != "chip-erased" || !slices.Contains(w.calls, "Close") || (run.Identity == nil) != silent {
				t.Errorf("ending %s %q of %+v: %v; calls %v", run.Ending, run.Reason, run.Identity, run.Err, w.calls)
			}
		})
	}
}

func TestAFlashThatTheOperatorCutsIsNamed(t *testing.T) {
	w := withPort(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.port.cut = context.Canceled
	s := w.locking(func(c *station.Config) {
		c.Events = func(e station.Event) {
			if e.Progress.Percent() == 50 {
				cancel()
			}
		}
	})
	if run := w.enrol(ctx, s); run.Ending != station.Fault || run.Reason != "needs-flash" {
		t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
	}
}

func TestADrainLetsAFlashGoToItsEnd(t *testing.T) {
	w := withPort(t)
	s := w.locking()
	w.hook = func(call string) error {
		if call == "Flash" {
			s.Drain()
		}
		return nil
	}
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Aborted || run.Reason != "draining" || w.port.image != provisioning || slices.Contains(w.calls, "Sign") {
		t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
	}
}

func TestFirmwareThatIsNotAllowedIsRefusedBeforeSigning(t *testing.T) {
	for _, test := range []struct {
		name   string
		allow  [][32]byte
		ending station.Ending
	}{
		{"no list", nil, station.Pass},
		{"on the list", [][32]byte{{9}, {5}}, station.Pass},
		{"not on the list", [][32]byte{{9}}, station.Reject},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newFakes(t)
			w.identity.FirmwareHash = [32]byte{5}
			run := w.enrol(t.Context(), w.station(func(c *station.Config) { c.FirmwareAllow = test.allow }))
			if run.Ending != test.ending || run.Ending == station.Reject && (run.Reason != "firmware-not-allowed" || slices.Contains(w.calls, "Sign") || !strings.Contains(run.Err.Error(), "reports 05") || !strings.Contains(run.Err.Error(), "has 09")) {
				t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
			}
		})
	}
}

// The next board would end in the same way, so a refusal of the image that the station has flashed says nothing against the board.
func TestARefusedImageOfTheBoardDefinitionIsNoMistakeOfTheBoard(t *testing.T) {
	product := func(w *fakes) { w.identity.Can = devices.CanNet }
	for _, test := range []struct {
		name    string
		prepare func(*fakes)
		allow   [][32]byte
		ending  station.Ending
		reason  string
	}{
		{"a product's image that the station flashed", product, nil, station.Fault, "image-unfit"},
		{"a product's image that the board had already", func(w *fakes) { product(w); w.port.image = provisioning }, nil, station.Fault, "image-unfit"},
		{"an image that is not on the list", func(*fakes) {}, [][32]byte{{9}}, station.Fault, "image-not-allowed"},
		{"an image of unknown hash that is not on the list", func(w *fakes) { w.port.setup.Image.Octets = [32]byte{} }, [][32]byte{{9}}, station.Fault, "image-unfit"},
		{"without COSE key", func(w *fakes) { w.identity.Purposes = 0 }, nil, station.Fault, "image-unfit"},
		{"a bay that flashes nothing", func(w *fakes) { product(w); w.port.setup.Image, w.silent = nil, false }, nil, station.Reject, "product-image"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			test.prepare(w)
			run := w.enrol(t.Context(), w.locking(func(c *station.Config) { c.FirmwareAllow = test.allow }))
			if run.Ending != test.ending || run.Reason != test.reason || slices.Contains(w.calls, "Sign") {
				t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
			}
		})
	}
}

// The image is the bay's, so the board is not to blame for it.
func TestABayWhoseImageIsNotAllowedFlashesNothing(t *testing.T) {
	for name, change := range map[string]func(*fakes, *station.Config){
		"by the station":    func(_ *fakes, c *station.Config) { c.FirmwareAllow = [][32]byte{{9}} },
		"by the work order": func(w *fakes, _ *station.Config) { w.fails("ImageAllowed", station.ErrImageNotAllowed) },
		"by the work order, and the board holds it": func(w *fakes, _ *station.Config) {
			w.port.image, w.silent, w.identity.FirmwareHash = provisioning, false, provisioning
			w.fails("ImageAllowed", station.ErrImageNotAllowed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			run := w.enrol(t.Context(), w.locking(func(c *station.Config) { change(w, c) }))
			if run.Ending != station.Fault || run.Reason != "image-not-allowed" || slices.Contains(w.calls, "Flash") {
				t.Errorf("ending %s %q: %v; calls %v", run.Ending, run.Reason, run.Err, w.calls)
			}
		})
	}
	w := withPort(t)
	if run := w.enrol(t.Context(), w.locking(func(c *station.Config) { c.FirmwareAllow = [][32]byte{provisioning} })); run.Ending != station.Pass {
		t.Errorf("an image on the list: %s %q: %v", run.Ending, run.Reason, run.Err)
	}
}

func TestTheProbeFindsABoardThatLiesAboutItsFlash(t *testing.T) {
	other := newCertificate(t, 9)
	for name, store := range map[string][]byte{
		"no store":            {},
		"another certificate": fixtures.FlashStore(map[devices.Slot][]byte{devices.SlotCertificate: other.DER}),
		"an empty slot":       fixtures.FlashStore(map[devices.Slot][]byte{devices.SlotAnchor: []byte("anchor")}),
	} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.port.store = store
			if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Reject || run.Reason != "probe-read-differs" || slices.Contains(w.calls, "Lock") {
				t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
			}
		})
	}
}

func TestOnlyTheFirstRunOfABoardFlashes(t *testing.T) {
	w := withPort(t)
	w.silent = false
	s := w.locking(func(c *station.Config) { c.Keys = append(c.Keys, station.Key{Purpose: devices.PurposeCOSE}) })
	run, err := s.NewRun("bay 1", "operator")
	if err != nil {
		t.Fatal(err)
	}
	run.Purpose = devices.PurposeCOSE
	w.again(t.Context(), s, run)
	if slices.ContainsFunc(run.Steps, func(s station.StepTime) bool { return s.Name == "flash" }) {
		t.Errorf("steps %v", run.Steps)
	}
}

// Drivers and recipes give a programmer up to 10 minutes, and more for an image of several parts.
func TestTheTimeOfAFlashComesFromTheBay(t *testing.T) {
	for _, test := range []struct {
		name     string
		limit    time.Duration
		change   func(*station.Timeouts)
		min, max time.Duration
	}{
		{"no limit of the programmer", 0, nil, time.Minute, 2 * time.Minute},
		{"a programmer that may take 10 minutes", 10 * time.Minute, nil, 11 * time.Minute, 12 * time.Minute},
		{"a Run that is bounded more than the flash", 10 * time.Minute, func(o *station.Timeouts) { o.Run = time.Minute }, 10 * time.Minute, 11 * time.Minute},
		{"a time-out in the configuration", 10 * time.Minute, func(o *station.Timeouts) { o.Named = map[string]time.Duration{"flash": 5 * time.Minute} }, 4 * time.Minute, 5 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			w.port.setup.FlashLimit = test.limit
			s := w.locking(func(c *station.Config) {
				if test.change != nil {
					test.change(&c.Timeouts)
				}
			})
			if run := w.enrol(t.Context(), s); run.Ending != station.Pass || w.port.left < test.min || w.port.left > test.max {
				t.Errorf("ending %s: %v; the flash has %v, want %v to %v", run.Ending, run.Err, w.port.left, test.min, test.max)
			}
		})
	}
}

func TestTheTimeOfALockComesFromTheBay(t *testing.T) {
	w := withPort(t)
	w.port.setup.LockLimit = 4 * time.Minute
	if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Pass || w.port.lockLeft < 4*time.Minute || w.port.lockLeft > 5*time.Minute {
		t.Errorf("ending %s: %v; the lock has %v", run.Ending, run.Err, w.port.lockLeft)
	}
}

func TestAStationThatReadsFirmwareDoesNotBelieveTheBoard(t *testing.T) {
	for name, image := range map[string][32]byte{"the probe finds the image": provisioning, "the probe finds another image": {2}} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.silent, w.identity.FirmwareHash, w.port.image = false, provisioning, image
			run := w.enrol(t.Context(), w.locking(func(c *station.Config) { c.ReadFirmware = true }))
			held := image == provisioning
			if run.Ending != station.Pass || run.Flash.Held != held || slices.Contains(w.calls, "Flash") == held || !slices.Contains(w.calls, "Content") {
				t.Errorf("ending %s: %v; calls %v", run.Ending, run.Err, w.calls)
			}
		})
	}
}
