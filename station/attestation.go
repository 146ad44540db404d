package station

import (
	"context"
	"fmt"
	"io"

	"hallmark/devices"
	"hallmark/station/issuance"
)

// A key that takes part in no handshake cannot prove by itself that the board which holds
// the key is the registered board. The board's TLS key attests it: the Run does the
// handshake with the board's active TLS certificate, and has the other key sign once more
// after the reset (I6).

// findTLSKeyProof finds the TLS certificate for that handshake, before anything is signed.
// The Run for the TLS key itself needs none. A missing certificate is a Fault: the
// board is not bad, its Runs come in the wrong order.
func (a *attempt) findTLSKeyProof(ctx context.Context) error {
	if a.run.Purpose == devices.PurposeTLS {
		return nil
	}
	if !a.run.Identity.Stored.Has(devices.SlotCertificate) {
		return fmt.Errorf("%w: it holds none", issuance.ErrTLSFirst)
	}
	held, err := a.board.Read(ctx, devices.SlotCertificate)
	if err != nil {
		return fmt.Errorf("reading the certificate that vouches: %w", withComponent(ErrLine, err))
	}
	record, err := a.ours(ctx, held, devices.PurposeTLS)
	if err != nil {
		return err
	}
	if record.Status != StatusActive {
		return fmt.Errorf("%w: what it holds is %s", issuance.ErrTLSFirst, record.Status)
	}
	a.run.TLSKeyProof = held
	return nil
}

// stillHolds has the board sign again with the key, which the board has derived anew
// since the reset, over a fresh nonce.
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
