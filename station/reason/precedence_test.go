package reason_test

import (
	"errors"
	"testing"

	"hallmark/devices"
	"hallmark/devices/probe"
	"hallmark/devices/serial"
	"hallmark/devices/serial/remote"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// byPrecedence are the sentinels that decide how a Run ends. If one error has two of them,
// the earlier sentinel decides.
var byPrecedence = []*reason.Sentinel{
	station.ErrBayStopped, station.ErrSwapped, station.ErrLockUnproven, station.ErrProbeElsewhere, station.ErrRestarted, devices.ErrRestarted, station.ErrClone, station.ErrDummyIdentity,
	issuance.ErrDummyIdentity, issuance.ErrKeyElsewhere, station.ErrUntrustedHUK, station.ErrIdentityABI, station.ErrImageUnfit, station.ErrAlgorithm, station.ErrFirmware, station.ErrImageNotAllowed, station.ErrDone, station.ErrNoPurpose, issuance.ErrNoHardwareID, station.ErrSealed, station.ErrRenewed,
	station.ErrScrapped, station.ErrHeld, issuance.ErrKeyCompromised, issuance.ErrRevoked, issuance.ErrTooLarge, issuance.ErrNotDER, issuance.ErrTrailing, issuance.ErrVersion, issuance.ErrKeyNotP256,
	issuance.ErrNotOnCurve, issuance.ErrSignatureAlgorithm, issuance.ErrSignature, issuance.ErrSubject, issuance.ErrBoardID, issuance.ErrNonceMissing,
	issuance.ErrNonceWrong, issuance.ErrNonceDuplicated, issuance.ErrUnexpectedAttribute, issuance.ErrUnexpectedExtension, station.ErrForeignCertificate,
	station.ErrNotReset, station.ErrReadBack, station.ErrStoreDiffers, station.ErrLockedElsewhere, station.ErrLockOpen, station.ErrOtherKey, station.ErrHandshakeRefused, station.ErrWrongCertificate, station.ErrNoAnswerRead,
	devices.ErrServerName, devices.ErrServerUntrusted, devices.ErrServerExpired, devices.ErrServerNotYet, devices.ErrServerNoTLS,
	devices.ErrServerNoAgreed, devices.ErrServerGone, devices.ErrServerSilent, devices.ErrServerUnreached, devices.ErrServerTalks,
	devices.ErrServerRefuses, devices.ErrHandshake, devices.ErrInternal, devices.ErrBadMap, devices.ErrTooLong, devices.ErrOutOfOrder, devices.ErrBadHash,
	devices.ErrBadSlot, devices.ErrSealed, devices.ErrNoHUK, devices.ErrNoEntropy, devices.ErrForeignKey, devices.ErrUntrusted, devices.ErrBadCertificate,
	devices.ErrStoreIO, devices.ErrStoreFull, devices.ErrEmpty, devices.ErrTLSState, devices.ErrCrypto, devices.ErrNoAnchor, devices.ErrNoNetwork, devices.ErrTLSBusy,
	devices.ErrInvalid, devices.ErrUnsupported, devices.ErrUnknownRefusal, devices.ErrMalformedAnswer, devices.ErrProtocolVersion,
	devices.ErrProductImage, devices.ErrReceiptKey, devices.ErrNoReceipt, devices.ErrNoNetHandshake, devices.ErrBufferTooSmall, devices.ErrNotRestarted, devices.ErrSlotChanged,
	probe.ErrMismatch, probe.ErrNotErased, probe.ErrNotLocked, probe.ErrErased, station.ErrNeedsFlash, probe.ErrLocked, probe.ErrWrongTarget, probe.ErrVoltage, probe.ErrAmbiguous,
	probe.ErrWrongSerial, probe.ErrMissing, probe.ErrLost, probe.ErrMissingTarget, probe.ErrMemory, probe.ErrUnreadableImage, probe.ErrImageFormat,
	probe.ErrImageHash, probe.ErrNoTool, probe.ErrToolVersion, probe.ErrSilent, probe.ErrUnclear, probe.ErrTool, probe.ErrScript, probe.ErrCannot, station.ErrDraining,
	serial.ErrBusy, serial.ErrDenied, serial.ErrNotSerial, remote.ErrUnreachable, remote.ErrUnfit, devices.ErrOtherServer, devices.ErrGarbled, devices.ErrDamagedFrames, devices.ErrLoopBack, devices.ErrConsoleText,
	devices.ErrNoAnswer, devices.ErrLineClosed, devices.ErrLineStuck, devices.ErrHUKSize, devices.ErrObjectSize, station.ErrUnknownOrder,
	station.ErrQuota, station.ErrOrderClosed, station.ErrOrderExpired, station.ErrOrderNotYet, station.ErrOrderUnsigned, station.ErrOrderOwner, station.ErrOrderProfile, station.ErrOrderNeeded, issuance.ErrBadRequest, issuance.ErrOutlives, issuance.ErrDoesNotFit, issuance.ErrIssuerChain, issuance.ErrIssuerKey,
	issuance.ErrProfile, issuance.ErrNoProfile, issuance.ErrGrantForeign, issuance.ErrGrantUsed, issuance.ErrUnresolved, issuance.ErrNotSigned,
	issuance.ErrAlreadyActive, issuance.ErrTLSFirst, issuance.ErrInFlight, issuance.ErrSerialTaken,
	station.ErrUnknownCertificate, station.ErrPanic, station.ErrNoBoard, station.ErrClock, station.ErrTimeout, station.ErrRegistry, station.ErrSigning,
	station.ErrNoNetworkSession, station.ErrVerifier, station.ErrRandom, station.ErrLine,
}

func TestOfTwoSentinelsTheOneThatSaysMoreAboutTheBoardCounts(t *testing.T) {
	for i, first := range byPrecedence {
		for _, second := range byPrecedence[i:] {
			for _, err := range []error{errors.Join(first, second), errors.Join(second, first)} {
				if got := reason.Of(err); got != first.Row() {
					t.Fatalf("%v and %v: got %q, want %q", first, second, got.Word, first.Word())
				}
			}
		}
	}
}

// In a Run, a sentinel of byPrecedence decides before all refusals that only accompany it.
func TestARowThatReachesARunOnlyTogetherWithAnotherComesAfterThatOne(t *testing.T) {
	last := byPrecedence[len(byPrecedence)-1]
	decides := map[string]bool{}
	for _, sentinel := range byPrecedence {
		decides[sentinel.Word()] = true
	}
	for _, row := range reason.Rows() {
		if err := errors.Join(reason.New(row.Word, "a detail"), last); !decides[row.Word] && reason.Of(err) != last.Row() {
			t.Errorf("%q comes before %q", row.Word, last.Word())
		}
	}
}
