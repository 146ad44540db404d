package station

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"hallmark/devices"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// The steps of a Run, in their order. Each step produces one part of the Run.

// identify asks for the board's identity and has the registry open the Run's record. A
// refusal of the identity comes after that, so that the refusal is on record.
func (a *attempt) identify(ctx context.Context) error {
	id, err := a.board.Identify(ctx)
	if err != nil {
		return withComponent(ErrLine, err)
	}
	if a.run.Identity != nil && a.run.Identity.ID != id.ID {
		return &SwappedError{Want: a.run.Identity.ID, Got: id.ID}
	}
	proven, err := a.provesLate(ctx, &id)
	if err != nil {
		return err
	}
	id = *proven
	a.run.Identity = &id
	refusal := a.ofOwnImage(a.checkIdentity(&id, a.run.Purpose))
	if err := a.rework(ctx); err != nil {
		return err
	}
	switch err := a.admit(ctx); {
	case err != nil && (refusal == nil || reason.Of(err).Ending != Reject):
		return err
	case refusal != nil:
		return refusal
	}
	if err := a.notLockedElsewhere(ctx); err != nil {
		return err
	}
	if err := a.findTLSKeyProof(ctx); err != nil {
		return err
	}
	return a.holdsOurs(ctx)
}

// rework makes the Run a rework if a person has marked the board, or if the board's certificate ends soon. As in any rework, the old
// certificate stays active until the new one has passed its handshake, and the key stays the same.
func (a *attempt) rework(ctx context.Context) error {
	if a.run.Rework != "" || a.run.Admitted {
		return nil
	}
	why, err := a.config.Known.Marked(ctx, a.run.Identity.ID, a.run.Purpose)
	if err != nil {
		return registryError(err)
	}
	if a.run.Rework = why; why != "" || a.config.RenewBefore == 0 {
		return nil
	}
	ends, err := a.config.Known.Ends(ctx, a.run.Identity.ID, a.run.Purpose)
	if err != nil {
		return fmt.Errorf("looking up the board's certificate: %w", registryError(err))
	}
	if !ends.IsZero() && a.config.Now().Add(a.config.RenewBefore).After(ends) {
		a.run.Rework = "renewal: the certificate is valid until " + ends.UTC().Format(time.DateOnly)
	}
	return nil
}

func (a *attempt) admit(ctx context.Context) error {
	if a.run.Admitted {
		return nil
	}
	if err := a.config.Registry.Admit(ctx, a.run); err != nil {
		return fmt.Errorf("admitting the board: %w", registryError(err))
	}
	a.run.Admitted = true
	return nil
}

// holdsOurs refuses a board that holds a foreign certificate, which means a certificate that
// the registry does not have for this board. The refusal comes before anything is signed for
// the board. A sealed board must hold a registered certificate, because the station cannot
// replace the certificate in a sealed board. A resumed Run that already has its certificate
// signs nothing and is not checked.
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
		return a.sealedWith(ctx, held, err)
	}
	return err
}

// sealedWith refuses a sealed board whose certificate no Run has made. An update file of this station may have brought it: then the board is good.
func (a *attempt) sealedWith(ctx context.Context, held []byte, foreign error) error {
	renewed, err := a.config.Known.Renewed(ctx, a.run.Identity.ID, sha256.Sum256(held))
	switch {
	case err != nil:
		return fmt.Errorf("looking up the board's updates: %w", registryError(err))
	case renewed:
		return ErrRenewed
	}
	return fmt.Errorf("%w: %w", ErrSealed, foreign)
}

// request asks the board for a CSR that carries a fresh nonce. The nonce proves that the CSR
// is new (I5).
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

// check has the issuer check the CSR. The issuer grants one signature, or refuses with a reason.
func (a *attempt) check(ctx context.Context) error {
	grant, err := a.config.Issuer.Check(ctx, issuance.Request{
		Run:        a.run.ID.String(),
		BoardID:    a.run.Identity.ID,
		HardwareID: a.run.Identity.HardwareID,
		Purpose:    a.run.Purpose,
		Nonce:      *a.run.Nonce,
		CSR:        a.run.CSR,
		Rework:     a.run.Rework != "",
	})
	if err != nil {
		return registryError(err)
	}
	a.run.Grant = grant
	return nil
}

// sign uses the grant. The issuer stores its intent before it signs (I1). If the issuer has
// answered this request before, it returns the stored certificate (I9).
func (a *attempt) sign(ctx context.Context) error {
	certificate, err := a.config.Issuer.Sign(ctx, a.run.Grant)
	if err != nil {
		return withComponent(ErrSigning, err)
	}
	a.run.Certificate = certificate
	return nil
}

// reset restarts the board, so that the following steps see the content of the flash.
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

