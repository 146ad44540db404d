package station_test

import (
	"slices"
	"strings"
	"testing"

	"hallmark/devices"
	"hallmark/station"
)

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
