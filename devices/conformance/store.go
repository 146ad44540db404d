package conformance

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"

	"hallmark/devices"
	"hallmark/devices/smp"
	"hallmark/station/reason"
)

const (
	anchor      = devices.SlotAnchor
	chain       = devices.SlotChain
	certificate = devices.SlotCertificate
	cose        = devices.SlotCOSE
)

// refused checks that the board refused for one of the reasons.
func (b *environment) refused(what string, err error, reasons ...error) {
	b.Helper()
	var refusal *devices.Refusal
	if !errors.As(err, &refusal) {
		b.Errorf("%s: %v, want a refusal", what, err)
		return
	}
	words := make([]string, 0, len(reasons))
	for _, want := range reasons {
		if errors.Is(err, want) {
			return
		}
		words = append(words, reason.Of(want).Word)
	}
	b.Errorf("%s: %v, want %s", what, err, strings.Join(words, " or "))
}

func (b *environment) write(slot devices.Slot, der []byte) {
	b.Helper()
	b.check(b.client().Write(b.ctx, slot, der))
}

// holds checks the contents of the slots, by hello and by reading; nil: an empty slot.
func (b *environment) holds(what string, want ...[]byte) {
	b.Helper()
	id := b.identify()
	for slot, der := range want {
		slot := devices.Slot(slot)
		if id.Stored.Has(slot) != (der != nil) {
			b.Errorf("%s: hello says %#04b, want slot %d %v", what, id.Stored, slot, der != nil)
		}
		got, err := b.client().Read(b.ctx, slot)
		if der == nil {
			b.refused(what, err, devices.ErrEmpty)
			continue
		}
		if b.check(err); !bytes.Equal(got, der) {
			b.Errorf("%s: slot %d holds %d octets, want %d", what, slot, len(got), len(der))
		}
	}
}

// provision writes all three slots of a handshake.
func (b *environment) provision() (root, ca *authority, own []byte) {
	b.Helper()
	root = b.root("root")
	ca = b.issuing("issuing", root)
	own = b.forBoard(ca).Raw
	b.write(anchor, root.der())
	b.write(chain, ca.der())
	b.write(certificate, own)
	return root, ca, own
}

var storeChecks = []check{
	{"what is written is read, after a reset and after a power cut too", func(b *environment) {
		root, ca, own := b.provision()
		b.holds("written", root.der(), ca.der(), own)
		b.reset()
		b.holds("reset", root.der(), ca.der(), own)
		if b.subject.PowerCycle != nil {
			b.check(b.subject.PowerCycle(b.ctx))
			b.holds("power cut", root.der(), ca.der(), own)
		}
		b.write(certificate, own)
		b.holds("written again", root.der(), ca.der(), own)
	}},
	{"a trust anchor may issue directly", func(b *environment) {
		root := b.root("root")
		own := b.forBoard(root).Raw
		b.write(anchor, root.der())
		b.write(certificate, own)
		b.holds("written", root.der(), nil, own)
	}},
	{"another trust anchor takes what depended on the first with it", func(b *environment) {
		root, _, _ := b.provision()
		b.write(anchor, root.der())
		if id := b.identify(); id.Stored != 7 {
			b.Errorf("the same anchor again left %#04b", id.Stored)
		}
		other := b.root("other")
		b.write(anchor, other.der())
		b.holds("replaced", other.der(), nil, nil)
	}},
	{"another chain takes the certificate with it", func(b *environment) {
		root, _, _ := b.provision()
		other := b.issuing("other", root)
		b.write(chain, other.der())
		b.holds("replaced", root.der(), other.der(), nil)
	}},
	{"a COSE certificate has its own slot and key, and stands beside the other", func(b *environment) { secondPurpose(b) }},
	{"what does not belong is refused by name", func(b *environment) { refuseContents(b) }},
	{"a refusal leaves the store as it was", func(b *environment) {
		root, ca, own := b.provision()
		stranger := b.root("stranger")
		err := b.client().Write(b.ctx, certificate, b.forBoard(stranger).Raw)
		b.refused("certificate of a stranger", err, devices.ErrUntrusted)
		err = b.client().Write(b.ctx, anchor, []byte("no certificate"))
		b.refused("anchor that is none", err, devices.ErrBadCertificate)
		b.reset()
		b.holds("refused", root.der(), ca.der(), own)
	}},
	{"pieces are taken in order, repeated without harm, and hashed", func(b *environment) { transferRules(b) }},
}

// secondPurpose tests both certificates of a board that derives both keys. A board
// without the COSE key has no slot for its certificate.
func secondPurpose(b *environment) {
	if !b.identify().Purposes.Has(devices.PurposeCOSE) {
		root := b.root("root")
		b.write(anchor, root.der())
		b.refused("the slot of a key that is not there", b.client().Write(b.ctx, cose, b.forBoard(root).Raw), devices.ErrBadSlot)
		return
	}
	// 1. Both certificates are stored, also after a reset.
	root, ca, own := b.provision()
	second := b.forKey(ca, b.keyFor(devices.PurposeCOSE)).Raw
	b.refused("the TLS key's certificate", b.client().Write(b.ctx, cose, own), devices.ErrForeignKey)
	b.refused("the COSE key's certificate for the handshake", b.client().Write(b.ctx, certificate, second), devices.ErrForeignKey)
	b.refused("a COSE certificate of a stranger",
		b.client().Write(b.ctx, cose, b.forKey(b.root("stranger"), b.keyFor(devices.PurposeCOSE)).Raw), devices.ErrUntrusted)
	b.write(cose, second)
	b.reset()
	b.holds("written", root.der(), ca.der(), own, second)
	// 2. Writing one certificate does not change the other.
	own = b.forBoard(ca).Raw
	b.write(certificate, own)
	b.holds("another certificate for the handshake", root.der(), ca.der(), own, second)
	second = b.forKey(ca, b.keyFor(devices.PurposeCOSE)).Raw
	b.write(cose, second)
	b.holds("another COSE certificate", root.der(), ca.der(), own, second)
	// 3. Another chain erases both.
	other := b.issuing("other", root)
	b.write(chain, other.der())
	b.holds("another chain", root.der(), other.der(), nil, nil)
	// 4. A COSE certificate needs no TLS certificate.
	second = b.forKey(other, b.keyFor(devices.PurposeCOSE)).Raw
	b.write(cose, second)
	b.holds("alone", root.der(), other.der(), nil, second)
}

