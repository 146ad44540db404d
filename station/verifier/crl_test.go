package verifier

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"testing"
	"time"
)

// crlBy makes a CRL (DER) after the changes were made to it.
func crlBy(t *testing.T, a *authority, number int64, changes ...func(*x509.RevocationList)) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now(), NextUpdate: now().Add(time.Hour)}
	for _, change := range changes {
		change(list)
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.certificate, a.key)
	fatalIf(t, err)
	return der
}

func revokes(serials ...int64) func(*x509.RevocationList) {
	return func(list *x509.RevocationList) {
		for _, serial := range serials {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: now()})
		}
	}
}

func certificateAt(serial int64) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(serial), RawSubjectPublicKeyInfo: []byte{byte(serial)}}
}

func statusOf(t *testing.T, stale StalePolicy, trusted []*authority, crls ...[]byte) (*Status, error) {
	t.Helper()
	config := StatusConfig{Stale: stale, Memory: memoryAt(t, ""), Now: now, Log: slog.New(slog.DiscardHandler)}
	for _, ca := range trusted {
		config.Authorities = append(config.Authorities, ca.certificate)
	}
	for _, der := range crls {
		config.CRLs = append(config.CRLs, written(t, der))
	}
	return OpenStatus(config)
}

func TestACRLRefusesWhatIsOnItAndTheIssuerNeedsOne(t *testing.T) {
	issuing, root := newRevoker(t, "issuing", revoking), newRevoker(t, "root", revoking)
	pemCRL := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crlBy(t, issuing, 1, revokes(5, 6))})
	for _, test := range []struct {
		name  string
		crls  [][]byte
		chain []*x509.Certificate
		want  error
	}{
		{"a certificate that is not on the CRL", [][]byte{pemCRL}, []*x509.Certificate{certificateAt(4), issuing.certificate, root.certificate}, nil},
		{"a certificate that is on the CRL", [][]byte{pemCRL}, []*x509.Certificate{certificateAt(5), issuing.certificate, root.certificate}, ErrRevoked},
		{"a certificate of a CA without a CRL", [][]byte{pemCRL}, []*x509.Certificate{certificateAt(5), root.certificate}, ErrNoCRL},
		{"a CA that the root revoked", [][]byte{pemCRL, crlBy(t, root, 1, revokes(1))}, []*x509.Certificate{certificateAt(4), issuing.certificate, root.certificate}, ErrRevoked},
		{"a CA that the root did not revoke", [][]byte{pemCRL, crlBy(t, root, 1, revokes(2))}, []*x509.Certificate{certificateAt(4), issuing.certificate, root.certificate}, nil},
	} {
		s, err := statusOf(t, StaleRefuse, []*authority{root, issuing}, test.crls...)
		fatalIf(t, err)
		if err := s.Check(test.chain); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestACRLIsRefusedForItsReason(t *testing.T) {
	ca, other, weak := newRevoker(t, "issuing", revoking), newRevoker(t, "issuing", revoking), newRevoker(t, "weak", revoking)
	stranger := newRevoker(t, "stranger", revoking)
	list := crlBy(t, weak, 1)
	weak.certificate.KeyUsage = x509.KeyUsageCertSign
	critical := func(id ...int) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier(id), Critical: true, Value: []byte{0x30, 0}}
	}
	good := crlBy(t, ca, 1, revokes(1))
	for _, test := range []struct {
		name string
		der  []byte
		want error
	}{
		{"of a CA with the same name", crlBy(t, other, 1), ErrStatusForged},
		{"of a stranger", crlBy(t, stranger, 1), ErrStatusForeign},
		{"of a CA that may not sign CRLs", list, ErrStatusForeign},
		{"cut", good[:len(good)-9], ErrStatusDamaged},
		{"with something behind it", append(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: good}), '!'), ErrStatusDamaged},
		{"a certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.certificate.Raw}), ErrStatusDamaged},
		{"empty", nil, ErrStatusDamaged},
		{"a delta CRL", crlBy(t, ca, 1, func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{critical(2, 5, 29, 27)} }), ErrStatusDamaged},
		{"with entries of another CA", crlBy(t, ca, 1, func(l *x509.RevocationList) {
			revokes(1)(l)
			l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{critical(2, 5, 29, 29)}
		}), ErrStatusDamaged},
		{"stale", crlBy(t, ca, 1, func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = now().Add(-time.Hour), now() }), ErrStatusStale},
	} {
		if _, err := statusOf(t, StaleRefuse, []*authority{ca, weak}, test.der); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if _, err := statusOf(t, StaleRefuse, []*authority{ca}, good, crlBy(t, ca, 2)); !errors.Is(err, ErrStatusTwice) {
		t.Errorf("two CRLs of a CA: %v", err)
	}
}

func TestAnOlderCRLIsRefusedAndEachCAHasNumbersOfItsOwn(t *testing.T) {
	issuing, root := newRevoker(t, "issuing", revoking), newRevoker(t, "root", revoking)
	memory := memoryAt(t, "")
	open := func(a *authority, number int64) error {
		_, err := OpenStatus(StatusConfig{CRLs: []string{written(t, crlBy(t, a, number))}, Authorities: []*x509.Certificate{issuing.certificate, root.certificate},
			Memory: memory, Now: now, Log: slog.New(slog.DiscardHandler)})
		return err
	}
	fatalIf(t, open(issuing, 5))
	fatalIf(t, open(root, 2))
	if err := open(issuing, 4); !errors.Is(err, ErrStatusOlder) {
		t.Errorf("got %v", err)
	}
}
