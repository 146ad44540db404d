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
	var twice *x509.Certificate
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
		if hasCertificate(certificates, certificate) {
			twice, rest = certificate, behind
			continue
		}
		certificates, rest = append(certificates, certificate), behind
	}
	if err == nil && twice != nil {
		err = c.find(-1, AuthoritiesFile, "the certificate of %q is there twice", twice.Subject)
	} else if err == nil && !bytes.Equal(pemOf(certificates), text) {
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
	var named []digest
	for _, role := range certifiedBy {
		text, ok := e.Details["certificate_"+role+"_sha256"]
		if !ok {
			continue
		}
		named = append(named, digestOf(text))
		if !slices.ContainsFunc(c.known, func(c *x509.Certificate) bool { return sha256.Sum256(c.Raw) == digestOf(text) }) {
			if err := c.find(e.Seq, AuthoritiesFile, "the %s certificate that the entry names is missing", role); err != nil {
				return err
			}
		}
	}
	if c.genesis = len(named) > 0; !c.genesis {
		return nil
	}
	return c.checkNamed(e.Seq, named)
}

// checkNamed finds authorities that the genesis entry does not name, or names in another order.
func (c *checker) checkNamed(seq int64, named []digest) error {
	var got []digest
	for _, certificate := range c.known {
		sum := digest(sha256.Sum256(certificate.Raw))
		if got = append(got, sum); !slices.Contains(named, sum) {
			if err := c.find(seq, AuthoritiesFile, "the entry does not name the certificate of %q", certificate.Subject); err != nil {
				return err
			}
		}
	}
	if len(got) == len(named) && !slices.Equal(got, named) && !slices.ContainsFunc(got, func(d digest) bool { return !slices.Contains(named, d) }) {
		return c.find(seq, AuthoritiesFile, "the certificates are not in the order of the entry: root, issuing CA, audit key")
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

// certifiesAudit reports whether the certificate is of the form that a ceremony gives to the audit key (issuance.Audit). The CAs of a
// station certify other keys, too, which are in other hands: those of boards, and the one of the verifier, which is a file.
// None of their certificates has contentCommitment.
func certifiesAudit(c *x509.Certificate) bool {
	return !c.IsCA && c.KeyUsage&x509.KeyUsageContentCommitment != 0 && len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0
}

// Between returns the issuing CA that signed a certificate. It returns nil if a root signed the certificate.
func Between(all []*x509.Certificate, certificate *x509.Certificate) *x509.Certificate {
	for _, ca := range all {
		if ca.IsCA && !bytes.Equal(ca.RawSubject, ca.RawIssuer) && certificate.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// rootSigned reports whether a root among the authorities signed the certificate, or signed the issuing CA that
// signed it: a station whose root is offline has its audit key certified by the issuing CA.
func (all authorityList) rootSigned(certificate *x509.Certificate, issuing ...*x509.Certificate) bool {
	byRoot := func(one *x509.Certificate) bool {
		return slices.ContainsFunc(all, func(a *x509.Certificate) bool {
			return bytes.Equal(a.RawSubject, a.RawIssuer) && a.IsCA && one.CheckSignatureFrom(a) == nil
		})
	}
	return byRoot(certificate) || slices.ContainsFunc(issuing, func(ca *x509.Certificate) bool {
		return ca.IsCA && certificate.CheckSignatureFrom(ca) == nil && byRoot(ca)
	})
}
