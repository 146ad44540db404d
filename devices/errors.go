package devices

import "errors"

// A Reason is a sentinel with the word that test, audit log and screen use for it.
type Reason struct {
	Word    string // such as "foreign-key"
	Meaning string // for people
}

func (r *Reason) Error() string { return r.Meaning }

// WordOf gives the word for the first Reason in err's tree.
func WordOf(err error) (word string, ok bool) {
	var reason *Reason
	if !errors.As(err, &reason) {
		return "", false
	}
	return reason.Word, true
}

// What goes wrong on the line and what a board may not say. What a board
// refuses is in the table of refusals.
var (
	ErrNoAnswer         = &Reason{"no-answer", "board does not answer: look at power, cable and port"}
	ErrLineClosed       = &Reason{"line-closed", "line is closed or unplugged: plug the board in and start again"}
	ErrLineStuck        = &Reason{"line-stuck", "line takes no octets: look at flow control and adapter"}
	ErrMalformedAnswer  = &Reason{"malformed-answer", "board's answer is not what PROTOCOL.md allows: its firmware does not fit this station"}
	ErrProtocolVersion  = &Reason{"protocol-version", "board speaks another protocol version: update its firmware or the station"}
	ErrIdentityABI      = &Reason{"identity-abi", "board derives its identity by another ABI than this station accepts"}
	ErrProductImage     = &Reason{"product-image", "board runs its product's image, which takes no certificate: flash the provisioning image, the identity stays"}
	ErrNoNetHandshake   = &Reason{"no-network-handshake", "board's image cannot do the handshake over a network: give it one that can, or set handshake: uart"}
	ErrBufferTooSmall   = &Reason{"buffer-too-small", "board's message buffer is too small for any exchange"}
	ErrRestarted        = &Reason{"restarted", "board restarted in the middle"}
	ErrNotRestarted     = &Reason{"not-restarted", "board did not restart"}
	ErrSlotChanged      = &Reason{"slot-changed", "slot changed while it was read"}
	ErrObjectSize       = &Reason{"object-size", "a slot holds 1 to 1024 octets"}
	ErrServerGone       = &Reason{"server-gone", "verifier closed the connection before the board had its answer"}
	ErrServerSilent     = &Reason{"server-silent", "verifier says nothing"}
	ErrServerUnreached  = &Reason{"server-unreached", "nobody listens at the verifier's address, or the board's network does not lead there"}
	ErrServerTalks      = &Reason{"server-talks", "verifier sends more than any handshake needs"}
	ErrHandshake        = &Reason{"handshake-failed", "board gave up the handshake"}
	ErrServerName       = &Reason{"server-name", "verifier's certificate is for another name"}
	ErrServerUntrusted  = &Reason{"server-untrusted", "board's trust anchor does not sign the verifier's certificate"}
	ErrServerExpired    = &Reason{"server-expired", "verifier's certificate has expired"}
	ErrServerNotYet     = &Reason{"server-not-yet", "verifier's certificate is not valid yet"}
	ErrServerRefuses    = &Reason{"server-refuses", "verifier refused the board with an alert"}
	ErrServerNoTLS      = &Reason{"server-no-tls", "what the verifier sends is not TLS"}
	ErrServerNoAgreed   = &Reason{"server-no-agreement", "verifier and board have no TLS version or cipher suite in common"}
	errSequenceTooLong  = &Reason{"handshake-endless", "handshake does not come to an end"}
	errClientClosed     = &Reason{"client-closed", "client is closed"}
	errAnswerOutOfRange = &Reason{"malformed-answer", "board acknowledges octets it was not sent"}
)
