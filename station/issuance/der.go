package issuance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"math/bits"
	"time"
)

// Object identifiers, each with the section that defines it.
var (
	oidECPublicKey      = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}      // RFC 5480 section 2.1.1
	oidP256             = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}   // RFC 5480 section 2.1.1.1
	oidECDSAWithSHA256  = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}   // RFC 5758 section 3.2
	oidExtensionRequest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14} // RFC 2985 section 5.4.2
	oidOrganization     = asn1.ObjectIdentifier{2, 5, 4, 10}                 // RFC 5280 appendix A
	oidCommonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidUnit             = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCountry          = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidSerialNumber     = asn1.ObjectIdentifier{2, 5, 4, 5}
	oidSKI              = asn1.ObjectIdentifier{2, 5, 29, 14} // RFC 5280 section 4.2.1.2
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15} // section 4.2.1.3
	oidBC               = asn1.ObjectIdentifier{2, 5, 29, 19} // section 4.2.1.9
	oidAKI              = asn1.ObjectIdentifier{2, 5, 29, 35} // section 4.2.1.1
	oidEKU              = asn1.ObjectIdentifier{2, 5, 29, 37} // section 4.2.1.12
	oidClientAuth       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
)

// nonceOID has the DER contents of 2.25.164987444589834856896386638716508157939,
// the extension of PROTOCOL.md section 4 "csr". The last arc has 127 bits, which do
// not fit into asn1.ObjectIdentifier.
var nonceOID = []byte{
	0x69, 0x81, 0xf8, 0x9f, 0xb6, 0xc3, 0xc7, 0xa5, 0x92, 0xbc,
	0x97, 0x9d, 0xb0, 0xd4, 0xd4, 0xcc, 0xc7, 0x86, 0xef, 0x73,
}

// HasNonceOID reports whether the octets of a firmware image have the OID of the nonce, which each board with the command csr writes into its CSR. An image that
// is compressed or encrypted does not show the OID.
func HasNonceOID(image []byte) bool { return bytes.Contains(image, nonceOID) }

// algorithm is an AlgorithmIdentifier without parameters (RFC 5758 section 3.2).
type algorithm struct{ Algorithm asn1.ObjectIdentifier }

type extension struct {
	ID       asn1.ObjectIdentifier
	Critical bool `asn1:"optional"`
	Value    []byte
}

type validity struct{ NotBefore, NotAfter time.Time }

// tbsCertificate is the TBSCertificate of RFC 5280 section 4.1, version 3, without
// unique identifiers.
type tbsCertificate struct {
	Version    int `asn1:"explicit,tag:0"`
	Serial     *big.Int
	Signature  algorithm
	Issuer     asn1.RawValue
	Validity   validity
	Subject    asn1.RawValue
	Key        asn1.RawValue
	Extensions []extension `asn1:"explicit,tag:3"`
}

// signed is the outer structure of a Certificate (RFC 5280 section 4.1).
type signed struct {
	TBS       asn1.RawValue
	Algorithm algorithm
	Signature asn1.BitString
}

func raw(der []byte) asn1.RawValue { return asn1.RawValue{FullBytes: der} }

// boardExtensions gives the extensions that are the same for every board of a
// profile. keyUsage has bit 0 of KeyUsage (RFC 5280 section 4.2.1.3) as its most
// significant bit.
func boardExtensions(keyUsage byte, clientAuth bool) []extension {
	usage := asn1.BitString{Bytes: []byte{keyUsage}, BitLength: 8 - bits.TrailingZeros8(keyUsage)}
	extensions := []extension{{ID: oidKeyUsage, Critical: true, Value: mustDER(usage)}}
	if clientAuth {
		extensions = append(extensions, extension{ID: oidEKU, Value: mustDER([]asn1.ObjectIdentifier{oidClientAuth})})
	}
	// An empty SEQUENCE: cA is FALSE by default, and DER leaves defaults out (X.690
	// section 11.5).
	return append(extensions, extension{ID: oidBC, Critical: true, Value: mustDER(struct{}{})})
}

// subjectDER writes the name that a board puts into its CSR: O, CN and OU, in this order, as UTF8String. An empty O
// or OU is left out.
func subjectDER(organization, commonName, unit string) ([]byte, error) {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value string `asn1:"utf8"`
	}
	type rdnSET []attribute
	var name []rdnSET
	for _, a := range []attribute{{oidOrganization, organization}, {oidCommonName, commonName}, {oidUnit, unit}} {
		if a.Value != "" {
			name = append(name, rdnSET{a})
		}
	}
	return asn1.Marshal(name)
}

// keyDER writes the SubjectPublicKeyInfo of a P-256 key, with the uncompressed point
// (RFC 5480 section 2.2).
func keyDER(key *ecdsa.PublicKey) ([]byte, error) { return x509.MarshalPKIXPublicKey(key) }

// keyIdentifier gives the identifier by method 1 of RFC 7093 section 2: the leftmost
// 160 bits of the SHA-256 of the contents of the BIT STRING subjectPublicKey.
func keyIdentifier(key *ecdsa.PublicKey) ([]byte, error) {
	point, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(point)
	return sum[:20], nil
}

// authorityKeyID writes an AuthorityKeyIdentifier that has only a keyIdentifier (RFC
// 5280 section 4.2.1.1).
func authorityKeyID(id []byte) ([]byte, error) {
	return asn1.Marshal(struct {
		ID []byte `asn1:"tag:0"`
	}{id})
}

// mustDER encodes a value that is fixed at compile time or was checked before, so
// that the encoding cannot go wrong.
func mustDER(value any) []byte {
	der, err := asn1.Marshal(value)
	if err != nil {
		panic(err)
	}
	return der
}

// seal puts TBS, algorithm and signature together into a certificate.
func seal(tbs, signature []byte) ([]byte, error) {
	return asn1.Marshal(signed{
		TBS:       raw(tbs),
		Algorithm: algorithm{oidECDSAWithSHA256},
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
}

// marshalTBS writes a TBSCertificate. The same input gives the same octets.
func marshalTBS(tbs tbsCertificate) ([]byte, error) { return asn1.Marshal(tbs) }
