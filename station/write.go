package station

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"hallmark/devices"
)

// write stores anchor, chain and certificate in the board's flash. It reads the slots first,
// so that a repeated Run writes nothing. It does not read a slot that the identity reports as
// empty, because a UART is slow.
func (a *attempt) write(ctx context.Context) error {
	held, err := a.held(ctx)
	if err != nil {
		return err
	}
	if err := a.mayReplace(ctx, held); err != nil {
		return err
	}
	below := false // a slot was written: the board then erases the slots that depend on it
	for _, slot := range a.slots() {
		want := a.wanted(slot)
		if len(want) == 0 || (!below && bytes.Equal(held[slot], want)) {
			continue
		}
		if a.run.Identity.Sealed {
			return ErrSealed
		}
		if err := a.board.Write(ctx, slot, want); err != nil {
			return fmt.Errorf("slot %d: %w", slot, withComponent(ErrLine, err))
		}
		below = true
	}
	a.run.Written = true
	return nil
}

func (a *attempt) wanted(slot devices.Slot) []byte {
	switch slot {
	case devices.SlotAnchor:
		return a.config.Anchor
	case devices.SlotChain:
		return a.config.Chain
	default:
		return a.run.Certificate.DER
	}
}

// held reads the slots that were not empty when the board was identified.
func (a *attempt) held(ctx context.Context) (map[devices.Slot][]byte, error) {
	held := map[devices.Slot][]byte{}
	for _, slot := range a.slots() {
		if !a.run.Identity.Stored.Has(slot) {
			continue
		}
		der, err := a.board.Read(ctx, slot)
		if err != nil {
			return nil, fmt.Errorf("looking into slot %d: %w", slot, withComponent(ErrLine, err))
		}
		held[slot] = der
	}
	return held, nil
}

// slots returns the slots that the Run may write. If the TLS key attests the Run's key, the
// board already has anchor and chain, so only the slot of the certificate is left.
func (a *attempt) slots() []devices.Slot {
	if a.run.TLSKeyProof != nil {
		return []devices.Slot{a.slot()}
	}
	return []devices.Slot{devices.SlotAnchor, devices.SlotChain, a.slot()}
}

// mayReplace refuses to destroy a foreign certificate. It checks the certificate that this
// step replaces, and the COSE certificate, which the board erases when the anchor or the
// chain changes. The step identify has already checked the certificate of the Run's purpose;
// mayReplace checks it again, right before the write.
func (a *attempt) mayReplace(ctx context.Context, held map[devices.Slot][]byte) error {
	if own := held[a.slot()]; len(own) > 0 && !bytes.Equal(own, a.run.Certificate.DER) {
		if _, err := a.ours(ctx, own, a.run.Purpose); err != nil {
			return err
		}
	}
	if a.run.Identity.Stored.Has(devices.SlotCOSE) && a.erases(held) {
		return a.mayErase(ctx, devices.SlotCOSE, devices.PurposeCOSE)
	}
	return nil
}

// erases reports whether the anchor or the chain will change. The board then erases every
// certificate, because every certificate depends on both.
func (a *attempt) erases(held map[devices.Slot][]byte) bool {
	for _, slot := range a.slots() {
		if want := a.wanted(slot); slot != a.slot() && len(want) > 0 && !bytes.Equal(held[slot], want) {
			return true
		}
	}
	return false
}

func (a *attempt) mayErase(ctx context.Context, slot devices.Slot, purpose devices.Purpose) error {
	der, err := a.board.Read(ctx, slot)
	if err != nil {
		return fmt.Errorf("looking into slot %d: %w", slot, withComponent(ErrLine, err))
	}
	_, err = a.ours(ctx, der, purpose)
	return err
}

// ours returns the registry's record of a certificate that the board holds. If the registry
// has no such record for this board and purpose, the error is ErrForeignCertificate.
func (a *attempt) ours(ctx context.Context, der []byte, purpose devices.Purpose) (Record, error) {
	serial, err := serialOf(der)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrForeignCertificate, err)
	}
	record, err := a.config.Known.Lookup(ctx, serial)
	if errors.Is(err, ErrUnknownCertificate) {
		return Record{}, fmt.Errorf("%w: serial number %x", ErrForeignCertificate, serial)
	} else if err != nil {
		return Record{}, fmt.Errorf("looking up the board's certificate: %w", registryError(err))
	}
	if record.BoardID != a.run.Identity.ID || record.Purpose != purpose || record.CertificateSHA256 != sha256.Sum256(der) {
		return Record{}, fmt.Errorf("%w: serial number %x is registered for something else", ErrForeignCertificate, serial)
	}
	return record, nil
}

func serialOf(der []byte) (serial [16]byte, err error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return serial, err
	}
	if certificate.SerialNumber.Sign() <= 0 || certificate.SerialNumber.BitLen() > 8*len(serial) {
		return serial, fmt.Errorf("serial number is not one of 16 positive octets")
	}
	certificate.SerialNumber.FillBytes(serial[:])
	return serial, nil
}
