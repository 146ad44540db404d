package devices

import (
	"context"
	"errors"
	"slices"

	"hallmark/station/reason"
)

// What goes wrong on the line and what a board may not say. What a board
// refuses is in the table of refusals.
var (
	ErrNoAnswer         = reason.New("no-answer", "board does not answer: look at power, cable and port")
	ErrGarbled          = reason.New("garbled", "board sends octets that are neither text nor frames: compare the baud rate of the bay with that of the firmware")
	ErrConsoleText      = reason.New("console-text", "board sends text and no frames: it runs other firmware, or this port is its console")
	ErrDamagedFrames    = reason.New("damaged-frames", "frames of the board arrive damaged: look at cable and adapter, and let nothing print or translate on this port")
	ErrOtherServer      = reason.New("other-smp-server", "board has an SMP server without the provisioning group: it runs no provisioning firmware, flash it")
	ErrLoopBack         = reason.New("loop-back", "only the station's own octets come back: transmit and receive are joined, no board is there")
	ErrLineClosed       = reason.New("line-closed", "line is closed or unplugged: plug the board in and start again")
	ErrLineStuck        = reason.New("line-stuck", "line takes no octets: look at flow control and adapter")
	ErrMalformedAnswer  = reason.New("malformed-answer", "board's answer is not what PROTOCOL.md allows: its firmware does not fit this station")
	ErrProtocolVersion  = reason.New("protocol-version", "board speaks another protocol version: update its firmware or the station")
	ErrProductImage     = reason.New("product-image", "board runs its product's image, which takes no certificate: flash the provisioning image, the identity stays")
	ErrNoReceipt        = reason.New("no-receipt", "board's image signs no receipt, or something on the line hides that it does, and this station demands receipts")
	ErrNoUpdate         = reason.New("no-update", "board's image takes no updates: it has write while the board is not sealed, and a product's image with update takes them after that")
	ErrNoNetHandshake   = reason.New("no-network-handshake", "board's image cannot do the handshake over a network: give it one that can, or set handshake: uart")
	ErrBufferTooSmall   = reason.New("buffer-too-small", "board's message buffer is too small for any exchange")
	ErrRestarted        = reason.New("restarted", "board restarted in the middle")
	ErrNotRestarted     = reason.New("not-restarted", "board did not restart").Below("buffer-too-small")
	ErrSlotChanged      = reason.New("slot-changed", "slot changed while it was read")
	ErrObjectSize       = reason.New("object-size", "a slot holds 1 to 1024 octets")
	ErrServerGone       = reason.New("server-gone", "verifier closed the connection before the board had its answer")
	ErrServerSilent     = reason.New("server-silent", "verifier says nothing")
	ErrServerUnreached  = reason.New("server-unreached", "nobody listens at the verifier's address, or the board's network does not lead there")
	ErrServerTalks      = reason.New("server-talks", "verifier sends more than any handshake needs")
	ErrHandshake        = reason.New("handshake-failed", "board gave up the handshake")
	ErrServerName       = reason.New("server-name", "verifier's certificate is for another name")
	ErrServerUntrusted  = reason.New("server-untrusted", "board's trust anchor does not sign the verifier's certificate")
	ErrServerExpired    = reason.New("server-expired", "verifier's certificate has expired")
	ErrServerNotYet     = reason.New("server-not-yet", "verifier's certificate is not valid yet")
	ErrServerRefuses    = reason.New("server-refuses", "verifier refused the board with an alert")
	ErrServerNoTLS      = reason.New("server-no-tls", "what the verifier sends is not TLS")
	ErrServerNoAgreed   = reason.New("server-no-agreement", "verifier and board have no TLS version or cipher suite in common")
	errSequenceTooLong  = reason.New("handshake-endless", "handshake does not come to an end")
	errClientClosed     = reason.New("client-closed", "client is closed")
	errAnswerOutOfRange = reason.New("malformed-answer", "board acknowledges octets it was not sent").Below("line")
)

// otherwiseSaid is what a blank board or a board with other firmware says to the question who it is.
var otherwiseSaid = []error{
	ErrNoAnswer, ErrGarbled, ErrConsoleText, ErrDamagedFrames, ErrOtherServer, ErrLoopBack, ErrMalformedAnswer, ErrProtocolVersion, ErrBufferTooSmall,
}

// MayLackFirmware reports whether an error of [Client.Identify] is what a blank board or a board with other firmware gives: silence until the
// deadline, anything but an answer, or a refusal. Every other error is about the line, such as a port that another program uses.
func MayLackFirmware(err error) bool {
	var refusal *Refusal
	if errors.As(err, &refusal) || slices.ContainsFunc(otherwiseSaid, func(said error) bool { return errors.Is(err, said) }) {
		return true
	}
	_, named := reason.Find(err)
	return errors.Is(err, context.DeadlineExceeded) && !named
}
