package ceremony

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
)

// An end is one end of a signature between two CAs: the issuer, or the CA that gets the certificate.
type end struct {
	what string // for an error
	name []byte // DER
	key  crypto.PublicKey
}

// checkEnds refuses one key or one name at both ends. A CA whose key is that of its issuer can never end alone. With one name, programs take
// the certificate for one of a root (RFC 5280 section 6.1: self-issued); they compare the text and not the octets (section 7.1).
func checkEnds(issuer, below end) error {
	if key, ok := issuer.key.(*ecdsa.PublicKey); ok && key.Equal(below.key) {
		return refuseChain("%s has the key of %s; each CA needs a key of its own: have another one made with `station ceremony csr` or `root`", below.what, issuer.what)
	}
	if sameText(issuer.name, below.name) {
		return refuseChain("%s has the name of %s, %s; each CA needs a name of its own: choose another subject for it", below.what, issuer.what, nameText(issuer.name))
	}
	return nil
}

// checkIssuer checks that a certificate names its issuer as the issuer names itself. The verifier compares octets.
func checkIssuer(what string, issuer, above []byte, aboveWhat string) error {
	switch {
	case bytes.Equal(issuer, above):
		return nil
	case sameText(issuer, above):
		return refuseChain("%s names the issuer %s, and %s has the same text in other octets (%s): programs that compare octets find no chain; have it signed again by a program that copies the name, such as openssl x509 -req",
			what, nameText(issuer), aboveWhat, otherOctets(issuer, above))
	}
	return refuseChain("%s issued %s, and %s is %s", nameText(issuer), what, aboveWhat, nameText(above))
}

// An attribute of a name, with the string type that pkix.Name does not keep.
type attribute struct {
	ID    asn1.ObjectIdentifier
	Value asn1.RawValue
}

func attributesOf(name []byte) (all []attribute, err error) {
	var sets []asn1.RawValue
	if _, err := asn1.Unmarshal(name, &sets); err != nil {
		return nil, err
	}
	for _, set := range sets {
		var one []attribute
		if _, err := asn1.UnmarshalWithParams(set.FullBytes, &one, "set"); err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// text is the value as people read it: case, and the number of blanks, do not count (RFC 5280 section 7.1).
func (a attribute) text() string {
	var value any
	if _, err := asn1.Unmarshal(a.Value.FullBytes, &value); err != nil {
		return string(a.Value.FullBytes)
	}
	return strings.Join(strings.Fields(fmt.Sprint(value)), " ")
}

// sameText reports whether two names have the same text, in whatever string types.
func sameText(a, b []byte) bool {
	left, bad := attributesOf(a)
	right, worse := attributesOf(b)
	if bad != nil || worse != nil || len(left) != len(right) {
		return bytes.Equal(a, b)
	}
	for i := range left {
		if !left[i].ID.Equal(right[i].ID) || !strings.EqualFold(left[i].text(), right[i].text()) {
			return false
		}
	}
	return true
}

// otherOctets names the string types of the first attribute that differs.
func otherOctets(a, b []byte) string {
	left, _ := attributesOf(a)
	right, _ := attributesOf(b)
	for i := range min(len(left), len(right)) {
		if !bytes.Equal(left[i].Value.FullBytes, right[i].Value.FullBytes) {
			return fmt.Sprintf("%s %q here, %s %q there", stringType(left[i].Value.Tag), left[i].text(), stringType(right[i].Value.Tag), right[i].text())
		}
	}
	return "other SETs"
}

// stringType is the name of a tag of DirectoryString (RFC 5280 section 4.1.2.4).
func stringType(tag int) string {
	names := map[int]string{asn1.TagPrintableString: "PrintableString", asn1.TagUTF8String: "UTF8String", asn1.TagT61String: "TeletexString", asn1.TagBMPString: "BMPString", asn1.TagIA5String: "IA5String"}
	if name, known := names[tag]; known {
		return name
	}
	return fmt.Sprintf("tag %d", tag)
}

// nameText is a name in quotes; what cannot be shown is escaped.
func nameText(name []byte) string {
	var sequence pkix.RDNSequence
	if _, err := asn1.Unmarshal(name, &sequence); err != nil {
		return "a name that cannot be read"
	}
	return fmt.Sprintf("%q", sequence.String())
}
