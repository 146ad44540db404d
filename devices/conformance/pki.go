package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"hallmark/devices"
)

// An authority is a CA of the check.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func (a *authority) der() []byte { return a.certificate.Raw }

func (b *environment) newKey() *ecdsa.PrivateKey {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	b.check(err)
	return key
}

// root makes a self-signed CA.
func (b *environment) root(name string) *authority {
	b.Helper()
	key := b.newKey()
	return b.sign(caTemplate(name), nil, key)
}

// issuing makes a CA that parent signs.
func (b *environment) issuing(name string, parent *authority) *authority {
	b.Helper()
	return b.sign(caTemplate(name), parent, b.newKey())
}

func caTemplate(name string) *x509.Certificate {
	t := template(name)
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return t
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Conformance"}, CommonName: name},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(24 * time.Hour),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

// sign makes a certificate for key. parent nil: self-signed.
func (b *environment) sign(template *x509.Certificate, parent *authority, key *ecdsa.PrivateKey) *authority {
	b.Helper()
	if parent == nil {
		parent = &authority{template, key}
	}
	return &authority{b.issue(template, parent, &key.PublicKey), key}
}

func (b *environment) issue(template *x509.Certificate, parent *authority, key *ecdsa.PublicKey) *x509.Certificate {
	b.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	b.check(err)
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent.certificate, key, parent.key)
	b.check(err)
	certificate, err := x509.ParseCertificate(der)
	b.check(err)
	return certificate
}

// forBoard makes a client certificate for the board's TLS key.
func (b *environment) forBoard(parent *authority) *x509.Certificate {
	b.Helper()
	return b.forKey(parent, b.boardKey())
}

func (b *environment) forKey(parent *authority, key *ecdsa.PublicKey) *x509.Certificate {
	b.Helper()
	t := template("a board")
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return b.issue(t, parent, key)
}

// boardKey returns the public key of the board's CSR for TLS.
func (b *environment) boardKey() *ecdsa.PublicKey {
	b.Helper()
	return b.keyFor(devices.PurposeTLS)
}

// keyFor returns the public key of the board's CSR for a purpose.
func (b *environment) keyFor(purpose devices.Purpose) *ecdsa.PublicKey {
	b.Helper()
	return b.csrFor(purpose, [devices.NonceSize]byte{1}, devices.Subject{}).key
}

// publicFor returns the key of keyFor as an uncompressed point.
func (b *environment) publicFor(purpose devices.Purpose) []byte {
	b.Helper()
	public, err := b.keyFor(purpose).Bytes()
	b.check(err)
	return public
}
