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

// write brings anchor, chain and certificate into the board's flash. It looks
// first, so a repeated Run writes nothing, and a slot that hello calls empty is
// not read: a slow line carries each octet once.
func (a *attempt) write(ctx context.Context) error {
	held, err := a.held(ctx)
	if err != nil {
		return err
	}
	if err := a.mayReplace(ctx, held); err != nil {
		return err
	}
	below := false // what a slot below it changes, the board erases
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

// held reads the slots that held something when the board was identified.
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

// slots are those that the Run may write. A key that another one vouches for
// comes to a board that has anchor and chain: what they sign the board checks itself.
func (a *attempt) slots() []devices.Slot {
	if a.run.TLSKeyProof != nil {
		return []devices.Slot{a.slot()}
	}
	return []devices.Slot{devices.SlotAnchor, devices.SlotChain, a.slot()}
}

// mayReplace refuses to destroy a certificate that somebody else gave the
// board. identify asked the same of the Run's own; this looks at what is about to
// be replaced, and at what the board erases with an anchor or a chain.
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

// erases: anchor or chain will be another one, and every certificate depends on both.
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

// ours gives the registry's record of a certificate that the board holds, and
// reports with ErrForeignCertificate one that it does not have for this board and purpose.
func (a *attempt) ours(ctx context.Context, der []byte, purpose devices.Purpose) (Record, error) {
	serial, err := serialOf(der)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrForeignCertificate, err)
	}
	record, err := a.config.Known.Lookup(ctx, serial)
	if errors.Is(err, ErrUnknownCertificate) {
		return Record{}, fmt.Errorf("%w: serial number %x", ErrForeignCertificate, serial)
	} else if err != nil {
		return Record{}, fmt.Errorf("looking up the board's certificate: %w", withComponent(ErrRegistry, err))
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
