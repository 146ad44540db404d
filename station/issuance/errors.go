package issuance

import "errors"

// A Refusal is one reason for not issuing. Its Reason is the word that test,
// audit log and screen use; each exported Err below is a *Refusal or a plain
// sentinel, and errors.Is finds it.
type Refusal struct {
	Reason string // lower-case words with hyphens
	text   string
}

func (r *Refusal) Error() string { return r.text }

// Reason gives the word for an error that wraps a Refusal, else the empty string.
func Reason(err error) string {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}

// Refusals of Check: what is wrong with a CSR (RFC 2986, PROTOCOL.md section 4 "csr").
var (
	ErrTooLarge            = &Refusal{"csr-too-large", "CSR is larger than 768 octets"}
	ErrNotDER              = &Refusal{"csr-not-der", "CSR is not one DER CertificationRequest (RFC 2986 section 4.2)"}
	ErrTrailing            = &Refusal{"csr-trailing-octets", "CSR is followed by more octets"}
	ErrVersion             = &Refusal{"csr-version", "CSR version is not 0 (v1, RFC 2986 section 4.1)"}
	ErrKeyNotP256          = &Refusal{"csr-key-not-p256", "public key is not an uncompressed P-256 point (RFC 5480)"}
	ErrNotOnCurve          = &Refusal{"csr-key-not-on-curve", "public key is not a point of P-256"}
	ErrSignatureAlgorithm  = &Refusal{"csr-signature-algorithm", "CSR is not signed with ecdsa-with-SHA256 (RFC 5758 section 3.2)"}
	ErrSignature           = &Refusal{"csr-signature", "CSR signature does not verify: the board did not prove that it holds the key"}
	ErrSubject             = &Refusal{"csr-subject", "CSR subject is not the one that was asked for"}
	ErrBoardID             = &Refusal{"csr-board-id", "CSR names another BoardID than the board that was asked"}
	ErrNonceMissing        = &Refusal{"csr-nonce-missing", "CSR does not carry a nonce"}
	ErrNonceWrong          = &Refusal{"csr-nonce-wrong", "CSR carries another nonce than the one of this Run"}
	ErrNonceDuplicated     = &Refusal{"csr-nonce-duplicated", "CSR carries more than one nonce"}
	ErrUnexpectedAttribute = &Refusal{"csr-attribute", "CSR has an attribute that was not asked for"}
	ErrUnexpectedExtension = &Refusal{"csr-extension", "CSR asks for an extension that was not asked for"}
	ErrDummyIdentity       = &Refusal{"dummy-identity", "key or BoardID comes from a publicly known hardware unique key"}
	ErrBadRequest          = &Refusal{"bad-request", "request to the issuer is not complete: want a Run id and a BoardID in lower case"}
)

// Refusals of Check and New that concern the issuer, not the board.
var (
	ErrOutlives    = &Refusal{"outlives-issuer", "certificate would outlive its issuer: use a shorter validity or a longer-lived issuing CA"}
	ErrDoesNotFit  = &Refusal{"certificate-too-large", "certificate would not fit the board's slot of 1024 octets: use shorter names"}
	ErrIssuerChain = &Refusal{"issuer-chain", "issuing certificate does not chain to the root as a CA"}
	ErrIssuerKey   = &Refusal{"issuer-key", "signer's key is not the P-256 key of the issuing certificate"}
	ErrProfile     = &Refusal{"profile", "profile is not acceptable"}
	ErrNoProfile   = &Refusal{"no-profile", "this station has no profile for a key of this purpose: name one in its configuration"}
)

// Refusals of Sign.
var (
	ErrGrantForeign = &Refusal{"grant-foreign", "grant was not given by this issuer"}
	ErrGrantUsed    = &Refusal{"grant-used", "grant was used before: a grant is good for one signature, check again"}
	// ErrUnresolved: the HSM may have signed, but the certificate is not in
	// hand. The serial number is burned and treated as revoked (I10); a new
	// Run signs under another one.
	ErrUnresolved = &Refusal{"unresolved", "the HSM may or may not have signed; the serial number is burned and treated as revoked, run the board again"}
	// ErrNotSigned: certainly nothing was signed.
	ErrNotSigned = &Refusal{"not-signed", "the HSM did not sign"}
)

// Sentinels of the ledger.
var (
	ErrNotIssued     = errors.New("no certificate is issued for this key")
	ErrSerialTaken   = errors.New("serial number was used before")
	ErrKeyElsewhere  = errors.New("public key and BoardID do not belong together")
	ErrAlreadyActive = errors.New("the board has an active certificate for this purpose")
	ErrAlreadyIssued = errors.New("a certificate is already issued for this key")
	ErrRevoked       = errors.New("the board's certificate was revoked: only a rework gives it a new one")
	ErrTLSFirst      = errors.New("the board has no active certificate for its TLS key, which must vouch for its other keys: that one comes first")
	ErrInFlight      = errors.New("another Run is signing for this board")
)
