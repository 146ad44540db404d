package issuance

import "hallmark/station/reason"

// Refusals of Check: what is wrong with a CSR (RFC 2986, PROTOCOL.md section 4 "csr").
var (
	ErrTooLarge            = reason.New("csr-too-large", "CSR is larger than 768 octets")
	ErrNotDER              = reason.New("csr-not-der", "CSR is not one DER CertificationRequest (RFC 2986 section 4.2)")
	ErrTrailing            = reason.New("csr-trailing-octets", "CSR is followed by more octets")
	ErrVersion             = reason.New("csr-version", "CSR version is not 0 (v1, RFC 2986 section 4.1)")
	ErrKeyNotP256          = reason.New("csr-key-not-p256", "public key is not an uncompressed P-256 point (RFC 5480)")
	ErrNotOnCurve          = reason.New("csr-key-not-on-curve", "public key is not a point of P-256")
	ErrSignatureAlgorithm  = reason.New("csr-signature-algorithm", "CSR is not signed with ecdsa-with-SHA256 (RFC 5758 section 3.2)")
	ErrSignature           = reason.New("csr-signature", "CSR signature does not verify: the board did not prove that it holds the key")
	ErrSubject             = reason.New("csr-subject", "CSR subject is not the one that was asked for")
	ErrBoardID             = reason.New("csr-board-id", "CSR names another BoardID than the board that was asked")
	ErrNonceMissing        = reason.New("csr-nonce-missing", "CSR does not carry a nonce")
	ErrNonceWrong          = reason.New("csr-nonce-wrong", "CSR carries another nonce than the one of this Run")
	ErrNonceDuplicated     = reason.New("csr-nonce-duplicated", "CSR carries more than one nonce")
	ErrUnexpectedAttribute = reason.New("csr-attribute", "CSR has an attribute that was not asked for")
	ErrUnexpectedExtension = reason.New("csr-extension", "CSR asks for an extension that was not asked for")
	ErrDummyIdentity       = reason.New("dummy-identity", "key or BoardID comes from a publicly known hardware unique key")
	ErrNoHardwareID        = reason.New("no-hardware-id", "the profile puts the hardware id into the certificate, and the board has none")
	ErrBadRequest          = reason.New("bad-request", "request to the issuer is not complete: want a Run id and a BoardID in lower case")
)

// Refusals of Check and New that concern the issuer, not the board.
var (
	ErrOutlives    = reason.New("outlives-issuer", "certificate would outlive its issuer: use a shorter validity or a longer-lived issuing CA")
	ErrDoesNotFit  = reason.New("certificate-too-large", "certificate would be larger than its profile allows, or than the board's slot of 1024 octets: use shorter names")
	ErrIssuerChain = reason.New("issuer-chain", "issuing certificate does not chain to the root as a CA")
	ErrIssuerKey   = reason.New("issuer-key", "signer's key is not the P-256 key of the issuing certificate")
	ErrProfile     = reason.New("profile", "profile is not acceptable")
	// ErrIssuerUnfit: the profile's standard wants another name of the issuing CA, or another path length.
	ErrIssuerUnfit = reason.New("issuer-unfit", "the issuing CA does not fit the profile")
	ErrNoProfile   = reason.New("no-profile", "this station has no profile for a key of this purpose: name one in its configuration")
)

// Refusals of Sign.
var (
	ErrGrantForeign = reason.New("grant-foreign", "grant was not given by this issuer")
	ErrGrantUsed    = reason.New("grant-used", "grant was used before: a grant is good for one signature, check again")
	// ErrUnresolved: the HSM may have signed, but the certificate is not in
	// hand. The serial number is burned and treated as revoked (I10); a new
	// Run signs under another one.
	ErrUnresolved = reason.New("unresolved", "the HSM may or may not have signed; the serial number is burned and treated as revoked, run the board again")
	// ErrNotSigned: certainly nothing was signed.
	ErrNotSigned = reason.New("not-signed", "the HSM did not sign")
)

// Refusals of Store.Intend.
var (
	ErrSerialTaken   = reason.New("serial-taken", "serial number was used before")
	ErrKeyElsewhere  = reason.New("key-elsewhere", "public key and BoardID do not belong together")
	ErrAlreadyActive = reason.New("already-active", "the board has an active certificate for this purpose")
	// ErrKeyCompromised: the key follows from the hardware, so the board can never have another one.
	ErrKeyCompromised = reason.New("key-compromised", "the board's certificate was revoked because others may know its key: the key gets no certificate any more")
	ErrRevoked        = reason.New("revoked", "the board's certificate was revoked: only a rework gives it a new one")
	ErrTLSFirst       = reason.New("tls-first", "the board has no active certificate for its TLS key, which must attest its other keys: that one comes first")
	ErrInFlight       = reason.New("in-flight", "another Run is signing for this board")
)
