package station

import (
	"context"
	"fmt"
	"io"

	"hallmark/devices"
	"hallmark/station/issuance"
)

// A key that no handshake takes cannot prove by itself that the board which holds
// it is the registered one. The board's TLS key vouches for it: its Run does the
// handshake with the active TLS certificate, and has the other key sign once more,
// after the reset (I6).

// vouchedFor finds the certificate that will vouch, before anything is signed.
// For the TLS key itself there is none. It is a Fault when it is missing: the
// board is not bad, its Runs come in the wrong order.
func (a *attempt) vouchedFor(ctx context.Context) error {
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
	a.run.Vouching = held
	return nil
}

// stillHolds has the board sign with the key again, which it has derived anew
// since the reset, over a nonce that nobody could know before.
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
