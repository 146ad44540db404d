package ocsp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newPair makes a CA and a certificate that it signs, from a template.
func newPair(t testing.TB, template x509.Certificate) (ca, made *x509.Certificate, key *ecdsa.PrivateKey) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &caKey.PublicKey, caKey)
	must(t, err)
	ca, err = x509.ParseCertificate(der)
	must(t, err)
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(2), time.Unix(1.7e9, 0), time.Unix(1.9e9, 0)
	der, err = x509.CreateCertificate(rand.Reader, &template, ca, &key.PublicKey, caKey)
	must(t, err)
	made, err = x509.ParseCertificate(der)
	must(t, err)
	return ca, made, key
}

var responder = x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}}

func encode(t testing.TB, change func(*requestASN1)) []byte {
	t.Helper()
	id := CertID{Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}}, NameHash: make([]byte, 20), KeyHash: make([]byte, 20), Serial: big.NewInt(7)}
	request := requestASN1{TBS: tbsRequest{List: []singleRequest{{Certificate: id}}}}
	change(&request)
	der, err := asn1.Marshal(request)
	must(t, err)
	return der
}

func nonce(octets int) pkix.Extension {
	value, _ := asn1.Marshal(make([]byte, octets)) // octets can be encoded
	return pkix.Extension{Id: nonceOID, Value: value}
}

func TestARequestIsReadOrMalformed(t *testing.T) {
	other := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}
	critical := other
	critical.Critical = true
	for _, test := range []struct {
		name   string
		change func(*requestASN1)
		good   bool
	}{
		{"plain", func(*requestASN1) {}, true},
		{"a nonce", func(r *requestASN1) { r.TBS.Extensions = []pkix.Extension{nonce(32)} }, true},
		{"the longest nonce", func(r *requestASN1) { r.TBS.Extensions = []pkix.Extension{nonce(maxNonce)} }, true},
		{"an extension that is not critical", func(r *requestASN1) { r.TBS.Extensions = []pkix.Extension{other} }, true},
		{"a nonce that is too long", func(r *requestASN1) { r.TBS.Extensions = []pkix.Extension{nonce(maxNonce + 1)} }, false},
		{"an empty nonce", func(r *requestASN1) { r.TBS.Extensions = []pkix.Extension{nonce(0)} }, false},
		{"two nonces", func(r *requestASN1) { r.TBS.Extensions = []pkix.Extension{nonce(16), nonce(16)} }, false},
		{"an unknown critical extension", func(r *requestASN1) { r.TBS.Extensions = []pkix.Extension{critical} }, false},
		{"an unknown critical extension of one certificate", func(r *requestASN1) { r.TBS.List[0].Extensions = []pkix.Extension{critical} }, false},
		{"another version", func(r *requestASN1) { r.TBS.Version = 1 }, false},
		{"no certificate", func(r *requestASN1) { r.TBS.List = []singleRequest{} }, false},
		{"too many certificates", func(r *requestASN1) {
			for range maxCertificates {
				r.TBS.List = append(r.TBS.List, r.TBS.List[0])
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			read, err := Parse(encode(t, test.change))
			if (err == nil) != test.good || err != nil && !errors.Is(err, ErrMalformed) {
				t.Errorf("got %+v, %v", read, err)
			}
		})
	}
	for name, der := range map[string][]byte{"empty": nil, "text": []byte("hello"), "octets follow": append(encode(t, func(*requestASN1) {}), 0), "huge": make([]byte, MaxRequest+1)} {
		if _, err := Parse(der); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, func(*requestASN1) {}))
	f.Add(encode(f, func(r *requestASN1) { r.TBS.Extensions = []pkix.Extension{nonce(32)} }))
	ca, made, key := newPair(f, responder)
	signer, err := newSigner(made, key, ca)
	must(f, err)
	f.Fuzz(func(t *testing.T, der []byte) {
		request, err := Parse(der)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got %v", err)
			}
			return
		}
		answer, err := signer.Answer(request, func(*big.Int) (Status, error) { return Status{State: Good}, nil }, time.Unix(1.8e9, 0), time.Hour)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		for _, id := range request.Certificates {
			if !bytes.Contains(answer, id.Raw) {
				t.Error("the answer does not repeat the name of the certificate")
			}
		}
	})
}

func TestAPairThatClientsWouldRefuseIsRefused(t *testing.T) {
	ca, made, key := newPair(t, responder)
	if _, err := newSigner(made, key, ca); err != nil {
		t.Error(err)
	}
	other, _, _ := newPair(t, responder)
	if _, err := newSigner(made, key, other); !errors.Is(err, ErrUnfit) {
		t.Errorf("another CA: %v", err)
	}
	ca, made, key = newPair(t, x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if _, err := newSigner(made, key, ca); !errors.Is(err, ErrUnfit) {
		t.Errorf("another usage: %v", err)
	}
}

func TestACertificateEndsSoonInItsLastQuarterOrWeek(t *testing.T) {
	begin, day := time.Unix(1.7e9, 0), 24*time.Hour
	for _, test := range []struct {
		days, after float64
		want        error
	}{{30, 22, nil}, {30, 23.5, ErrEnding}, {30, 30, ErrEnded}, {2, 1.4, nil}, {2, 1.6, ErrEnding}} {
		certificate := &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(time.Duration(test.days * float64(day)))}
		if err := CheckExpiry(certificate, begin.Add(time.Duration(test.after*float64(day)))); !errors.Is(err, test.want) {
			t.Errorf("%v of %v days: got %v, want %v", test.after, test.days, err, test.want)
		}
	}
}

// An answer never outlives the certificate that verifies it.
func TestAnAnswerEndsWithItsCertificate(t *testing.T) {
	ca, made, key := newPair(t, responder)
	signer, err := newSigner(made, key, ca)
	must(t, err)
	request, err := Parse(encode(t, func(*requestASN1) {}))
	must(t, err)
	answer, err := signer.Answer(request, func(*big.Int) (Status, error) {
		t.Error("a certificate of another issuer was looked up")
		return Status{}, nil
	},
		made.NotAfter.Add(-time.Minute), time.Hour)
	must(t, err)
	end, err := asn1.MarshalWithParams(made.NotAfter.UTC(), "generalized")
	must(t, err)
	if !bytes.Contains(answer, end) || !bytes.Contains(answer, unknownDER.FullBytes) {
		t.Error("the answer ends later, or is not unknown")
	}
}
