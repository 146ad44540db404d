package conformance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"hallmark/devices"
	"hallmark/devices/smp"
	"hallmark/devices/update"
)

// renewal is a sealed board whose objects an update replaces.
type renewal struct {
	*environment
	root, ca *authority
	own      []byte // certificate
	id       devices.BoardID
}

// updateChecks seal the board for ever.
var updateChecks = []check{
	{"a sealed board takes another certificate from its anchor's key, once", func(b *environment) {
		r := b.sealedForUpdates()
		if r == nil {
			return
		}
		next := b.forBoard(r.ca).Raw
		file := r.update(r.root.key, r.id, 5, update.Slots{certificate: next})
		b.check(b.client().Update(b.ctx, file))
		b.holds("updated", r.root.der(), r.ca.der(), next)
		b.reset()
		b.holds("updated, after a reset", r.root.der(), r.ca.der(), next)
		b.refused("the same file again", b.client().Update(b.ctx, file), devices.ErrUpdateOld)
		b.refused("an older counter", b.client().Update(b.ctx, r.update(r.root.key, r.id, 4, update.Slots{certificate: r.own})), devices.ErrUpdateOld)
		b.refused("a write", b.client().Write(b.ctx, certificate, r.own), devices.ErrSealed, devices.ErrUnsupported)
		if b.holds("refused", r.root.der(), r.ca.der(), next); !b.identify().Sealed {
			b.Error("the update has unsealed the board")
		}
	}},
	{"an update brings another anchor with all below it, and the anchor before signs no more", func(b *environment) {
		r := b.sealedForUpdates()
		if r == nil {
			return
		}
		other := b.root("other")
		ca := b.issuing("other issuing", other)
		next := b.forBoard(ca).Raw
		b.check(b.client().Update(b.ctx, r.update(r.root.key, r.id, 1, update.Slots{other.der(), ca.der(), next})))
		b.holds("updated", other.der(), ca.der(), next)
		b.refused("the anchor before", b.client().Update(b.ctx, r.update(r.root.key, r.id, 2, update.Slots{r.root.der(), r.ca.der(), r.own})), devices.ErrUntrusted)
		b.check(b.client().Update(b.ctx, r.update(other.key, r.id, 2, update.Slots{r.root.der(), r.ca.der(), r.own})))
		b.reset()
		b.holds("and back", r.root.der(), r.ca.der(), r.own)
	}},
	{"an update that is wrong is refused by name and changes nothing", func(b *environment) { refuseUpdates(b) }},
	{"power that goes in the middle of an update leaves the old or the new", func(b *environment) { cutUpdates(b) }},
}

// sealedForUpdates seals a board that holds all of a handshake. nil: this image takes no updates, and says so to whoever sends one.
func (b *environment) sealedForUpdates() *renewal {
	b.Helper()
	id := b.identify()
	if !id.Can.Has(devices.CanUpdate) {
		b.refused("an image without update", b.client().SendUpdate(b.ctx, []byte{0xa0}), devices.ErrUnsupported)
		b.Log("left out: this image takes no updates")
		return nil
	}
	root, ca, own := b.provision()
	b.check(b.client().Seal(b.ctx))
	return &renewal{b, root, ca, own, id.ID}
}

// update makes an update file.
func (r *renewal) update(key *ecdsa.PrivateKey, id devices.BoardID, counter uint32, slots update.Slots) []byte {
	r.Helper()
	draft, err := update.New(id, counter, slots)
	r.check(err)
	digest := sha256.Sum256(draft.Signed)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	r.check(err)
	file, err := draft.Finish(signature, &key.PublicKey)
	r.check(err)
	return file
}

// refuseUpdates sends what the client would not send, too.
func refuseUpdates(b *environment) {
	r := b.sealedForUpdates()
	if r == nil {
		return
	}
	stranger, next := b.root("stranger"), b.forBoard(r.ca).Raw
	good := r.update(r.root.key, r.id, 1, update.Slots{certificate: next})
	changed := bytes.Clone(good)
	changed[bytes.Index(changed, next)+len(next)/2] ^= 1
	elsewhere := r.id
	elsewhere[0] ^= 1
	for _, try := range []struct {
		name string
		file []byte
		want error
	}{
		{"signed by another anchor", r.update(stranger.key, r.id, 1, update.Slots{certificate: next}), devices.ErrUntrusted},
		{"signed by the issuing CA", r.update(r.ca.key, r.id, 1, update.Slots{certificate: next}), devices.ErrUntrusted},
		{"for another board", r.update(r.root.key, elsewhere, 1, update.Slots{certificate: next}), devices.ErrUpdateElsewhere},
		{"cut short", good[:len(good)-1], devices.ErrBadMap},
		{"with an octet behind it", append(bytes.Clone(good), 0), devices.ErrBadMap},
		{"changed", changed, devices.ErrBadHash},
		{"with a certificate for another key", r.update(r.root.key, r.id, 1, update.Slots{certificate: b.forKey(r.ca, &b.newKey().PublicKey).Raw}), devices.ErrForeignKey},
		{"with a certificate of a stranger", r.update(r.root.key, r.id, 1, update.Slots{certificate: b.forBoard(stranger).Raw}), devices.ErrUntrusted},
		{"that takes the certificate away", r.update(r.root.key, r.id, 1, update.Slots{anchor: stranger.der()}), devices.ErrEmpty},
	} {
		b.refused("an update "+try.name, b.client().SendUpdate(b.ctx, try.file), try.want)
	}
	b.holds("refused", r.root.der(), r.ca.der(), r.own)
	b.reset()
	b.holds("refused, after a reset", r.root.der(), r.ca.der(), r.own)
	b.check(b.client().Update(b.ctx, good))
	b.holds("the right one", r.root.der(), r.ca.der(), next)
}

// cutUpdates takes the power away at moments spread over the time that an update takes.
func cutUpdates(b *environment) {
	r := b.sealedForUpdates()
	if r == nil || b.subject.PowerCycle == nil {
		return
	}
	started := time.Now()
	b.check(b.client().Update(b.ctx, r.update(r.root.key, r.id, 1, update.Slots{certificate: b.forBoard(r.ca).Raw})))
	took := time.Since(started)
	held, err := b.client().Read(b.ctx, certificate)
	b.check(err)
	for i := range cuts {
		next := b.forBoard(r.ca).Raw
		file := r.update(r.root.key, r.id, uint32(i)+2, update.Slots{certificate: next})
		b.cutRequest(&smp.Update{Total: uint32(len(file)), Data: file, Commit: true}, took*time.Duration(i)/cuts)
		got, err := b.client().Read(b.ctx, certificate)
		if b.check(err); !bytes.Equal(got, held) && !bytes.Equal(got, next) {
			b.Fatalf("cut %d leaves %x, neither the old nor the new", i, got)
		}
		held = got
		if b.holds("cut", r.root.der(), r.ca.der(), held); !b.identify().Sealed {
			b.Fatalf("cut %d has unsealed the board", i)
		}
	}
}
