package ceremony

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"

	"hallmark/configs"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// A kind is what differs between the ceremonies.
type kind struct {
	summary  string
	makesKey bool
	files    []string // what finish returns
	read     func(*Act) error
	plan     func(*Act) []string
	finish   func(context.Context, *Act, crypto.Signer, *transcript) ([]workdir.File, error)
}

var kinds = map[string]kind{
	configs.CeremonyRoot: {"Makes a root key on a token that is kept offline, and its certificate", true, []string{"root.pem"}, readRoot,
		func(a *Act) []string { return a.planCertificate(a.subject, "itself", nil) }, finishRoot},
	configs.CeremonyIssuing: {"Signs the request of an issuing CA with a root key on this token", false, []string{"issuing.pem", "chain.pem"}, readIssuing,
		func(a *Act) []string {
			return a.planCertificate(a.request.Subject, quoted(a.issuer.Subject), a.request.RawSubjectPublicKeyInfo)
		}, finishIssuing},
	configs.CeremonyCross: {"Signs the name and key of another CA with a CA key on this token", false, []string{"cross.pem"}, readCross,
		func(a *Act) []string {
			return a.planCertificate(a.other.Subject, quoted(a.issuer.Subject), a.other.RawSubjectPublicKeyInfo)
		}, finishCross},
	configs.CeremonyCSR: {"Makes the issuing key on the token of the line, and a request for a root elsewhere", true, []string{"request.pem"}, readCSR, func(a *Act) []string {
		return []string{fmt.Sprintf("sign the request: subject %s; it asks for a CA with path length 0", quoted(a.subject))}
	}, finishCSR},
	configs.CeremonyImport: {"Checks a certificate chain from a root elsewhere against the issuing key on the token", false, []string{"chain.pem"}, readChain, func(a *Act) []string {
		lines := []string{fmt.Sprintf("check that the key is that of %s, which %s has issued", quoted(a.chain.Issuing.Subject), quoted(a.chain.Root.Subject))}
		if warning := WithoutRevocation(a.chain.Issuing); warning != "" {
			lines = append(lines, "warning: "+warning)
		}
		return lines
	}, finishImport},
	configs.CeremonyAuditKey: {"Makes the key that signs checkpoints of the audit log", true, []string{"audit.pub"}, readNothing, func(*Act) []string { return nil }, finishAuditKey},
	configs.CeremonyOCSP: {"Makes a key that signs OCSP answers, and has the issuing key on the same token certify it", true, []string{"ocsp.pem"}, readOCSP, func(a *Act) []string {
		return []string{
			"lint a twin of the certificate, signed by a key that is thrown away",
			fmt.Sprintf("sign the certificate with the key %q: subject %s, issuer %s, for OCSP answers only, valid to %s; parse it again, check its signature, and compare it with the twin",
				a.File.IssuerLabel, quoted(a.subject), quoted(a.issuer.Subject), a.File.NotAfter),
		}
	}, finishOCSP},
}

// planCertificate shows the fingerprint of a key from elsewhere: only with it people notice that somebody exchanged the file.
func (a *Act) planCertificate(subject pkix.Name, issuer string, elsewhere []byte) (lines []string) {
	if elsewhere != nil {
		lines = append(lines, "certify the key with the fingerprint "+spaced(hexSum(elsewhere))+"; compare it with the transcript of the ceremony that made the key")
	}
	return append(lines,
		"lint a twin of the certificate, signed by a key that is thrown away",
		fmt.Sprintf("sign the certificate: subject %s, issuer %s, path length %d, valid to %s; parse it again, check its signature, and compare it with the twin",
			quoted(subject), issuer, a.pathLength(), a.File.NotAfter),
	)
}

// pathLength is that of the certificate that the file asks for; an issuing CA has 0.
func (a *Act) pathLength() int {
	if a.File.PathLength == nil {
		return 0
	}
	return *a.File.PathLength
}

func quoted(name pkix.Name) string { return strconv.Quote(name.String()) }

func readNothing(*Act) error { return nil }

// readRoot makes the certificate with a key that is thrown away. A certificate that cannot be made is found before the token has a key for it.
func readRoot(a *Act) error {
	config, err := a.authority(draft{notBefore: a.validFrom()})
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root, err := issuance.Root(config, key, rand.Reader)
	if err == nil {
		a.subject = root.Subject
	}
	return err
}

// readCSR does the same for a request.
func readCSR(a *Act) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := issuance.CARequest(a.File.Subject.CommonName, a.File.Subject.Organization, key, rand.Reader)
	if err != nil {
		return err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err == nil {
		a.subject = request.Subject
	}
	return err
}

func readChain(a *Act) (err error) {
	text, err := a.input("chain", a.File.Chain)
	if err != nil {
		return err
	}
	if a.chain, err = ParseChain(text, a.now()); err != nil {
		return fmt.Errorf("%s: %w", a.File.Chain, err)
	}
	return nil
}

