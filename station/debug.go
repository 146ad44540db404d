package station

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"hallmark/devices"
	"hallmark/station/reason"
)

// flashes reports whether the Run has the step flash: the bay has an image to flash, and the
// Run is the board's first.
func (a *attempt) flashes() bool {
	return a.port != nil && a.port.Setup().Image != nil && a.run.Purpose == a.config.Keys[0].Purpose
}

// flashLimit is the time that the programmer may take in the step flash of this Run.
func (a *attempt) flashLimit() time.Duration {
	if !a.config.Flash || !a.flashes() {
		return 0
	}
	return a.port.Setup().FlashLimit
}

// flash writes the firmware image, unless the board holds the image. It erases nothing before
// it has asked the board and the registry who the board is.
func (a *attempt) flash(ctx context.Context) error {
	image := a.port.Setup().Image
	a.waits(WaitPort)
	if err := a.settles(ctx); err != nil {
		return err
	}
	a.waits(WaitBoard)
	id, err := a.whoAnswers(ctx, a.config.Timeouts.Ask)
	if err != nil {
		return err
	}
	held, id, err := a.holds(ctx, id)
	if err != nil {
		return err
	}
	if held == nil || held.Image == image.SHA256 {
		if err := a.imageAllowed(ctx, image); err != nil {
			return err
		}
	}
	if held == nil {
		if err := a.overwrite(ctx, id); err != nil {
			return err
		}
		held = &FlashRecord{Image: image.SHA256}
	}
	a.run.Flash = held
	return nil
}

// whoAnswers asks the board who it is, for a time. A blank board, or a board with other firmware,
// gives no identity, and that is no error. A UART that does not work is an error: it shows nothing about the board.
func (a *attempt) whoAnswers(ctx context.Context, patience time.Duration) (*devices.Identity, error) {
	if err := a.settles(ctx); err != nil { // a question that was not asked would look like a blank board
		return nil, err
	}
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id, err := a.board.Identify(short)
	switch {
	case err == nil:
		return &id, nil
	case ctx.Err() == nil && devices.MayLackFirmware(err):
		return nil, nil
	}
	return nil, withComponent(ErrLine, err)
}

// settles waits until the port of the board may be written to.
func (a *attempt) settles(ctx context.Context) error {
	port, ok := a.board.(SettlingBoard)
	if !ok {
		return nil
	}
	return withComponent(ErrLine, port.Settle(ctx))
}

// Firmware that is there may be slow to answer.
const patienceFactor = 5

// holds returns the record of a board that needs no flash: it says that it runs the image, the probe finds
// the image, or this station has locked the board before. Without a record the board needs a flash. It
// refuses a board that is done. The second result is what the board says, which may be more than before.
func (a *attempt) holds(ctx context.Context, id *devices.Identity) (*FlashRecord, *devices.Identity, error) {
	held := &FlashRecord{Image: a.port.Setup().Image.SHA256, Held: true}
	if a.believed(id) {
		return held, id, nil
	}
	a.waits(WaitRead)
	content, refusal := a.content(ctx)
	if needsFlash(refusal) { // the question has erased the chip
		a.run.Identity = id // for the record of the Run
	}
	switch {
	case refusal != nil && reason.Of(refusal).Word != lockedWord:
		return nil, id, refusal
	case refusal == nil && content == FlashImage:
		return held, id, a.runsImage(ctx, id)
	case id == nil && (refusal != nil || content != FlashBlank):
		var err error
		a.waits(WaitBoard)
		if id, err = a.whoAnswers(ctx, patienceFactor*a.config.Timeouts.Ask); err != nil {
			return nil, id, err
		}
	}
	switch {
	case refusal == nil:
		return nil, id, a.notDone(ctx, id)
	case id == nil:
		return nil, id, refusal
	case a.saysImage(id):
		return held, id, a.lockedBefore(ctx, id, refusal)
	}
	return &FlashRecord{Held: true}, id, a.lockedBefore(ctx, id, refusal)
}

