package issuance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"

	"hallmark/devices"
	"hallmark/station/reason"
)

// MaxCSR is the largest CSR in octets (PROTOCOL.md section 4 "csr").
const MaxCSR = 768

// csr is a CertificationRequest (RFC 2986 section 4). The station knows all of its
// content but the key beforehand. So every field is compared, and none is copied
// into the certificate.
type csr struct {
	Info      csrInfo
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

type csrInfo struct {
	Raw        asn1.RawContent
	Version    int
	Subject    asn1.RawValue
	Key        csrKey
	Attributes []asn1.RawValue `asn1:"tag:0"`
}

type csrKey struct {
	Raw       asn1.RawContent
	Algorithm struct {
		Algorithm asn1.ObjectIdentifier
		Curve     asn1.RawValue `asn1:"optional"`
	}
	Point asn1.BitString
}

// wanted is what the CSR of one request must contain.
type wanted struct {
	subject []byte // DER of the whole name
	boardID devices.BoardID
	nonce   [devices.NonceSize]byte
}

// checkCSR gives the key whose possession the CSR proves, or one refusal. The
// checks go from the outer structure to the inner values: a later check relies on
// what an earlier check has made sure of.
func checkCSR(der []byte, want wanted) (*ecdsa.PublicKey, error) {
	// 1. One DER structure of the right size and version.
	request, err := parseCSR(der)
	if err != nil {
		return nil, err
	}
	// 2. The key is of the kind that the station certifies.
	key, err := request.key()
	if err != nil {
		return nil, err
	}
	// 3. The board holds the private key (I5).
	if err := request.proven(key); err != nil {
		return nil, err
	}
	// 4. The CSR names the board that was asked, and carries the nonce of this Run.
	if err := request.names(want); err != nil {
		return nil, err
	}
	if err := request.answers(want.nonce); err != nil {
		return nil, err
	}
	// 5. The CSR contains nothing else.
	return key, request.exact(key, want)
}

func parseCSR(der []byte) (*csr, error) {
	if len(der) > MaxCSR {
		return nil, fmt.Errorf("%w: it has %d", ErrTooLarge, len(der))
	}
	var request csr
	rest, err := asn1.Unmarshal(der, &request)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNotDER, err)
	case len(rest) > 0:
		return nil, fmt.Errorf("%w: %s", ErrTrailing, reason.Count(len(rest), "octet", "octets"))
	case request.Info.Version != 0:
		return nil, fmt.Errorf("%w: it is %d", ErrVersion, request.Info.Version)
	}
	return &request, nil
}

func (r *csr) key() (*ecdsa.PublicKey, error) {
	algorithm, point := r.Info.Key.Algorithm, r.Info.Key.Point
	if !algorithm.Algorithm.Equal(oidECPublicKey) || !bytes.Equal(algorithm.Curve.FullBytes, mustDER(oidP256)) {
		return nil, fmt.Errorf("%w: algorithm %v, parameters %x", ErrKeyNotP256, algorithm.Algorithm, algorithm.Curve.FullBytes)
	}
	const uncompressed, size = 4, 65 // SEC 1 section 2.3.3
	if point.BitLength != 8*size || point.Bytes[0] != uncompressed {
		return nil, fmt.Errorf("%w: point of %d bits", ErrKeyNotP256, point.BitLength)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOnCurve, err)
	}
	return key, nil
}

// proven checks the CSR's own signature with the key in it (RFC 2986 section 4.2).
func (r *csr) proven(key *ecdsa.PublicKey) error {
	if !bytes.Equal(r.Algorithm.FullBytes, mustDER(algorithm{oidECDSAWithSHA256})) {
		return fmt.Errorf("%w: AlgorithmIdentifier is %x", ErrSignatureAlgorithm, r.Algorithm.FullBytes)
	}
	digest := sha256.Sum256(r.Info.Raw)
	if r.Signature.BitLength%8 != 0 || !ecdsa.VerifyASN1(key, digest[:], r.Signature.Bytes) {
		return ErrSignature
	}
	return nil
}

