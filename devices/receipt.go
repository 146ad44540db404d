package devices

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"hallmark/devices/receipt"
	"hallmark/devices/smp"
)

// A Receipt is what a board is and holds, as it signs it.
type Receipt = receipt.Receipt

// ErrReceiptKey: the board signs something else than expected, or with another key.
var ErrReceiptKey = receipt.ErrDiffers

// ExpectedReceipt is the receipt that a board should give which is what it says in hello, holds this certificate (DER) and trust
// anchor, and has not restarted.
func ExpectedReceipt(id Identity, nonce [NonceSize]byte, certificate, anchor []byte) Receipt {
	certificateHash, anchorHash := sha256.Sum256(certificate), sha256.Sum256(anchor)
	r := Receipt{
		Nonce: nonce[:], Type: receipt.Type, Anchor: anchorHash[:], Boot: bytes.Clone(id.Boot[:]), Certificate: certificateHash[:],
		FirmwareHash: bytes.Clone(id.FirmwareHash[:]), HUK: uint8(id.HUK), ID: bytes.Clone(id.ID[:]),
	}
	if id.HUK.HasCaller() {
		r.Caller = &id.Caller
	}
	if id.Sealed {
		r.LifeCycle = 1
	}
	return r
}

// Receipt asks the board to sign what it is and holds. The payload does not pass over the UART: expected is what the station
// knows, without Type and Lock, and ErrReceiptKey says that the board signed something else, or with another key. Only a board with
// CanReceipt can do this. Other errors: ErrRestarted, a *Refusal, or those of the transport.
func (c *Client) Receipt(ctx context.Context, expected Receipt, key *ecdsa.PublicKey) (cose []byte, err error) {
	release, err := c.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	var response smp.ReceiptResponse
	if err := c.ask(ctx, &smp.Receipt{Nonce: expected.Nonce}, &response); err != nil {
		return nil, fmt.Errorf("asking for a receipt: %w", err)
	}
	expected.Type, expected.Lock = receipt.Type, response.Lock
	cose, err = expected.Attach(response.Signature, key)
	if errors.Is(err, ErrReceiptKey) {
		err = c.orRestarted(ctx, BootID(expected.Boot), err)
	}
	if err != nil {
		return nil, fmt.Errorf("checking the receipt: %w", err)
	}
	return cose, nil
}

// orRestarted adds ErrRestarted if the board has another boot id than the one that was expected.
func (c *Client) orRestarted(ctx context.Context, before BootID, err error) error {
	if _, silent := c.briefHello(ctx, c.noiseSchedule); silent != nil || *c.boot == before {
		return err
	}
	return fmt.Errorf("%w: %w", ErrRestarted, err)
}
