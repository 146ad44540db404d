package conformance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"

	"hallmark/devices"
)

// A csr is a PKCS#10 request (RFC 2986 section 4). It is parsed here, because the
// nonce's OID has an arc of 128 bits, which crypto/x509 does not parse.
type csr struct {
	raw        []byte
	subject    []byte
	attributes []byte
	key        *ecdsa.PublicKey
}

// csr asks for a CSR of the TLS key and verifies its signature.
func (b *environment) csr(nonce [devices.NonceSize]byte, subject devices.Subject) csr {
	b.Helper()
	return b.csrFor(devices.PurposeTLS, nonce, subject)
}

func (b *environment) csrFor(purpose devices.Purpose, nonce [devices.NonceSize]byte, subject devices.Subject) csr {
	b.Helper()
	der, err := b.client().CSR(b.ctx, purpose, nonce, subject)
	b.check(err)
	var outer struct {
		Info struct {
			Raw        asn1.RawContent
			Version    int
			Subject    asn1.RawValue
			Key        asn1.RawValue
			Attributes asn1.RawValue
		}
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 || outer.Info.Version != 0 {
		b.Fatalf("CSR %x: %v, %d octets behind it, version %d", der, err, len(rest), outer.Info.Version)
	}
	public, err := x509.ParsePKIXPublicKey(outer.Info.Key.FullBytes)
	b.check(err)
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		b.Fatalf("key is %T, want one on P-256", public)
	}
	digest := sha256.Sum256(outer.Info.Raw)
	if !outer.Algorithm.OID.Equal(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}) || !ecdsa.VerifyASN1(key, digest[:], outer.Signature.Bytes) {
		b.Fatalf("signature by %v does not hold", outer.Algorithm.OID)
	}
	return csr{der, outer.Info.Subject.FullBytes, outer.Info.Attributes.FullBytes, key}
}

// check compares the parts that the board chooses with PROTOCOL.md section 4.
func (c csr) check(b *environment, id devices.BoardID, nonce [devices.NonceSize]byte, subject devices.Subject) {
	b.Helper()
	if want := subjectDER(id, subject); !bytes.Equal(c.subject, want) {
		b.Errorf("subject\n got %x\nwant %x", c.subject, want)
	}
	if want := attributesDER(nonce); !bytes.Equal(c.attributes, want) {
		b.Errorf("attributes\n got %x\nwant %x", c.attributes, want)
	}
}

// Tags of DER (X.690).
const (
	tagOctets   = 0x04
	tagOID      = 0x06
	tagUTF8     = 0x0c
	tagSequence = 0x30
	tagSet      = 0x31
	tagContext0 = 0xa0
)

// tlv encodes one DER element of at most 255 octets.
func tlv(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	if len(content) < 0x80 {
		return append([]byte{tag, byte(len(content))}, content...)
	}
	return append([]byte{tag, 0x81, byte(len(content))}, content...)
}

// subjectDER encodes O, CN and OU as UTF8String, one RDN each.
func subjectDER(id devices.BoardID, subject devices.Subject) []byte {
	var name [][]byte
	for _, row := range []struct {
		last byte // last arc of 2.5.4.x
		text string
	}{{10, subject.Organization}, {3, id.String()}, {11, subject.OrganizationalUnit}} {
		if row.text != "" {
			name = append(name, tlv(tagSet, tlv(tagSequence, tlv(tagOID, []byte{0x55, 4, row.last}), tlv(tagUTF8, []byte(row.text)))))
		}
	}
	return tlv(tagSequence, name...)
}

// Contents octets of the OIDs 1.2.840.113549.1.9.14 and 2.25.164987444589834856896386638716508157939.
var (
	oidExtensionRequest = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14}
	oidNonce            = []byte{0x69, 0x81, 0xf8, 0x9f, 0xb6, 0xc3, 0xc7, 0xa5, 0x92, 0xbc, 0x97, 0x9d, 0xb0, 0xd4, 0xd4, 0xcc, 0xc7, 0x86, 0xef, 0x73}
)

// attributesDER encodes one extensionRequest with one extension. The extension's value
// is an OCTET STRING, inside the extnValue that every extension has.
func attributesDER(nonce [devices.NonceSize]byte) []byte {
	extension := tlv(tagSequence, tlv(tagOID, oidNonce), tlv(tagOctets, tlv(tagOctets, nonce[:])))
	return tlv(tagContext0, tlv(tagSequence, tlv(tagOID, oidExtensionRequest), tlv(tagSet, tlv(tagSequence, extension))))
}