// refuseContents tries every kind of object that a slot must refuse.
func refuseContents(b *environment) {
	root, stranger := b.root("root"), b.root("stranger")
	ca := b.issuing("issuing", root)
	own := b.forBoard(root)
	tries := []struct {
		name    string
		slot    devices.Slot
		der     []byte
		reasons []error
	}{
		{"a slot that is not there", 4, root.der(), []error{devices.ErrBadSlot}},
		{"an anchor that is no certificate", anchor, []byte("hello"), []error{devices.ErrBadCertificate}},
		{"an anchor with an octet behind it", anchor, append(bytes.Clone(root.der()), 0), []error{devices.ErrBadCertificate}},
		{"an anchor cut short", anchor, root.der()[:len(root.der())-1], []error{devices.ErrBadCertificate}},
		{"an anchor that another CA signed", anchor, ca.der(), []error{devices.ErrUntrusted, devices.ErrBadCertificate}},
		{"an anchor that is no CA", anchor, b.sign(template("leaf"), nil, b.newKey()).der(), []error{devices.ErrUntrusted, devices.ErrBadCertificate}},
		{"the anchor", anchor, root.der(), nil},
		{"a chain of a stranger", chain, b.issuing("issuing", stranger).der(), []error{devices.ErrUntrusted}},
		{"a chain that is no CA", chain, own.Raw, []error{devices.ErrUntrusted, devices.ErrBadCertificate}},
		{"a certificate for another key", certificate, b.forKey(root, &b.newKey().PublicKey).Raw, []error{devices.ErrForeignKey}},
		{"a certificate of a stranger", certificate, b.forBoard(stranger).Raw, []error{devices.ErrUntrusted}},
		{"a certificate of a CA that is not in the chain", certificate, b.forBoard(ca).Raw, []error{devices.ErrUntrusted}},
		{"a certificate that is none", certificate, []byte{0x30, 0}, []error{devices.ErrBadCertificate}},
		{"the chain", chain, ca.der(), nil},
		{"the certificate", certificate, b.forBoard(ca).Raw, nil},
	}
	for _, try := range tries {
		err := b.client().Write(b.ctx, try.slot, try.der)
		if try.reasons == nil {
			b.check(err)
		} else {
			b.refused(try.name, err, try.reasons...)
		}
	}
}

// transferRules tests PROTOCOL.md section 4, "write", piece by piece.
func transferRules(b *environment) {
	w := b.wire()
	der := b.root("root").der()
	hash := sha256.Sum256(der)
	first := &smp.WriteSlot{Total: uint32(len(der)), Hash: hash[:], Data: der[:100]}
	second := &smp.WriteSlot{Offset: 100, Data: der[100:200]}
	last := &smp.WriteSlot{Offset: 200, Data: der[200:], Commit: true}
	early := &smp.WriteSlot{Offset: 100, Data: der[100:200], Commit: true}
	wrong := sha256.Sum256([]byte("something else"))
	wrongHash := &smp.WriteSlot{Total: uint32(len(der)), Hash: wrong[:], Data: der, Commit: true}
	steps := []struct {
		name    string
		request *smp.WriteSlot
		next    uint32
		refusal error
	}{
		{"a piece before the first", second, 0, devices.ErrOutOfOrder},
		{"the first piece", first, 100, nil},
		{"a gap", last, 0, devices.ErrOutOfOrder},
		{"the second piece", second, 200, nil},
		{"the second piece again", second, 200, nil},
		{"the last piece", last, uint32(len(der)), nil},
		{"a hash of something else", wrongHash, 0, devices.ErrBadHash},
		{"the first piece of a new transfer", first, 100, nil},
		{"a commit before the end", early, 0, nil}, // refused, by any reason
	}
	for _, step := range steps {
		var response smp.WriteSlotResponse
		err := w.ask(step.request, &response)
		switch {
		case step.request == early:
			if err == nil {
				b.Errorf("%s: accepted", step.name)
			}
		case step.refusal != nil:
			b.refused(step.name, err, step.refusal)
		case err != nil || response.Next != step.next:
			b.Errorf("%s: next %d, %v; want %d", step.name, response.Next, err, step.next)
		}
	}
	var held smp.ReadSlotResponse
	if err := w.ask(&smp.ReadSlot{}, &held); err != nil || !bytes.HasPrefix(der, held.Data) || int(held.Total) != len(der) {
		b.Errorf("after all that the slot holds %x, %v", held.Data, err)
	}
}