// input reads a file that the ceremony names. Its hash is in the plan and in the transcript.
func (a *Act) input(key, path string) ([]byte, error) {
	text, err := workdir.ReadInput(below(a.base, path), workdir.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("reading the %s: %w; correct %[1]s in the file of the ceremony", key, err)
	}
	a.named = append(a.named, inputFile{key, path, hexSum(text)})
	return text, nil
}

// requestPEM is the type of the PEM block of a request (RFC 7468 section 7).
const requestPEM = "CERTIFICATE REQUEST"

func readIssuing(a *Act) error {
	text, err := a.input("request", a.File.Request)
	if err != nil {
		return err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != requestPEM || len(bytes.TrimSpace(rest)) > 0 {
		return fmt.Errorf("%s: want exactly one certificate request in PEM; give the request.pem of `station ceremony csr`", a.File.Request)
	}
	if a.request, err = issuance.ParseCARequest(block.Bytes); err != nil {
		return fmt.Errorf("%s: %w", a.File.Request, err)
	}
	if err := checkName("the request", a.request.Subject); err != nil {
		return fmt.Errorf("%s: %w", a.File.Request, err)
	}
	if err := a.readIssuerOfCA(); err != nil {
		return err
	}
	if !issuance.SelfIssued(a.issuer) {
		return fmt.Errorf("%s: %w", a.File.Issuer, refuseChain("%q is not a root, and boards know a root and one issuing CA below it; give the certificate with which the root issued itself", a.issuer.Subject))
	}
	return checkEnds(end{"the root in " + a.File.Issuer, a.issuer.RawSubject, a.issuer.PublicKey}, end{"the request in " + a.File.Request, a.request.RawSubject, a.request.PublicKey})
}

func readCross(a *Act) (err error) {
	if a.other, err = a.readCA("certificate", a.File.Certificate); err != nil {
		return err
	}
	if err := a.readIssuerOfCA(); err != nil {
		return err
	}
	if err := checkEnds(end{"the issuer in " + a.File.Issuer, a.issuer.RawSubject, a.issuer.PublicKey}, end{"the other CA in " + a.File.Certificate, a.other.RawSubject, a.other.PublicKey}); err != nil {
		return err
	}
	switch below, limit := *a.File.PathLength, issuance.PathLength(a.issuer); {
	case issuance.SelfIssued(a.other) && below == 0:
		return errors.New("path_length is 0, and the other CA is a root: no issuing CA below it would verify; give at least 1")
	case limit > 0 && below >= limit:
		return fmt.Errorf("path_length is %d, and the issuer allows %s below it, the other CA among them: no certificate would verify; give less, or sign with a CA that allows more", below, reason.Count(limit, "CA", "CAs"))
	}
	return nil
}

func (a *Act) readCA(key, path string) (*x509.Certificate, error) {
	text, err := a.input(key, path)
	if err != nil {
		return nil, err
	}
	all, err := workdir.ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; give a file with the one certificate of the CA in PEM", path, err)
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%s: %d certificates, want exactly one in PEM; give the certificate of the CA alone", path, len(all))
	}
	certificate := all[0]
	if err := checkCA(path, certificate, a.now()); err != nil {
		return nil, err
	}
	if issuance.SelfIssued(certificate) {
		if err := certificate.CheckSignatureFrom(certificate); err != nil { // nothing else tells a damaged or forged file
			return nil, refuseChain("%s did not sign itself: %w; give the certificate as the CA has made it", path, err)
		}
	}
	return certificate, nil
}

// readIssuer reads the CA that signs, and checks that the new certificate does not outlive it.
func (a *Act) readIssuer() (err error) {
	if a.issuer, err = a.readCA("issuer", a.File.Issuer); err != nil {
		return err
	}
	end, err := a.File.End()
	if err == nil && (end.IsZero() && a.issuer.NotAfter.Year() < 9999 || end.After(a.issuer.NotAfter)) {
		err = fmt.Errorf("not_after is %s, and the issuer ends at %s: no certificate outlives its issuer; give an earlier day", a.File.NotAfter, date(a.issuer.NotAfter))
	}
	return err
}

// readIssuerOfCA also checks that the issuer may sign a CA.
func (a *Act) readIssuerOfCA() error {
	err := a.readIssuer()
	if err == nil && issuance.PathLength(a.issuer) == 0 {
		err = errors.New("the issuer's path length is 0, so it may sign no CA; give a CA that allows one below it")
	}
	return err
}

// readOCSP makes the certificate with a key that is thrown away, up to the signature.
func readOCSP(a *Act) error {
	if err := a.readIssuer(); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	config, err := a.responder(draft{notBefore: a.validFrom(), intend: func(twin *x509.Certificate) error {
		a.subject = twin.Subject
		return errRehearsed
	}})
	if err != nil {
		return err
	}
	if _, err := issuance.Responder(config, &key.PublicKey, a.issuer, key, rand.Reader); !errors.Is(err, errRehearsed) {
		return err
	}
	return nil
}

// Summary says in one line what a kind of ceremony does.
func Summary(kindName string) string { return kinds[kindName].summary }
