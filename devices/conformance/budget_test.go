package conformance

import (
	"crypto/tls"
	"testing"

	"hallmark/devices"
	"hallmark/devices/emulated"
)

// budget is the largest number of octets of a whole Run on the UART, both directions together.
const budget = 6500

func TestAWholeRunStaysWithinItsWireBudget(t *testing.T) {
	boards := emulator(emulated.Config{Kind: emulated.Posix}, "")(t)
	b := &environment{T: t, ctx: t.Context(), subject: boards.Open(t)}
	before := int64(0)
	spent := func(step string) {
		wire := b.client().Wire()
		t.Logf("%-10s %5d octets", step, wire.Sent+wire.Received-before)
		before = wire.Sent + wire.Received
	}
	b.identify()
	spent("identify")
	request := b.csr([devices.NonceSize]byte{1}, devices.Subject{Organization: "Linaro", OrganizationalUnit: "Device"})
	spent("request")
	root := b.root("Station Root CA")
	ca := b.issuing("Station Issuing CA", root)
	own := b.forKey(ca, request.key).Raw
	b.write(anchor, root.der())
	b.write(chain, ca.der())
	b.write(certificate, own)
	spent("write")
	b.reset()
	spent("reset")
	if _, err := b.client().Read(b.ctx, certificate); err != nil {
		t.Fatal(err)
	}
	spent("read back")
	p := &pki{b, root, ca, own}
	s := p.good() // as the station's verifier: it knows only the root and names no CA
	s.config.Certificates = []tls.Certificate{p.certificate(root, serverName)}
	s.config.Certificates[0].Certificate = s.config.Certificates[0].Certificate[:1]
	s.config.ClientAuth, s.config.ClientCAs = tls.RequireAnyClientCert, nil
	p.passes(s, 0)
	spent("handshake")
	b.receipt(own, root.der())
	spent("receipt")
	if wire := b.client().Wire(); wire.Sent+wire.Received > budget || wire.Retries > 0 {
		t.Errorf("%+v, want at most %d octets and no retry", wire, budget)
	}
}
