package ceremony

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"hallmark/station/issuance"
	"hallmark/station/workdir"
)

// A draft is the part of a certificate that a ceremony decides once: after a stop it is that of the transcript.
type draft struct {
	serial    *big.Int // nil: a new one is drawn
	notBefore time.Time
	intend    issuance.Intend
}

// validFrom is the begin of a new certificate.
func (a *Act) validFrom() time.Time { return a.now().UTC().Truncate(time.Second).Add(-backdate) }

// errOnRecord ends the making of a certificate that is on record, before the key is asked.
var errOnRecord = errors.New("the certificate is on record")

// certify makes the one certificate of a ceremony. check may refuse its twin. After a stop it takes the certificate on record. If only the
// intent is on record, nobody knows whether the key has signed; then the same content is signed again: two signatures on one content are
// one certificate for whoever reads it, and another serial number would be a certificate that nobody has.
func (a *Act) certify(log *transcript, check issuance.Intend, sign func(draft) (*x509.Certificate, error)) (*x509.Certificate, error) {
	before, err := log.intended()
	if err != nil {
		return nil, err
	}
	d, intend := draft{notBefore: a.validFrom()}, log.intendCertificate
	if before != nil {
		d, intend = draft{serial: before.serial, notBefore: before.notBefore}, before.repeat
	}
	d.intend = func(twin *x509.Certificate) error {
		if check != nil {
			if err := check(twin); err != nil {
				return err
			}
		}
		return intend(twin)
	}
	made, err := sign(d)
	switch {
	case errors.Is(err, errOnRecord):
		return before.signed, a.checkSignature(before.signed)
	case err != nil:
		return nil, err
	}
	return made, log.certificate(made)
}

// checkSignature checks a certificate on record. Its content is compared before.
func (a *Act) checkSignature(certificate *x509.Certificate) error {
	issuer := a.issuer
	if issuer == nil {
		issuer = certificate // a root
	}
	if err := certificate.CheckSignatureFrom(issuer); err != nil {
		return damaged("the signature of the certificate on record is not that of its issuer (%v)", err)
	}
	return nil
}

// responder describes the certificate of an OCSP responder.
func (a *Act) responder(d draft) (issuance.AuditConfig, error) {
	end, err := a.File.End()
	return issuance.AuditConfig{
		CommonName: a.File.Subject.CommonName, Organization: a.File.Subject.Organization,
		NotBefore: d.notBefore, NotAfter: end, Serial: d.serial, Intend: d.intend,
	}, err
}

// authority describes the certificate of a CA that the file asks for.
func (a *Act) authority(d draft) (issuance.CAConfig, error) {
	end, err := a.File.End()
	return issuance.CAConfig{
		CommonName: a.File.Subject.CommonName, Organization: a.File.Subject.Organization, PathLen: a.pathLength(),
		NotBefore: d.notBefore, NotAfter: end, Serial: d.serial, Intend: d.intend,
	}, err
}

func finishOCSP(_ context.Context, a *Act, key crypto.Signer, log *transcript) ([]workdir.File, error) {
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the new key is not ECDSA", ErrInput)
	}
	made, err := a.certify(log, nil, func(d draft) (*x509.Certificate, error) {
		config, err := a.responder(d)
		if err != nil {
			return nil, err
		}
		return issuance.Responder(config, public, a.issuer, a.above, a.random)
	})
	return oneCertificate("ocsp.pem", made, err)
}

func finishRoot(_ context.Context, a *Act, key crypto.Signer, log *transcript) ([]workdir.File, error) {
	root, err := a.certify(log, nil, func(d draft) (*x509.Certificate, error) {
		config, err := a.authority(d)
		if err != nil {
			return nil, err
		}
		return issuance.Root(config, key, a.random)
	})
	return oneCertificate("root.pem", root, err)
}

func finishIssuing(_ context.Context, a *Act, key crypto.Signer, log *transcript) ([]workdir.File, error) {
	fits := func(twin *x509.Certificate) error { return (&Chain{Issuing: twin, Root: a.issuer}).fits(a.now()) }
	issuing, err := a.certify(log, fits, func(d draft) (*x509.Certificate, error) {
		config, err := a.authority(d)
		if err != nil {
			return nil, err
		}
		config.CommonName = "from the request"
		return issuance.Requested(config, a.request, a.issuer, key, a.random)
	})
	if err != nil {
		return nil, err
	}
	chain := workdir.CertificatePEM(issuing.Raw, a.issuer.Raw)
	if _, err := ParseChain(chain, a.now()); err != nil {
		return nil, err
	}
	return []workdir.File{{Path: "issuing.pem", Content: workdir.CertificatePEM(issuing.Raw)}, {Path: "chain.pem", Content: chain}}, nil
}

func finishCross(_ context.Context, a *Act, key crypto.Signer, log *transcript) ([]workdir.File, error) {
	cross, err := a.certify(log, nil, func(d draft) (*x509.Certificate, error) {
		config, err := a.authority(d)
		if err != nil {
			return nil, err
		}
		config.CommonName = "from the other certificate"
		return issuance.Cross(config, a.other, a.issuer, key, a.random)
	})
	return oneCertificate("cross.pem", cross, err)
}

func oneCertificate(path string, made *x509.Certificate, err error) ([]workdir.File, error) {
	if err != nil {
		return nil, err
	}
	return []workdir.File{{Path: path, Content: workdir.CertificatePEM(made.Raw)}}, nil
}

// finishCSR takes the request on record, too: the request that the vault has got should not get another hash.
func finishCSR(_ context.Context, a *Act, key crypto.Signer, log *transcript) ([]workdir.File, error) {
	text, err := log.requested(a.subject, key.Public())
	if err == nil && text == nil {
		var der []byte
		if der, err = issuance.CARequest(a.File.Subject.CommonName, a.File.Subject.Organization, key, a.random); err == nil {
			text = pem.EncodeToMemory(&pem.Block{Type: requestPEM, Bytes: der})
			err = log.add("request", map[string]string{"sha256": hexSum(der), "pem": string(text)})
		}
	}
	return []workdir.File{{Path: "request.pem", Content: text}}, err
}

func finishImport(_ context.Context, a *Act, _ crypto.Signer, log *transcript) ([]workdir.File, error) {
	err := errors.Join(log.certificate(a.chain.Issuing), log.certificate(a.chain.Root))
	return []workdir.File{{Path: "chain.pem", Content: workdir.CertificatePEM(a.chain.Issuing.Raw, a.chain.Root.Raw)}}, err
}

func finishAuditKey(_ context.Context, _ *Act, key crypto.Signer, _ *transcript) ([]workdir.File, error) {
	text, err := publicPEM(key.Public())
	return []workdir.File{{Path: "audit.pub", Content: text}}, err
}

// publicPEM encodes a public key (RFC 7468 section 13).
func publicPEM(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
