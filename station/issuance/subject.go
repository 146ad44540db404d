package issuance

import (
	"encoding/asn1"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"hallmark/devices"
)

// SubjectConfig is the subject of a board's certificate. Empty values are left out. The attributes are written in the
// order of subjectParts. A board puts O and OU into its CSR as well (PROTOCOL.md section 4 "csr"), if they are at most
// 32 octets of the characters that the CSR may have; what the certificate says is decided here and not by the CSR.
type SubjectConfig struct {
	Country            string `yaml:"country" json:"country,omitempty"` // two letters, ISO 3166
	Organization       string `yaml:"organization" json:"organization"`
	CommonName         string `yaml:"common_name" json:"common_name"` // may have variables
	OrganizationalUnit string `yaml:"organizational_unit" json:"organizational_unit"`
	SerialNumber       string `yaml:"serial_number" json:"serial_number,omitempty"` // of the product (X.520), may have variables
}

// A subjectPart is an attribute of the subject that a profile can have.
type subjectPart struct {
	key       string
	oid       asn1.ObjectIdentifier
	variables bool
	printable bool // PrintableString (RFC 5280 appendix A.1 allows no other); false: UTF8String
	value     func(*Profile) string
}

var subjectParts = []subjectPart{
	{"subject.country", oidCountry, false, true, func(p *Profile) string { return p.config.Subject.Country }},
	{"subject.organization", oidOrganization, false, false, func(p *Profile) string { return p.config.Subject.Organization }},
	{"subject.common_name", oidCommonName, true, false, (*Profile).commonName},
	{"subject.organizational_unit", oidUnit, false, false, func(p *Profile) string { return p.config.Subject.OrganizationalUnit }},
	{"subject.serial_number", oidSerialNumber, true, true, func(p *Profile) string { return p.config.Subject.SerialNumber }},
	{"matter.vendor_id", oidMatterVendor, false, false, (*Profile).vendorAttribute},
	{"matter.product_id", oidMatterProduct, false, false, (*Profile).productAttribute},
}

// upperBounds are the longest values of attributes of a name, in characters (RFC 5280 appendix A.1; X.520; Matter Core Specification 6.1.1).
// An attribute that is not here has no bound.
var upperBounds = map[string]int{
	oidCommonName.String(): 64, oidOrganization.String(): 64, oidUnit.String(): 64, oidSerialNumber.String(): 64, oidCountry.String(): 2,
	oidMatterVendor.String(): 4, oidMatterProduct.String(): 4,
	"2.5.4.7": 128, "2.5.4.8": 128, // localityName, stateOrProvinceName
	"2.5.4.12": 64, "2.5.4.65": 128, // title, pseudonym
	"1.2.840.113549.1.9.1": 255, // emailAddress
}

// A board is what a certificate can say of one board.
type board struct {
	id       devices.BoardID
	hardware devices.HardwareID
}

// widest is the board whose values are the longest ones that a board can have.
var widest = board{devices.BoardID{}, devices.HardwareID(strings.Repeat("\xff", maxHardwareID))}

const maxHardwareID = 16 // octets (PROTOCOL.md section 4 "hello", "hw")

// value puts the board's values in the place of the variables.
func (b board) value(text string) string {
	return strings.NewReplacer(boardIDVariable, b.id.String(), hardwareIDVariable, b.hardware.String()).Replace(text)
}

func checkSubject(p *Profile) error {
	named := false
	for _, part := range subjectParts {
		text := part.value(p)
		if err := part.check(text); err != nil {
			return fmt.Errorf("%s %q: %w", part.key, text, err)
		}
		named = named || strings.Contains(text, boardIDVariable) || strings.Contains(text, hardwareIDVariable)
	}
	if !named {
		return fmt.Errorf("subject: all boards would have the same name; want %s or %s in common_name or serial_number", boardIDVariable, hardwareIDVariable)
	}
	return nil
}

// printableString has the characters of a PrintableString (X.680 section 41.4).
var printableString = regexp.MustCompile(`^[A-Za-z0-9 '()+,\-./:=?]*$`)

func (part subjectPart) check(text string) error {
	if err := part.checkVariables(text); err != nil {
		return err
	}
	text = widest.value(text)
	if n, upper := utf8.RuneCountInString(text), upperBounds[part.oid.String()]; n > upper {
		return fmt.Errorf("%d characters with the values of a board, want at most %d (RFC 5280 appendix A.1)", n, upper)
	}
	if part.printable && !printableString.MatchString(text) {
		return fmt.Errorf("want letters, digits, space and ' ( ) + , - . / : = ? only, because it is a PrintableString (RFC 5280 appendix A.1)")
	}
	if part.key == "subject.country" && text != "" && !countryCode.MatchString(text) {
		return fmt.Errorf("want two upper-case letters (ISO 3166), such as DE")
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("want printable characters in UTF-8, without line breaks and control characters")
	}
	if text != strings.TrimSpace(text) {
		return fmt.Errorf("want no space at the beginning and at the end: programs compare names with and without it")
	}
	return nil
}

var countryCode = regexp.MustCompile(`^[A-Z]{2}$`)

// checkVariables refuses what looks like a variable and is none, because the text would get into certificates.
func (part subjectPart) checkVariables(text string) error {
	rest := strings.NewReplacer(boardIDVariable, "", hardwareIDVariable, "").Replace(text)
	switch {
	case strings.Contains(rest, "${"):
		return fmt.Errorf("unknown variable; want %s or %s", boardIDVariable, hardwareIDVariable)
	case !part.variables && rest != text:
		return fmt.Errorf("variables are allowed in common_name and serial_number only")
	}
	return nil
}

// subject writes the subject of a board's certificate.
func (p *Profile) subject(b board) ([]byte, error) {
	var name []rdnSET
	for _, part := range subjectParts {
		text := b.value(part.value(p))
		if text == "" {
			continue
		}
		value, err := directoryString(text, part.printable)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.key, err)
		}
		name = append(name, rdnSET{{part.oid, raw(value)}})
	}
	return asn1.Marshal(name)
}

// rdnSET is a RelativeDistinguishedName (RFC 5280 section 4.1.2.4). encoding/asn1 writes a SET for this suffix.
type rdnSET []attributeTypeAndValue

type attributeTypeAndValue struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

func directoryString(text string, printable bool) ([]byte, error) {
	if printable {
		return asn1.MarshalWithParams(text, "printable")
	}
	return asn1.MarshalWithParams(text, "utf8")
}

// Organization gives the O that a board has to put into its CSR; it may be empty.
func (p *Profile) Organization() string { return inRequest(p.config.Subject.Organization) }

// OrganizationalUnit gives the OU that a board has to put into its CSR; it may be empty.
func (p *Profile) OrganizationalUnit() string { return inRequest(p.config.Subject.OrganizationalUnit) }

// maxInRequest is the number of octets of "o" and "ou" (PROTOCOL.md section 4 "csr").
const maxInRequest = 32

// inRequest gives the value, or nothing if a CSR may not have it (PROTOCOL.md section 4 "csr").
func inRequest(value string) string {
	if len(value) > maxInRequest {
		return ""
	}
	for _, r := range value {
		if r < ' ' || r > '~' || strings.ContainsRune(`,+"\<>;=#`, r) {
			return ""
		}
	}
	return value
}

// needsHardwareID reports whether the certificate says the hardware id of its board.
func (p *Profile) needsHardwareID() bool {
	for _, text := range []string{p.config.Subject.CommonName, p.config.Subject.SerialNumber, p.hardwareSerial()} {
		if strings.Contains(text, hardwareIDVariable) {
			return true
		}
	}
	return false
}
