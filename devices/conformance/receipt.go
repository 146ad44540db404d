package conformance

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"

	"hallmark/devices"
)

// receipt asks for a receipt over what the suite has written.
func (b *environment) receipt(own, root []byte) []byte {
	b.Helper()
	cose, err := b.askReceipt(func(*devices.Receipt) {}, own, root)
	b.check(err)
	return cose
}

// askReceipt asks for a receipt, and changes what the station expects.
func (b *environment) askReceipt(change func(*devices.Receipt), own, root []byte) ([]byte, error) {
	b.Helper()
	parsed, err := x509.ParseCertificate(own)
	b.check(err)
	nonce := make([]byte, devices.NonceSize)
	_, err = rand.Read(nonce)
	b.check(err)
	expected := devices.ExpectedReceipt(b.known, [devices.NonceSize]byte(nonce), own, root)
	change(&expected)
	return b.client().Receipt(b.ctx, expected, parsed.PublicKey.(*ecdsa.PublicKey))
}

var receiptChecks = []check{
	{"it signs what it is and holds, and nothing else fits", func(b *environment) {
		if !b.identify().Can.Has(devices.CanReceipt) {
			b.Log("left out: this image gives no receipt")
			return
		}
		root, _, own := b.provision()
		b.reset()
		b.receipt(own, root.der())
		for name, change := range map[string]func(*devices.Receipt){
			"anchor":      func(r *devices.Receipt) { r.Anchor[31] ^= 1 },
			"boot id":     func(r *devices.Receipt) { r.Boot[0] ^= 1 },
			"certificate": func(r *devices.Receipt) { r.Certificate[0] ^= 1 },
			"firmware":    func(r *devices.Receipt) { r.FirmwareHash[9] ^= 1 },
			"HUK source":  func(r *devices.Receipt) { r.HUK ^= 1 },
			"BoardID":     func(r *devices.Receipt) { r.ID[3] ^= 1 },
			"life cycle":  func(r *devices.Receipt) { r.LifeCycle ^= 1 },
		} {
			if _, err := b.askReceipt(change, own, root.der()); !errors.Is(err, devices.ErrReceiptKey) {
				b.Errorf("another %s: %v, want %v", name, err, devices.ErrReceiptKey)
			}
		}
		before, after := sha256.Sum256(b.receipt(own, root.der())), sha256.Sum256(b.receipt(own, root.der()))
		if before == after {
			b.Error("two nonces have one receipt")
		}
	}},
	{"a board without certificate gives no receipt", func(b *environment) {
		if id := b.identify(); !id.Can.Has(devices.CanReceipt) || id.Stored.Has(certificate) {
			return
		}
		root := b.root("root")
		_, err := b.askReceipt(func(*devices.Receipt) {}, b.forBoard(root).Raw, root.der())
		b.refused("an empty store", err, devices.ErrEmpty)
	}},
}