func (r *csr) names(want wanted) error {
	if bytes.Equal(r.Info.Subject.FullBytes, want.subject) {
		return nil
	}
	if id, err := devices.ParseBoardID(commonNameOf(r.Info.Subject.FullBytes)); err == nil && id != want.boardID {
		return fmt.Errorf("%w: want %s, got %s", ErrBoardID, want.boardID, id)
	}
	return fmt.Errorf("%w: want DER %x, got %x", ErrSubject, want.subject, r.Info.Subject.FullBytes)
}

// answers checks that there is exactly one extension in all the extensionRequests
// together, and that this extension is the nonce.
func (r *csr) answers(nonce [devices.NonceSize]byte) error {
	seen := 0
	for _, attribute := range r.Info.Attributes {
		extensions, err := requestedExtensions(attribute)
		if err != nil {
			return err
		}
		for _, e := range extensions {
			if seen++; seen > 1 {
				return ErrNonceDuplicated
			}
			if err := e.carries(nonce); err != nil {
				return err
			}
		}
	}
	if seen == 0 {
		return ErrNonceMissing
	}
	return nil
}

// requested is one Extension of an extensionRequest. The ID stays DER, because the
// nonce's OID does not fit into asn1.ObjectIdentifier.
type requested struct {
	ID       asn1.RawValue
	Critical bool `asn1:"optional"`
	Value    []byte
}

func requestedExtensions(der asn1.RawValue) ([]requested, error) {
	var attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	if rest, err := asn1.Unmarshal(der.FullBytes, &attribute); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: attribute %x does not parse", ErrNotDER, der.FullBytes)
	}
	if !attribute.Type.Equal(oidExtensionRequest) || len(attribute.Values) != 1 {
		return nil, fmt.Errorf("%w: %v with %s", ErrUnexpectedAttribute, attribute.Type, reason.Count(len(attribute.Values), "value", "values"))
	}
	var extensions []requested
	if rest, err := asn1.Unmarshal(attribute.Values[0].FullBytes, &extensions); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: extensionRequest does not parse", ErrNotDER)
	}
	return extensions, nil
}

func (e requested) carries(nonce [devices.NonceSize]byte) error {
	if e.ID.Class != asn1.ClassUniversal || e.ID.Tag != asn1.TagOID || !bytes.Equal(e.ID.Bytes, nonceOID) || e.Critical {
		return fmt.Errorf("%w: OID contents %x, critical %t", ErrUnexpectedExtension, e.ID.Bytes, e.Critical)
	}
	if !bytes.Equal(e.Value, mustDER(nonce[:])) {
		return ErrNonceWrong
	}
	return nil
}

// exact builds the signed part again and compares it octet by octet. The checks
// before this one give a refusal of their own for each mistake; exact finds
// everything that they do not look at.
func (r *csr) exact(key *ecdsa.PublicKey, want wanted) error {
	info, err := expectedInfo(key, want)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotDER, err)
	}
	if !bytes.Equal(info, r.Info.Raw) {
		return fmt.Errorf("%w: it has more or other octets than were asked for", ErrNotDER)
	}
	return nil
}

// expectedInfo is the CertificationRequestInfo that a board must have signed.
func expectedInfo(key *ecdsa.PublicKey, want wanted) ([]byte, error) {
	spki, err := keyDER(key)
	if err != nil {
		return nil, err
	}
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values [][]requested `asn1:"set"`
	}
	oid := asn1.RawValue{Tag: asn1.TagOID, Bytes: nonceOID}
	nonce := []requested{{ID: oid, Value: mustDER(want.nonce[:])}}
	return asn1.Marshal(struct {
		Version    int
		Subject    asn1.RawValue
		Key        asn1.RawValue
		Attributes []attribute `asn1:"set,tag:0"`
	}{0, raw(want.subject), raw(spki), []attribute{{oidExtensionRequest, [][]requested{nonce}}}})
}

// commonNameOf gives the last common name of a subject, or the empty string.
func commonNameOf(subject []byte) string {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type rdnSET []attribute
	var name []rdnSET
	if rest, err := asn1.Unmarshal(subject, &name); err != nil || len(rest) > 0 {
		return ""
	}
	found := ""
	for _, rdn := range name {
		for _, a := range rdn {
			if a.Type.Equal(oidCommonName) {
				found = string(a.Value.Bytes)
			}
		}
	}
	return found
}
