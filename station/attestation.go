package station

import (
	"context"
	"fmt"
	"io"

	"hallmark/devices"
	"hallmark/station/issuance"
)

// TLS-key attestation. A key that takes part in no handshake, such as a COSE key, cannot
// prove by itself that the board which holds the key is the registered board. The TLS key of
// the board proves it: the Run does the handshake with the active TLS certificate of the
// board, and has the other key sign a second CSR after the reset (I6).

// findTLSKeyProof reads the TLS certificate for that handshake from the board, before
// anything is signed. The Run for the TLS key itself needs no such certificate. A missing
// certificate is a Fault, because the board is not bad: its Runs come in the wrong order.
func (a *attempt) findTLSKeyProof(ctx context.Context) error {
	if a.run.Purpose == devices.PurposeTLS {
		return nil
	}
	if !a.run.Identity.Stored.Has(devices.SlotCertificate) {
		return fmt.Errorf("%w: it holds none", issuance.ErrTLSFirst)
	}
	held, err := a.board.Read(ctx, devices.SlotCertificate)
	if err != nil {
		return fmt.Errorf("reading the TLS certificate that attests the key: %w", withComponent(ErrLine, err))
	}
	record, err := a.ours(ctx, held, devices.PurposeTLS)
	if err != nil {
		return err
	}
	if record.Status == StatusRevoked {
		return fmt.Errorf("%w: its TLS certificate attests no other key", issuance.ErrRevoked)
	}
	if record.Status == StatusHeld {
		return fmt.Errorf("%w: its TLS certificate attests no other key", ErrHeld)
	}
	if record.Status != StatusActive {
		return fmt.Errorf("%w: what it holds is %s", issuance.ErrTLSFirst, record.Status)
	}
	a.run.TLSKeyProof = held
	return nil
}

// stillHolds asks the board for a second CSR with a fresh nonce, and checks that the key is
// the certified key. The board has derived the key again since the reset.
func (a *attempt) stillHolds(ctx context.Context) error {
	var nonce [devices.NonceSize]byte
	if _, err := io.ReadFull(a.config.Random, nonce[:]); err != nil {
		return fmt.Errorf("drawing a nonce: %w", withComponent(ErrRandom, err))
	}
	subject := a.key.Subject
	csr, err := a.board.CSR(ctx, a.run.Purpose, nonce, subject)
	if err != nil {
		return withComponent(ErrLine, err)
	}
	spki, err := issuance.Possession(csr, a.run.Identity.ID, nonce, subject.Organization, subject.OrganizationalUnit)
	if err != nil {
		return err
	}
	if spki != a.run.Certificate.SPKISHA256 {
		return ErrOtherKey
	}
	return nil
}
