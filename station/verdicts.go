package station

import (
	"hallmark/devices"
	"hallmark/station/issuance"
)

// A Verdict is what an error means for the Run.
type Verdict struct {
	Ending  Ending
	Reason  string // the word for test, audit log and screen
	StopBay bool   // nothing more in this bay until an operator has looked (I4)
}

// verdicts is the one table from error to ending. The first row that matches
// counts: what says something about the board comes before what hides it.
var verdicts = []struct {
	err error
	Verdict
}{
	// A stopped bay gives the reason of its last board, which is not this one's.
	{ErrBayStopped, Verdict{Aborted, "bay-stopped", false}},

	// Handling. These come early because the board that is blamed may be another one.
	{ErrSwapped, faults("swapped")},
	{ErrRestarted, faults(devices.ErrRestarted.Word)},
	{devices.ErrRestarted, faults(devices.ErrRestarted.Word)},

	// I4: somebody else has this identity, or everybody.
	{ErrClone, Verdict{Reject, "clone", true}},
	{ErrDummyIdentity, Verdict{Reject, "dummy-identity", true}},
	{issuance.ErrDummyIdentity, Verdict{Reject, issuance.ErrDummyIdentity.Reason, true}},
	{issuance.ErrKeyElsewhere, Verdict{Reject, "key-elsewhere", true}},

	// What the board says of itself.
	{ErrUntrustedHUK, rejects("untrusted-huk")},
	{ErrIdentityABI, rejects("identity-abi")},
	{ErrNoPurpose, rejects("no-purpose")},
	{ErrSealed, rejects("sealed")},
	{ErrScrapped, rejects("scrapped")},
	{issuance.ErrRevoked, rejects("revoked")},

	// Its CSR.
	{issuance.ErrTooLarge, rejects(issuance.ErrTooLarge.Reason)},
	{issuance.ErrNotDER, rejects(issuance.ErrNotDER.Reason)},
	{issuance.ErrTrailing, rejects(issuance.ErrTrailing.Reason)},
	{issuance.ErrVersion, rejects(issuance.ErrVersion.Reason)},
	{issuance.ErrKeyNotP256, rejects(issuance.ErrKeyNotP256.Reason)},
	{issuance.ErrNotOnCurve, rejects(issuance.ErrNotOnCurve.Reason)},
	{issuance.ErrSignatureAlgorithm, rejects(issuance.ErrSignatureAlgorithm.Reason)},
	{issuance.ErrSignature, rejects(issuance.ErrSignature.Reason)},
	{issuance.ErrSubject, rejects(issuance.ErrSubject.Reason)},
	{issuance.ErrBoardID, rejects(issuance.ErrBoardID.Reason)},
	{issuance.ErrNonceMissing, rejects(issuance.ErrNonceMissing.Reason)},
	{issuance.ErrNonceWrong, rejects(issuance.ErrNonceWrong.Reason)},
	{issuance.ErrNonceDuplicated, rejects(issuance.ErrNonceDuplicated.Reason)},
	{issuance.ErrUnexpectedAttribute, rejects(issuance.ErrUnexpectedAttribute.Reason)},
	{issuance.ErrUnexpectedExtension, rejects(issuance.ErrUnexpectedExtension.Reason)},

	// Its flash and its handshake.
	{ErrForeignCertificate, rejects("foreign-certificate")},
	{ErrNotReset, rejects(devices.ErrNotRestarted.Word)},
	{ErrReadBack, rejects("read-back-differs")},
	{ErrOtherKey, rejects("other-key")},
	{ErrHandshakeRefused, rejects("handshake-refused")},
	{ErrWrongCertificate, rejects("wrong-certificate")},
	{ErrNoAnswerRead, rejects("no-answer-read")},

	// What the board does not like about the verifier is the bench's fault; what is left of a
	// handshake that failed is the board's.
	{devices.ErrServerName, faults(devices.ErrServerName.Word)},
	{devices.ErrServerUntrusted, faults(devices.ErrServerUntrusted.Word)},
	{devices.ErrServerExpired, faults(devices.ErrServerExpired.Word)},
	{devices.ErrServerNotYet, faults(devices.ErrServerNotYet.Word)},
	{devices.ErrServerNoTLS, faults(devices.ErrServerNoTLS.Word)},
	{devices.ErrServerNoAgreed, faults(devices.ErrServerNoAgreed.Word)},
	{devices.ErrServerGone, faults(devices.ErrServerGone.Word)},
	{devices.ErrServerSilent, faults(devices.ErrServerSilent.Word)},
	{devices.ErrServerUnreached, faults(devices.ErrServerUnreached.Word)},
	{devices.ErrServerTalks, faults(devices.ErrServerTalks.Word)},
	{devices.ErrServerRefuses, rejects(devices.ErrServerRefuses.Word)},
	{devices.ErrHandshake, rejects(devices.ErrHandshake.Word)},

	// What the board refuses (PROTOCOL.md section 2), and what no board may say.
	{devices.ErrInternal, rejects(devices.ErrInternal.Word)},
	{devices.ErrBadMap, rejects(devices.ErrBadMap.Word)},
	{devices.ErrTooLong, rejects(devices.ErrTooLong.Word)},
	{devices.ErrOutOfOrder, rejects(devices.ErrOutOfOrder.Word)},
	{devices.ErrBadHash, rejects(devices.ErrBadHash.Word)},
	{devices.ErrBadSlot, rejects(devices.ErrBadSlot.Word)},
	{devices.ErrSealed, rejects(devices.ErrSealed.Word)},
	{devices.ErrNoHUK, rejects(devices.ErrNoHUK.Word)},
	{devices.ErrNoEntropy, rejects(devices.ErrNoEntropy.Word)},
	{devices.ErrForeignKey, rejects(devices.ErrForeignKey.Word)},
	{devices.ErrUntrusted, rejects(devices.ErrUntrusted.Word)},
	{devices.ErrBadCertificate, rejects(devices.ErrBadCertificate.Word)},
	{devices.ErrStoreIO, rejects(devices.ErrStoreIO.Word)},
	{devices.ErrStoreFull, rejects(devices.ErrStoreFull.Word)},
	{devices.ErrEmpty, rejects(devices.ErrEmpty.Word)},
	{devices.ErrTLSState, rejects(devices.ErrTLSState.Word)},
	{devices.ErrCrypto, rejects(devices.ErrCrypto.Word)},
	{devices.ErrNoAnchor, rejects(devices.ErrNoAnchor.Word)},
	{devices.ErrNoNetwork, faults(devices.ErrNoNetwork.Word)}, // the bench's cable, mostly
	{devices.ErrInvalid, rejects(devices.ErrInvalid.Word)},
	{devices.ErrUnsupported, rejects(devices.ErrUnsupported.Word)},
	{devices.ErrUnknownRefusal, rejects(devices.ErrUnknownRefusal.Word)},
	{devices.ErrMalformedAnswer, rejects(devices.ErrMalformedAnswer.Word)},
	{devices.ErrProtocolVersion, rejects(devices.ErrProtocolVersion.Word)},
	{devices.ErrIdentityABI, rejects(devices.ErrIdentityABI.Word)},
	{devices.ErrProductImage, rejects(devices.ErrProductImage.Word)},
	{devices.ErrNoNetHandshake, rejects(devices.ErrNoNetHandshake.Word)},
	{devices.ErrBufferTooSmall, rejects(devices.ErrBufferTooSmall.Word)},
	{devices.ErrNotRestarted, rejects(devices.ErrNotRestarted.Word)},
	{devices.ErrSlotChanged, rejects(devices.ErrSlotChanged.Word)},

	// Stops that somebody asked for.
	{ErrDraining, Verdict{Aborted, "draining", false}},

	// The line.
	{devices.ErrNoAnswer, faults(devices.ErrNoAnswer.Word)},
	{devices.ErrLineClosed, faults(devices.ErrLineClosed.Word)},
	{devices.ErrLineStuck, faults(devices.ErrLineStuck.Word)},
	{devices.ErrHUKSize, faults(devices.ErrHUKSize.Word)},
	{devices.ErrObjectSize, faults(devices.ErrObjectSize.Word)},

	// The station and what it stands on.
	{ErrUnknownOrder, faults("unknown-order")},
	{ErrQuota, faults("quota")},
	{issuance.ErrBadRequest, faults(issuance.ErrBadRequest.Reason)},
	{issuance.ErrOutlives, faults(issuance.ErrOutlives.Reason)},
	{issuance.ErrDoesNotFit, faults(issuance.ErrDoesNotFit.Reason)},
	{issuance.ErrIssuerChain, faults(issuance.ErrIssuerChain.Reason)},
	{issuance.ErrIssuerKey, faults(issuance.ErrIssuerKey.Reason)},
	{issuance.ErrProfile, faults(issuance.ErrProfile.Reason)},
	{issuance.ErrNoProfile, faults(issuance.ErrNoProfile.Reason)},
	{issuance.ErrGrantForeign, faults(issuance.ErrGrantForeign.Reason)},
	{issuance.ErrGrantUsed, faults(issuance.ErrGrantUsed.Reason)},
	{issuance.ErrUnresolved, faults(issuance.ErrUnresolved.Reason)},
	{issuance.ErrNotSigned, faults(issuance.ErrNotSigned.Reason)},
	{issuance.ErrAlreadyActive, faults("already-active")},
	{issuance.ErrAlreadyIssued, faults("already-issued")},
	{issuance.ErrTLSFirst, faults("tls-first")},
	{issuance.ErrInFlight, faults("in-flight")},
	{issuance.ErrSerialTaken, faults("serial-taken")},
	{issuance.ErrNotIssued, faults("not-issued")},
	{ErrUnknownCertificate, faults("unknown-certificate")},
	{ErrPanic, faults("panic")},
	{ErrNoBoard, faults("no-board")},
	{ErrClock, faults("clock")},
	{ErrTimeout, faults("timeout")},
	{ErrRegistry, faults("registry")},
	{ErrSigning, faults("signing")},
	{ErrNoNetworkSession, faults("no-visit")},
	{ErrVerifier, faults("verifier")},
	{ErrRandom, faults("random")},
	{ErrLine, faults("line")},
}

// Issuer and boards have their own words; they are used as they are.
func rejects(word string) Verdict { return Verdict{Reject, word, false} }
func faults(word string) Verdict  { return Verdict{Fault, word, false} }