// runsImage is for a chip that holds the image, as its probe has read. Only the chip of the board on the UART counts. A silent board
// is restarted, because its image does not run. One that stays silent is proven in the step identify.
func (a *attempt) runsImage(ctx context.Context, id *devices.Identity) (err error) {
	if id == nil {
		id, err = a.restart(ctx)
		if a.unproven = id == nil; err != nil || id == nil || a.believed(id) {
			return err
		}
	}
	_, err = a.prove(ctx, id)
	return err
}

// believed reports whether the board's own word is enough for the image.
func (a *attempt) believed(id *devices.Identity) bool {
	return a.saysImage(id) && !a.config.ReadFirmware
}

// imageAllowed refuses an image of the bay that no board of the Run may run, before it is flashed. An image without a
// hash over its octets is compared in the step identify only.
func (a *attempt) imageAllowed(ctx context.Context, image *FirmwareImage) error {
	octets := image.Octets
	if octets == [sha256.Size]byte{} {
		return nil
	}
	if allow := a.config.FirmwareAllow; len(allow) > 0 && !slices.Contains(allow, octets) {
		return fmt.Errorf("%w: station.yaml, SHA-256 %x", ErrImageNotAllowed, octets)
	}
	if err := a.config.Registry.ImageAllowed(ctx, a.run, octets); err != nil {
		return fmt.Errorf("comparing the image of the bay with the work order: %w", registryError(err))
	}
	return nil
}

// saysImage reports whether the board says that it runs the image.
func (a *attempt) saysImage(id *devices.Identity) bool {
	octets := a.port.Setup().Image.Octets
	return id != nil && octets != [sha256.Size]byte{} && id.FirmwareHash == octets
}

// content asks the probe what the flash holds.
func (a *attempt) content(ctx context.Context) (FlashContent, error) {
	if err := a.askProbe(ctx); err != nil {
		return "", err
	}
	return a.port.Content(ctx)
}

// askProbe notes which probe and which chip take part in the Run, once.
func (a *attempt) askProbe(ctx context.Context) error {
	if a.run.Probe != nil {
		return nil
	}
	target, err := a.port.Target(ctx)
	a.probeSerial = target.Serial
	if err == nil {
		a.run.Probe = &target
	}
	return err
}

func (a *attempt) standing(ctx context.Context, id devices.BoardID) (Standing, error) {
	standing, err := a.config.Known.Standing(ctx, id)
	if err != nil {
		return Standing{}, fmt.Errorf("looking up the board: %w", registryError(err))
	}
	return standing, nil
}

// overwrite flashes the image, unless the flash has the certificate of a board that is done. A board that answers must be the chip at
// the probe, before that chip loses its firmware and after it. Nobody knows who a silent board is, so it is proven after the flash; one that is
// silent then, too, in the step identify. before is what the board said; nil: it is silent.
func (a *attempt) overwrite(ctx context.Context, before *devices.Identity) (err error) {
	if before != nil {
		if before, err = a.prove(ctx, before); err != nil {
			return err
		}
	}
	if err := a.storeIsFree(ctx); err != nil {
		return err
	}
	pair := a.pair()
	defer pair.mayRestart(ctx)()
	a.waits(WaitFlash)
	if err := a.port.Flash(ctx, a.progress("flash")); err != nil {
		return err
	}
	a.unproven = before == nil
	a.waits(WaitStart)
	after, err := pair.answers(ctx, before)
	if err == nil && after != nil && (before == nil || after.ID != before.ID) {
		_, err = a.prove(ctx, after)
	}
	return flashedElsewhere(err)
}

