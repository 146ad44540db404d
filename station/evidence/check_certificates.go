package evidence

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"hallmark/station/audit"
)

// An intent is what the log says of one serial number before the signature. It has no pointer,
// because there may be a million.
type intent struct {
	open         bool   // no result yet
	spki, issuer digest // SHA-256 of the public keys of board and CA
}

// issuedCertificate is what the log says of one certificate.
type issuedCertificate struct {
	seq      int64
	serial   serialNumber
	intended bool // false in a part without the intent
	intent
}

// A serialNumber has 16 octets (I2).
type serialNumber [16]byte

// issueTypes are the entries about the issue of one certificate.
var issueTypes = []string{"cert.issue.intent", "cert.issued", "cert.issue.failed", "cert.issue.unresolved"}

// followCertificate checks the life of a certificate: an intent before each issue, and each
// serial number once.
func (c *checker) followCertificate(e *audit.Entry, name string) error {
	if e.Cert == nil || e.Cert.Serial == "" || !strings.HasPrefix(e.Type, "cert.") {
		if slices.Contains(issueTypes, e.Type) {
			return c.find(e.Seq, name, "the entry %s names no serial number: nobody can say which certificate it is about", e.Type)
		}
		return nil
	}
	serial, ok := serialNumber{}, false
	if ok = parseHex(serial[:], e.Cert.Serial); !ok {
		return c.find(e.Seq, name, "%q is not a serial number: want 32 hexadecimal digits", e.Cert.Serial)
	}
	state, known := c.serials[serial]
	switch {
	case e.Type == "cert.issue.intent" && known:
		return c.find(e.Seq, name, "serial number %s has an intent a second time", e.Cert.Serial)
	case e.Type == "cert.issue.intent":
		c.serials[serial] = intent{true, digestOf(e.Cert.SPKISHA256), digestOf(e.Cert.Issuer)}
	case e.Type == "cert.issued":
		return c.followIssue(e, name, serial)
	case e.Type == "cert.issue.failed" || e.Type == "cert.issue.unresolved":
		state.open = false
		c.serials[serial] = state
	case e.Cert.Status != "" && !known && !c.verdict.Part:
		return c.find(e.Seq, name, "serial number %s changes and was never issued", e.Cert.Serial)
	}
	return nil
}

func (c *checker) followIssue(e *audit.Entry, name string, serial serialNumber) error {
	state := c.serials[serial]
	if !state.open && !c.verdict.Part { // the filter of a part may leave the intent out
		return c.find(e.Seq, name, "serial number %s was issued without an open intent", e.Cert.Serial)
	}
	var sum digest
	if !parseHex(sum[:], e.Cert.SHA256) {
		return c.find(e.Seq, name, "%q is not the SHA-256 of a certificate", e.Cert.SHA256)
	}
	c.issued[sum] = issuedCertificate{e.Seq, serial, state.open, state}
	c.serials[serial] = intent{}
	return nil
}

// digestOf reads a SHA-256. A text that is none becomes a digest that no key has.
func digestOf(text string) (d digest) {
	if !parseHex(d[:], text) {
		return digest{}
	}
	return d
}

// parseHex reads lower-case hexadecimal digits, as many as fill out.
func parseHex(out []byte, text string) bool {
	n := 0
	if len(text) == 2*len(out) {
		n, _ = hex.Decode(out, []byte(text)) // n says how far it came
	}
	return n == len(out) && hex.EncodeToString(out) == text
}

// checkCertificates checks that the certificates are those of the log, signed by an authority
// of the bundle.
func (c *checker) checkCertificates() error {
	sums := slices.SortedFunc(maps.Keys(c.issued), func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	wrong := make([]string, len(sums))
	err := inParallel(c.ctx, len(sums), func(n int) (err error) {
		wrong[n], err = c.wrongCertificate(sums[n], c.known)
		return err
	})
	if err != nil {
		return err
	}
	for n, sum := range sums {
		if wrong[n] != "" {
			if err := c.find(c.issued[sum].seq, certificateFile(sum), "%s", wrong[n]); err != nil {
				return err
			}
		}
	}
	c.verdict.Certificates = len(c.issued)
	return nil
}

// wrongCertificate says what is wrong with the certificate of this digest, or nothing.
func (c *checker) wrongCertificate(sum digest, authorities authorityList) (string, error) {
	der, err := c.files.Read(certificateFile(sum))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the certificate that the entry issued is missing", nil
	case errors.Is(err, ErrUnsafe):
		return err.Error(), nil
	case err != nil:
		return "", err
	}
	return c.issued[sum].wrong(der, sum, authorities), nil
}

// isIssued reports whether a file is a certificate that the log issued.
func (c *checker) isIssued(name string) bool {
	text, ok := strings.CutPrefix(name, certificateDir)
	var sum digest
	if !ok || !parseHex(sum[:], strings.TrimSuffix(text, ".der")) || certificateFile(sum) != name {
		return false
	}
	_, issued := c.issued[sum]
	return issued
}

// wrong says what is wrong with a certificate, or nothing.
func (i issuedCertificate) wrong(der []byte, sum digest, authorities authorityList) string {
	if sha256.Sum256(der) != sum {
		return "the certificate was changed"
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Sprintf("not a certificate: %v", err)
	}
	serial := serialNumber{}
	switch {
	case certificate.SerialNumber.BitLen() > 8*len(serial) || certificate.SerialNumber.Sign() < 0 || serialNumber(certificate.SerialNumber.FillBytes(serial[:])) != i.serial:
		return fmt.Sprintf("the certificate has the serial number %x, the entry says %x", certificate.SerialNumber, i.serial)
	case i.intended && sha256.Sum256(certificate.RawSubjectPublicKeyInfo) != i.spki:
		return "the certificate is for another key than its intent"
	}
	return i.wrongIssuer(certificate, authorities)
}

func (i issuedCertificate) wrongIssuer(certificate *x509.Certificate, authorities authorityList) string {
	for _, authority := range authorities {
		if i.intended && sha256.Sum256(authority.RawSubjectPublicKeyInfo) != i.issuer {
			continue
		}
		if err := certificate.CheckSignatureFrom(authority); err == nil {
			return ""
		} else if i.intended {
			return fmt.Sprintf("the issuing CA did not sign the certificate: %v", err)
		}
	}
	return AuthoritiesFile + " lacks the CA of the certificate"
}
