package conformance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"time"

	"hallmark/devices"
	"hallmark/devices/smp"
)

// cuts is the number of power cuts during a commit.
const cuts = 8

var boundsChecks = []check{
	{"certificates that fill their slots are stored, read back and shown", func(b *environment) {
		b.options.SendChain = true
		p := b.fillSlots()
		b.reset()
		b.holds("full", p.root.der(), p.ca.der(), p.own)
		s := p.good()
		s.config.ClientCAs = p.pool(p.root)
		p.passes(s, 0) // the board's flight is larger than any of its buffers
	}},
	{"a store that is full says so and loses nothing", func(b *environment) {
		p := b.fillSlots()
		if !b.identify().Purposes.Has(devices.PurposeCOSE) {
			return // the test needs four slots, which only a board with a COSE key has
		}
		second := b.certificateOfSlotSize(leaf(), p.ca, b.keyFor(devices.PurposeCOSE)).Raw
		if err := b.client().Write(b.ctx, cose, second); err != nil {
			b.refused("a fourth full slot", err, devices.ErrStoreFull)
			second = nil
		}
		b.reset()
		b.holds("asked for more", p.root.der(), p.ca.der(), p.own, second)
	}},
	{"power that goes in the middle of a commit leaves the old or the new", func(b *environment) { cutCommits(b) }},
	{"a server whose certificate has expired is left by a board that knows the time", func(b *environment) {
		p := b.pki()
		old := p.good()
		t := template(serverName)
		t.DNSNames, t.ExtKeyUsage = []string{serverName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		t.NotBefore, t.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
		leaf := p.sign(t, p.ca, p.newKey())
		old.config.Certificates[0].Certificate = [][]byte{leaf.der(), p.ca.der()}
		old.config.Certificates[0].PrivateKey = leaf.key
		_, err, _ := p.handshakeWith(old, serverName)
		if err != nil && !errors.Is(err, devices.ErrServerExpired) {
			b.Errorf("%v, want %v, or nothing from a board without a clock", err, devices.ErrServerExpired)
		}
		p.passes(p.good(), 0)
	}},
}

// fillSlots writes the largest possible objects to the three slots of a handshake.
func (b *environment) fillSlots() *pki {
	b.Helper()
	root := &authority{key: b.newKey()}
	t := caTemplate("root")
	root.certificate = b.certificateOfSlotSize(t, &authority{t, root.key}, &root.key.PublicKey)
	ca := &authority{key: b.newKey()}
	ca.certificate = b.certificateOfSlotSize(caTemplate("issuing"), root, &ca.key.PublicKey)
	own := b.certificateOfSlotSize(leaf(), ca, b.boardKey()).Raw
	b.write(anchor, root.der())
	b.write(chain, ca.der())
	b.write(certificate, own)
	return &pki{b, root, ca, own}
}

func leaf() *x509.Certificate {
	t := template("a board")
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return t
}

// certificateOfSlotSize makes a certificate of exactly smp.MaxSlot octets; an unknown extension fills it.
func (b *environment) certificateOfSlotSize(t *x509.Certificate, parent *authority, key *ecdsa.PublicKey) *x509.Certificate {
	b.Helper()
	for fill := smp.MaxSlot / 2; ; { // the loop ends soon, because a signature mostly has 70 to 72 octets
		t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 999, 1}, Value: make([]byte, fill)}}
		made := b.issue(t, parent, key)
		if len(made.Raw) == smp.MaxSlot {
			return made
		}
		fill += smp.MaxSlot - len(made.Raw)
		b.check(b.ctx.Err())
	}
}

// cutCommits takes the power away at moments spread over the time that a commit takes.
func cutCommits(b *environment) {
	switch {
	case b.subject.PowerCycle == nil:
		b.Log("this board has no switch")
		return
	case b.subject.NoCutTable:
		b.Log("left out: another board of this run does it")
		return
	}
	root, ca, own := b.provision()
	started := time.Now()
	b.write(certificate, b.forBoard(ca).Raw)
	took := time.Since(started)
	b.write(certificate, own)
	for i := range cuts {
		next := b.forBoard(ca).Raw
		b.cutAfter(next, took*time.Duration(i)/cuts)
		held, err := b.client().Read(b.ctx, certificate)
		if b.check(err); !bytes.Equal(held, own) && !bytes.Equal(held, next) {
			b.Fatalf("cut %d leaves %x, neither the old nor the new", i, held)
		}
		own = held
		b.holds("cut", root.der(), ca.der(), own)
	}
}

// cutAfter sends a certificate in one piece and cuts the power after the time while.
func (b *environment) cutAfter(der []byte, while time.Duration) {
	b.Helper()
	hash := sha256.Sum256(der)
	b.cutRequest(&smp.WriteSlot{Slot: uint8(certificate), Total: uint32(len(der)), Hash: hash[:], Data: der, Commit: true}, while)
}

// cutRequest sends a request and cuts the power after the time while.
func (b *environment) cutRequest(request smp.Request, while time.Duration) {
	b.Helper()
	b.check(b.client().Detach())
	b.board = nil
	w := b.wire()
	message, err := smp.AppendRequest(nil, 1, request)
	b.check(err)
	w.send(smp.AppendFrame(nil, message))
	select {
	case <-time.After(while):
	case <-b.ctx.Done():
	}
	b.check(b.subject.PowerCycle(b.ctx))
}