// readBack compares the certificate in the board's flash with the signed certificate, octet by octet.
func (a *attempt) readBack(ctx context.Context) error {
	held, err := a.board.Read(ctx, a.slot())
	if err != nil {
		return withComponent(ErrLine, err)
	}
	if !bytes.Equal(held, a.run.Certificate.DER) {
		return fmt.Errorf("%w: %d octets read, %d written", ErrReadBack, len(held), len(a.run.Certificate.DER))
	}
	if err := a.readStore(ctx); err != nil {
		return err
	}
	sum := sha256.Sum256(held)
	a.run.ReadBack = &sum
	if err := a.config.Registry.Delivered(ctx, a.run); err != nil {
		a.run.ReadBack = nil
		return fmt.Errorf("noting the delivery: %w", registryError(err))
	}
	return nil
}

// handshake has the board do mutual TLS with the verifier, over the UART or over the board's
// own network.
func (a *attempt) handshake(ctx context.Context) error {
	if a.run.TLSKeyProof != nil {
		if err := a.stillHolds(ctx); err != nil {
			return err
		}
	}
	shake := a.handshakeOverUART
	if a.config.NetworkSessions != nil {
		shake = a.handshakeOverNetwork
	}
	err := shake(ctx)
	if err == nil {
		err = a.receipt(ctx)
	}
	if !errors.Is(err, ErrHandshakeRefused) {
		return err
	}
	// The verifier refuses a certificate that is not good any more. Only the registry knows what became of the board since
	// its certificate was read back, so a second call of Delivered, which changes nothing, says it.
	if refusal := a.config.Registry.Delivered(ctx, a.run); reason.Of(refusal).Ending == Reject {
		return fmt.Errorf("%w (%w)", refusal, err)
	}
	return err
}

func (a *attempt) handshakeOverUART(ctx context.Context) error {
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

// crossCheck accepts a handshake only if board and verifier report the same: the verifier
// saw the registered certificate, and the board read the verifier's answer (I6).
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

// whyNoHandshake adds the verifier's reason to the error of the board. It closes the
// connection first, so that the verifier decides soon.
func (a *attempt) whyNoHandshake(ctx context.Context, session Session, boardErr error) error {
	session.Conn().Close()
	_, refusal := session.Verdict(ctx)
	switch {
	case refusal == nil:
		return withComponent(ErrLine, boardErr)
	case errors.Is(refusal, ErrHandshakeRefused):
		return fmt.Errorf("%w (the board says: %w)", refusal, withComponent(ErrLine, boardErr))
	case errors.Is(refusal, ErrRegistry): // the verifier could not look up the certificate
		return fmt.Errorf("%w (the board says: %v)", refusal, boardErr)
	}
	return fmt.Errorf("%w (the verifier says: %v)", withComponent(ErrLine, boardErr), refusal)
}

// record makes the certificate active. This is the commit point of the whole Run (I7).
func (a *attempt) record(ctx context.Context) error {
	if err := a.config.Registry.Activate(ctx, a.run); err != nil {
		return fmt.Errorf("activating the certificate: %w", registryError(err))
	}
	a.run.RecordedAt = a.config.Now()
	return nil
}

// lock seals the board and closes its debug port, as far as the configuration asks for that,
// after everything is on record. Neither can be undone, so lock first asks for the board's
// identity once more.
func (a *attempt) lock(ctx context.Context) error {
	now, err := a.board.Identify(ctx)
	if err != nil {
		return withComponent(ErrLine, err)
	}
	if other := a.sameBoard(now); other != nil {
		return other
	}
	if a.config.Seal {
		if err := a.seal(ctx, now.Sealed); err != nil {
			return err
		}
	}
	if a.config.LockDebugPort {
		if err := a.lockDebugPort(ctx, &now); err != nil {
			return err
		}
	}
	a.run.Locked = true
	return nil
}

// seal ends provisioning of the board for good. So the intent is on record before (I15), unless the board says that it
// is sealed already.
func (a *attempt) seal(ctx context.Context, sealed bool) error {
	if !sealed {
		if err := a.config.Registry.SealIntended(ctx, a.run); err != nil {
			return fmt.Errorf("noting the intent to seal: %w", registryError(err))
		}
	}
	if err := a.board.Seal(ctx); err != nil {
		return withComponent(ErrLine, err)
	}
	a.run.Sealed = true
	return nil
}

// present asks for the identity of the board that is connected now, within the time-out of
// the step identify.
func (a *attempt) present(ctx context.Context) (devices.Identity, error) {
	ctx, cancel := a.within(ctx, Step{Name: "identify", Committed: true})
	defer cancel()
	return a.board.Identify(ctx)
}

// sameBoard returns an error if the board that answers now is another board than the
// identified board, or if the board restarted without a reset by the station.
func (a *attempt) sameBoard(now devices.Identity) error {
	if now.ID != a.run.Identity.ID {
		return &SwappedError{Want: a.run.Identity.ID, Got: now.ID}
	}
	expected := a.run.Identity.Boot
	if a.run.Boot != nil {
		expected = *a.run.Boot
	}
	if now.Boot != expected && !a.resetByProbe {
		return ErrRestarted
	}
	return nil
}
