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
	if err := a.mayReplace(ctx, held[devices.SlotCertificate]); err != nil {
		return err
	}
	below := false // what a slot below it changes, the board erases
	for _, slot := range []devices.Slot{devices.SlotAnchor, devices.SlotChain, devices.SlotCertificate} {
		want := a.wanted(slot)
		if len(want) == 0 || (!below && bytes.Equal(held[slot], want)) {
			continue
		}
		if a.run.Identity.Sealed {
			return ErrSealed
		}
		if err := a.board.Write(ctx, slot, want); err != nil {
			return fmt.Errorf("slot %d: %w", slot, blame(ErrLine, err))
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
	for _, slot := range []devices.Slot{devices.SlotAnchor, devices.SlotChain, devices.SlotCertificate} {
		if !a.run.Identity.Stored.Has(slot) {
			continue
		}
		der, err := a.board.Read(ctx, slot)
		if err != nil {
			return nil, fmt.Errorf("looking into slot %d: %w", slot, blame(ErrLine, err))
		}
		held[slot] = der
	}
	return held, nil
}

// mayReplace refuses to destroy a certificate that somebody else gave the
// board. identify asked the same; this looks at what is about to be replaced.
func (a *attempt) mayReplace(ctx context.Context, held []byte) error {
	if len(held) == 0 || bytes.Equal(held, a.run.Certificate.DER) {
		return nil
	}
	return a.ours(ctx, held)
}

// ours reports with ErrForeignCertificate a certificate that the registry does
// not have for this board.
func (a *attempt) ours(ctx context.Context, der []byte) error {
	serial, err := serialOf(der)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForeignCertificate, err)
	}
	record, err := a.config.Known.Lookup(ctx, serial)
	if errors.Is(err, ErrUnknownCertificate) {
		return fmt.Errorf("%w: serial number %x", ErrForeignCertificate, serial)
	} else if err != nil {
		return fmt.Errorf("looking up the board's certificate: %w", blame(ErrRegistry, err))
	}
	if record.BoardID != a.run.Identity.ID.String() || record.CertificateSHA256 != sha256.Sum256(der) {
		return fmt.Errorf("%w: serial number %x is registered for something else", ErrForeignCertificate, serial)
	}
	return nil
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
