package evidence

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"hallmark/station/audit"
)

// issuedCertificate is what the log says of one certificate.
type issuedCertificate struct {
	seq          int64
	serial       string
	spki, issuer string // SHA-256 of the public keys, from the intent; empty in a part without the intent
}

// followCertificate checks the life of a certificate: an intent before each issue, and each
// serial number once.
func (c *checker) followCertificate(e *audit.Entry, name string) error {
	if e.Cert == nil || e.Cert.Serial == "" || !strings.HasPrefix(e.Type, "cert.") {
		return nil
	}
	state, known := c.serials[e.Cert.Serial]
	switch {
	case e.Type == "cert.issue.intent" && known:
		return c.find(e.Seq, name, "serial number %s has an intent a second time", e.Cert.Serial)
	case e.Type == "cert.issue.intent":
		c.serials[e.Cert.Serial] = e.Cert.SPKISHA256 + " " + e.Cert.Issuer
	case e.Type == "cert.issued":
		spki, issuer, open := strings.Cut(state, " ")
		if !open && !c.verdict.Part { // the filter of a part may leave the intent out
			return c.find(e.Seq, name, "serial number %s was issued without an open intent", e.Cert.Serial)
		}
		c.issued[e.Cert.SHA256] = &issuedCertificate{e.Seq, e.Cert.Serial, spki, issuer}
		c.serials[e.Cert.Serial] = "issued"
	case e.Type == "cert.issue.failed" || e.Type == "cert.issue.unresolved":
		c.serials[e.Cert.Serial] = "ended"
	case e.Cert.Status != "" && !known && !c.verdict.Part:
		return c.find(e.Seq, name, "serial number %s changes and was never issued", e.Cert.Serial)
	}
	return nil
}

// checkCertificates checks that the certificates are those of the log, signed by an authority
// of the bundle.
func (c *checker) checkCertificates() error {
	authorities, err := c.authorities()
	if err != nil {
		return err
	}
	for sum, issued := range c.issued {
		name := certificateDir + sum + ".der"
		c.expected[name] = true
		der, err := c.files.Read(name)
		if errors.Is(err, fs.ErrNotExist) {
			if err := c.find(issued.seq, name, "the certificate that the entry issued is missing"); err != nil {
				return err
			}
			continue
		} else if err != nil {
			return err
		}
		if wrong := issued.wrong(der, sum, authorities); wrong != "" {
			if err := c.find(issued.seq, name, "%s", wrong); err != nil {
				return err
			}
		}
	}
	c.verdict.Certificates = len(c.issued)
	return nil
}

func (c *checker) authorities() (certificates []*x509.Certificate, err error) {
	text, err := c.read(AuthoritiesFile)
	for err == nil && len(text) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		certificate, bad := x509.ParseCertificate(block.Bytes)
		if bad != nil {
			return nil, c.find(-1, AuthoritiesFile, "%v", bad)
		}
		certificates, text = append(certificates, certificate), rest
	}
	return certificates, err
}

// wrong says what is wrong with a certificate, or nothing.
func (i *issuedCertificate) wrong(der []byte, sum string, authorities []*x509.Certificate) string {
	if got := sha256.Sum256(der); hex.EncodeToString(got[:]) != sum {
		return "the certificate was changed"
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Sprintf("not a certificate: %v", err)
	}
	spki := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	switch {
	case fmt.Sprintf("%032x", certificate.SerialNumber) != i.serial:
		return fmt.Sprintf("the certificate has the serial number %x, the entry says %s", certificate.SerialNumber, i.serial)
	case i.spki != "" && hex.EncodeToString(spki[:]) != i.spki:
		return "the certificate is for another key than its intent"
	}
	for _, authority := range authorities {
		if sum := sha256.Sum256(authority.RawSubjectPublicKeyInfo); hex.EncodeToString(sum[:]) == i.issuer || i.issuer == "" && certificate.CheckSignatureFrom(authority) == nil {
			if err := certificate.CheckSignatureFrom(authority); err != nil {
				return fmt.Sprintf("the issuing CA did not sign the certificate: %v", err)
			}
			return ""
		}
	}
	return AuthoritiesFile + " lacks the CA of the certificate"
}