// ofOwnImage turns the refusal of a firmware image into a Fault, if the board runs the image of its board definition: each other
// board of the bay would end in the same way.
func (a *attempt) ofOwnImage(refusal error) error {
	if a.run.Flash == nil || a.run.Flash.Image == [sha256.Size]byte{} {
		return refusal
	}
	for _, ofImage := range []error{devices.ErrProductImage, ErrFirmware, ErrAlgorithm, ErrNoPurpose, devices.ErrNoNetHandshake, devices.ErrNoReceipt} {
		if errors.Is(refusal, ofImage) {
			return fmt.Errorf("%w: %w", ErrImageUnfit, refusal)
		}
	}
	return refusal
}

// notDone refuses a board that answers and has an active certificate.
func (a *attempt) notDone(ctx context.Context, id *devices.Identity) error {
	if id == nil {
		return nil
	}
	err := a.isNotDone(ctx, id.ID)
	if err != nil {
		a.run.Identity = id // for the record of the refused Run
	}
	return err
}

// isNotDone refuses a board that has an active certificate.
func (a *attempt) isNotDone(ctx context.Context, id devices.BoardID) error {
	standing, err := a.standing(ctx, id)
	if err != nil {
		return err
	}
	if !standing.Active.IsZero() {
		return &DoneError{Board: id, Since: standing.Active}
	}
	return nil
}

// storeIsFree looks into the certificate store of a board, which may be silent because its
// firmware is damaged. It refuses a board whose certificate is active.
func (a *attempt) storeIsFree(ctx context.Context) error {
	if !a.port.Setup().Store {
		return nil
	}
	octets, err := a.port.ReadStore(ctx)
	if err != nil {
		return err
	}
	stored, err := devices.ParseFlashStore(octets)
	if err != nil {
		return nil // no store, as on a blank board
	}
	for _, slot := range []devices.Slot{devices.SlotCertificate, devices.SlotCOSE} {
		if err := a.certificateIsFree(ctx, stored.Slots[slot]); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) certificateIsFree(ctx context.Context, der []byte) error {
	serial, err := serialOf(der)
	if err != nil {
		return nil // nothing that this station issued
	}
	record, err := a.config.Known.Lookup(ctx, serial)
	switch {
	case errors.Is(err, ErrUnknownCertificate):
		return nil
	case err != nil:
		return fmt.Errorf("looking up the certificate in the board's flash: %w", registryError(err))
	}
	return a.isNotDone(ctx, record.BoardID)
}

// progress returns a function that tells the observer how far the step is, once for each percent.
func (a *attempt) progress(step string) func(done, total int) {
	told := -1
	return func(done, total int) {
		p := Progress{Done: done, Total: total}
		if percent := p.Percent(); percent > told {
			told = percent
			a.emitEvent(Event{Kind: StepMoved, Step: step, Progress: p, Waits: WaitFlash})
		}
	}
}

// readStore has the probe read the certificate out of the flash, which shows whether the board
// tells the truth over its UART.
func (a *attempt) readStore(ctx context.Context) error {
	if a.port == nil || !a.port.Setup().Store {
		return nil
	}
	octets, err := a.storeOctets(ctx)
	if err != nil {
		return a.lockedBefore(ctx, a.run.Identity, err)
	}
	stored, err := devices.ParseFlashStore(octets)
	if err != nil {
		return a.provesDifference(ctx, fmt.Errorf("%w: %w", ErrStoreDiffers, err))
	}
	held := stored.Slots[a.slot()]
	if !bytes.Equal(held, a.run.Certificate.DER) {
		return a.provesDifference(ctx, fmt.Errorf("%w: slot %d has %d octets, want %d", ErrStoreDiffers, a.slot(), len(held), len(a.run.Certificate.DER)))
	}
	sum := sha256.Sum256(held)
	a.run.StoreRead = &sum
	return nil
}

// storeOctets has the probe read the certificate store.
func (a *attempt) storeOctets(ctx context.Context) ([]byte, error) {
	if err := a.askProbe(ctx); err != nil {
		return nil, err
	}
	return a.port.ReadStore(ctx)
}
