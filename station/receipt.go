package station

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"io"

	"hallmark/devices"
)

// receipt asks a board that offers it for a signature over what the board is and holds, with the key of the certificate that
// it has just presented. The receipt is evidence that is not only the station's word.
func (a *attempt) receipt(ctx context.Context) error {
	board, able := a.board.(ReceiptBoard)
	if !able || !a.run.Identity.Can.Has(devices.CanReceipt) {
		if a.config.RequireReceipt {
			a.run.Handshake = nil // the step is not done
			return devices.ErrNoReceipt
		}
		return nil
	}
	key, err := a.shownKey()
	if err != nil {
		return err
	}
	var nonce [devices.NonceSize]byte
	if _, err := io.ReadFull(a.config.Random, nonce[:]); err != nil {
		return fmt.Errorf("drawing a nonce: %w", withComponent(ErrRandom, err))
	}
	identity := *a.run.Identity
	if a.run.Boot != nil {
		identity.Boot = *a.run.Boot
	}
	a.run.Receipt, err = board.Receipt(ctx, devices.ExpectedReceipt(identity, nonce, a.run.shown(), a.config.Anchor), key)
	if err != nil {
		a.run.Handshake = nil // the step is not done
		return withComponent(ErrLine, err)
	}
	return nil
}

// shownKey returns the public key of the certificate that the board presents.
func (a *attempt) shownKey() (*ecdsa.PublicKey, error) {
	certificate, err := x509.ParseCertificate(a.run.shown())
	if err != nil {
		return nil, fmt.Errorf("reading the board's certificate: %w", err)
	}
	key, is := certificate.PublicKey.(*ecdsa.PublicKey)
	if !is {
		return nil, fmt.Errorf("%w: the certificate has a key of the type %T", devices.ErrReceiptKey, certificate.PublicKey)
	}
	return key, nil
}
