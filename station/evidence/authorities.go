package evidence

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"slices"

	"hallmark/station/audit"
)

// authorityList has the certificates of authorities.pem: root, issuing CA, and the one of the audit
// key if there is one.
type authorityList []*x509.Certificate

// authorities reads authorities.pem. A text between the certificates is a finding, because a
// certificate that was damaged looks like a text.
func (c *checker) authorities() (certificates authorityList, err error) {
	text, err := c.read(AuthoritiesFile)
	for rest := text; err == nil && len(rest) > 0; {
		block, behind := pem.Decode(rest)
		if block == nil {
			break
		}
		certificate, bad := x509.ParseCertificate(block.Bytes)
		if bad != nil {
			return nil, c.find(-1, AuthoritiesFile, "%v", bad)
		}
		certificates, rest = append(certificates, certificate), behind
	}
	if err == nil && !bytes.Equal(pemOf(certificates), text) {
		err = c.find(-1, AuthoritiesFile, "there is more than certificates, or a certificate was damaged")
	}
	return certificates, err
}

// certifiedBy are the certificates that the genesis entry names by their SHA-256.
var certifiedBy = []string{"root", "issuing", "audit"}

// checkGenesis compares the authorities with the certificates that the genesis entry names.
func (c *checker) checkGenesis(e *audit.Entry, name string) error {
	if e.Type != audit.TypeGenesis || c.known == nil { // a mirror has no authorities
		return nil
	}
	named := map[digest]bool{}
	for _, role := range certifiedBy {
		text, ok := e.Details["certificate_"+role+"_sha256"]
		if !ok {
			continue
		}
		named[digestOf(text)] = true
		if !slices.ContainsFunc(c.known, func(c *x509.Certificate) bool { return sha256.Sum256(c.Raw) == digestOf(text) }) {
			if err := c.find(e.Seq, AuthoritiesFile, "the %s certificate that the entry names is missing", role); err != nil {
				return err
			}
		}
	}
	for _, certificate := range c.known {
		if len(named) > 0 && !named[sha256.Sum256(certificate.Raw)] {
			if err := c.find(e.Seq, AuthoritiesFile, "the entry does not name the certificate of %q", certificate.Subject); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasCertificate(all authorityList, certificate *x509.Certificate) bool {
	return slices.ContainsFunc(all, certificate.Equal)
}

// signerOf gives the certificate of the audit key, or nil. The log's verifier key names the key.
func signerOf(all authorityList, verifierKey string) *x509.Certificate {
	spki, err := audit.KeyInfo(verifierKey)
	if err != nil {
		return nil
	}
	at := slices.IndexFunc(all, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubjectPublicKeyInfo, spki) })
	if at < 0 {
		return nil
	}
	return all[at]
}

// rootSigned reports whether a root among the authorities signed the certificate.
func (all authorityList) rootSigned(certificate *x509.Certificate) bool {
	return slices.ContainsFunc(all, func(a *x509.Certificate) bool {
		return bytes.Equal(a.RawSubject, a.RawIssuer) && a.IsCA && certificate.CheckSignatureFrom(a) == nil
	})
}
