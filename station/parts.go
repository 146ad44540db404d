package station

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"hallmark/devices"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// The steps, in the order of the line. Each makes one part of the Run.

// identify asks who is there and has the registry open the Run's record. What
// must be refused is refused after that, so that the refusal is on record.
func (a *attempt) identify(ctx context.Context) error {
	id, err := a.board.Identify(ctx)
	if err != nil {
		return withComponent(ErrLine, err)
	}
	if a.run.Identity != nil && a.run.Identity.ID != id.ID {
		return &SwappedError{Want: a.run.Identity.ID, Got: id.ID}
	}
	a.run.Identity = &id
	refusal := a.allowed(&id, a.run.Purpose)
	switch err := a.admit(ctx); {
	case err != nil && (refusal == nil || reason.Of(err).Ending != Reject):
		return err
	case refusal != nil:
		return refusal
	}
	if err := a.findTLSKeyProof(ctx); err != nil {
		return err
	}
	return a.holdsOurs(ctx)
}

func (a *attempt) admit(ctx context.Context) error {
	if a.run.Admitted {
		return nil
	}
	if err := a.config.Registry.Admit(ctx, a.run); err != nil {
		return fmt.Errorf("admitting the board: %w", withComponent(ErrRegistry, err))
	}
	a.run.Admitted = true
	return nil
}

// holdsOurs refuses a board that holds a certificate which the registry does
// not have for it, before anything is signed for that board. A sealed one must
// hold one of ours, because none can replace it. A resumed Run that has its
// certificate has nothing left to sign.
func (a *attempt) holdsOurs(ctx context.Context) error {
	sealed, holds := a.run.Identity.Sealed, a.run.Identity.Stored.Has(a.slot())
	switch {
	case sealed && (a.run.Rework != "" || !holds):
		return ErrSealed
	case !holds || !sealed && a.run.Certificate != nil:
		return nil
	}
	held, err := a.board.Read(ctx, a.slot())
	if err != nil {
		return fmt.Errorf("reading the certificate that the board holds: %w", withComponent(ErrLine, err))
	}
	_, err = a.ours(ctx, held, a.run.Purpose)
	if sealed && errors.Is(err, ErrForeignCertificate) {
		return fmt.Errorf("%w: %w", ErrSealed, err)
	}
	return err
}

// request asks for a CSR that carries a nonce nobody could know before (I5).
func (a *attempt) request(ctx context.Context) error {
	var nonce [devices.NonceSize]byte
	if _, err := io.ReadFull(a.config.Random, nonce[:]); err != nil {
		return fmt.Errorf("drawing a nonce: %w", withComponent(ErrRandom, err))
	}
	csr, err := a.board.CSR(ctx, a.run.Purpose, nonce, a.key.Subject)
	if err != nil {
		return withComponent(ErrLine, err)
	}
	a.run.Nonce, a.run.CSR = &nonce, csr
	return nil
}

// check turns the CSR into a permission for one signature, or a named refusal.
func (a *attempt) check(ctx context.Context) error {
	grant, err := a.config.Issuer.Check(ctx, issuance.Request{
		Run:     a.run.ID.String(),
		BoardID: a.run.Identity.ID,
		Purpose: a.run.Purpose,
		Nonce:   *a.run.Nonce,
		CSR:     a.run.CSR,
		Rework:  a.run.Rework != "",
	})
	if err != nil {
		return withComponent(ErrRegistry, err)
	}
	a.run.Grant = grant
	return nil
}

// sign redeems the grant. The issuer writes its intent first (I1) and hands
// out the stored certificate when this request was answered before (I9).
func (a *attempt) sign(ctx context.Context) error {
	certificate, err := a.config.Issuer.Sign(ctx, a.run.Grant)
	if err != nil {
		return withComponent(ErrSigning, err)
	}
	a.run.Certificate = certificate
	return nil
}

// reset has the board start again, so that all that follows comes from flash.
func (a *attempt) reset(ctx context.Context) error {
	id, boot, err := a.board.Reset(ctx)
	if err != nil {
		return withComponent(ErrLine, err)
	}
	if id != a.run.Identity.ID {
		return &SwappedError{Want: a.run.Identity.ID, Got: id}
	}
	if boot == a.run.Identity.Boot {
		return ErrNotReset
	}
	a.run.Boot = &boot
	return nil
}

// readBack compares what the board's flash holds with what was signed, octet by octet.
func (a *attempt) readBack(ctx context.Context) error {
	held, err := a.board.Read(ctx, a.slot())
	if err != nil {
		return withComponent(ErrLine, err)
	}
	if !bytes.Equal(held, a.run.Certificate.DER) {
		return fmt.Errorf("%w: %d octets read, %d written", ErrReadBack, len(held), len(a.run.Certificate.DER))
	}
	sum := sha256.Sum256(held)
	a.run.ReadBack = &sum
	if err := a.config.Registry.Delivered(ctx, a.run); err != nil {
		a.run.ReadBack = nil
		return fmt.Errorf("noting the delivery: %w", withComponent(ErrRegistry, err))
	}
	return nil
}

// handshake has the board do mutual TLS, over the line or over its own network.
func (a *attempt) handshake(ctx context.Context) error {
	if a.run.TLSKeyProof != nil {
		if err := a.stillHolds(ctx); err != nil {
			return err
		}
	}
	if a.config.NetworkSessions != nil {
		return a.handshakeOverNetwork(ctx)
	}
	return a.handshakeOverLine(ctx)
}

func (a *attempt) handshakeOverLine(ctx context.Context) error {
	session, err := a.config.Verifier.Connect(ctx, a.run.shown())
	if err != nil {
		return fmt.Errorf("connecting to the verifier: %w", withComponent(ErrVerifier, err))
	}
	defer session.Close()
	report, boardErr := a.board.Handshake(ctx, session.Conn(), a.config.Verifier.ServerName())
	if boardErr != nil {
		return a.whyNoHandshake(ctx, session, boardErr)
	}
	presented, err := session.Verdict(ctx)
	if err != nil {
		return withComponent(ErrVerifier, err)
	}
	return a.crossCheck(report, presented)
}

// crossCheck accepts a handshake only if board and verifier report the same: the
// verifier saw the registered certificate, and the board read its answer (I6).
func (a *attempt) crossCheck(report devices.HandshakeReport, presented Presented) error {
	if presented.CertificateSHA256 != sha256.Sum256(a.run.shown()) {
		return ErrWrongCertificate
	}
	if len(presented.Answer) == 0 || !bytes.Equal(report.Received, presented.Answer) {
		return fmt.Errorf("%w: it read %q", ErrNoAnswerRead, report.Received)
	}
	a.run.Handshake = &presented
	return nil
}

// whyNoHandshake adds the verifier's reason to the board's. The connection is
// closed first, so the verdict is there soon.
func (a *attempt) whyNoHandshake(ctx context.Context, session Session, boardErr error) error {
	session.Conn().Close()
	_, refusal := session.Verdict(ctx)
	switch {
	case refusal == nil:
		return withComponent(ErrLine, boardErr)
	case errors.Is(refusal, ErrHandshakeRefused):
		return fmt.Errorf("%w (the board says: %w)", refusal, withComponent(ErrLine, boardErr))
	case errors.Is(refusal, ErrRegistry): // it sent the board away because it could not look it up
		return fmt.Errorf("%w (the board says: %v)", refusal, boardErr)
	}
	return fmt.Errorf("%w (the verifier says: %v)", withComponent(ErrLine, boardErr), refusal)
}

// record makes the certificate active: the commit point of the whole Run (I7).
func (a *attempt) record(ctx context.Context) error {
	if err := a.config.Registry.Activate(ctx, a.run); err != nil {
		return fmt.Errorf("activating the certificate: %w", withComponent(ErrRegistry, err))
	}
	a.run.RecordedAt = a.config.Now()
	return nil
}

// lock ends the board's life on the line, after everything is on record. It
// cannot be undone, so it asks once more who is there.
func (a *attempt) lock(ctx context.Context) error {
	now, err := a.board.Identify(ctx)
	if err != nil {
		return withComponent(ErrLine, err)
	}
	if other := a.sameBoard(now); other != nil {
		return other
	}
	if err := a.board.Seal(ctx); err != nil {
		return withComponent(ErrLine, err)
	}
	a.run.Sealed = true
	return nil
}

// present asks who is on the line now, within the time of one identify.
func (a *attempt) present(ctx context.Context) (devices.Identity, error) {
	ctx, cancel := a.within(ctx, Step{Name: "identify", Committed: true})
	defer cancel()
	return a.board.Identify(ctx)
}

// sameBoard compares who is there with who was identified, and whether it
// restarted since without being asked.
func (a *attempt) sameBoard(now devices.Identity) error {
	if now.ID != a.run.Identity.ID {
		return &SwappedError{Want: a.run.Identity.ID, Got: now.ID}
	}
	expected := a.run.Identity.Boot
	if a.run.Boot != nil {
		expected = *a.run.Boot
	}
	if now.Boot != expected {
		return ErrRestarted
	}
	return nil
}
