package conformance

import (
	"bytes"
	"fmt"
	"strings"

	"hallmark/devices"
	"hallmark/devices/smp"
)

var identityChecks = []check{
	{"it says who it is, as its HUK decides", func(b *environment) {
		id := b.identify()
		if id.ABI != devices.IdentityABI || id.Sealed {
			b.Errorf("a board that is not sealed says ABI %d, sealed %v", id.ABI, id.Sealed)
		}
		if want := b.subject.BoardType; want != "" && id.BoardType != want {
			b.Errorf("board type %q, want %q", id.BoardType, want)
		}
		if b.subject.HUK == nil {
			return
		}
		want, err := devices.DeriveIdentity(b.subject.HUK, b.subject.Suffix)
		b.check(err)
		if id.ID != want.ID {
			b.Errorf("BoardID %v, want %v", id.ID, want.ID)
		}
		if !b.boardKey().Equal(want.TLS) {
			b.Error("the key in the CSR is not the one the HUK gives")
		}
		if id.Purposes.Has(devices.PurposeCOSE) && !b.keyFor(devices.PurposeCOSE).Equal(want.COSE) {
			b.Error("the COSE key in the CSR is not the one the HUK gives")
		}
	}},
	{"it speaks to a station of version 1, and with a newer station the newest version of both", func(b *environment) {
		w := b.wire()
		for asked, want := range map[uint32]uint32{0: 1, 1: 1, 2: 2, 3: 2, 0xffffffff: 2} {
			var response smp.HelloResponse
			if err := w.ask(&smp.Hello{Version: asked}, &response); err != nil || response.Version != want {
				b.Errorf("a station of version %d: version %d, %v; want %d", asked, response.Version, err, want)
			}
		}
	}},
	{"it repeats an echo of any length", func(b *environment) {
		for _, length := range []int{0, 1, 23, 24, 79, 80, 81, 82, 200} {
			if err := b.client().Echo(b.ctx, strings.Repeat("e", length)); err != nil {
				b.Errorf("%d octets: %v", length, err)
			}
		}
	}},
	{"a reset gives a new boot id and keeps identity and key", func(b *environment) {
		before, key := b.identify(), b.boardKey()
		boots := map[devices.BootID]bool{before.Boot: true}
		for range 3 {
			if boot := b.reset(); boots[boot] {
				b.Errorf("boot id %x came twice", boot)
			} else {
				boots[boot] = true
			}
		}
		after := b.identify()
		after.Boot = before.Boot
		if after != before {
			b.Errorf("before the reset %+v, after it %+v", before, after)
		}
		if !b.boardKey().Equal(key) {
			b.Error("the key changed")
		}
	}},
	{"a power cut keeps identity and key", func(b *environment) {
		if b.subject.PowerCycle == nil {
			b.Log("this board has no switch; the resets above stand for it")
			return
		}
		before, key := b.identify(), b.boardKey()
		b.check(b.subject.PowerCycle(b.ctx))
		after := b.identify()
		if after.ID != before.ID || after.Boot == before.Boot || !b.boardKey().Equal(key) {
			b.Errorf("before the cut %+v, after it %+v", before, after)
		}
	}},
}

var csrChecks = []check{
	{"it is signed, on P-256, and carries subject and nonce", func(b *environment) {
		id := b.identify()
		for _, subject := range []devices.Subject{
			{Organization: "Linaro", OrganizationalUnit: "Device Identity"},
			{Organization: "Linaro"}, {OrganizationalUnit: "x"}, {},
			{Organization: strings.Repeat("o", 32), OrganizationalUnit: strings.Repeat("u", 32)},
		} {
			nonce := [devices.NonceSize]byte{0xa0, 1, 2, 3, 15: 0xff}
			b.csr(nonce, subject).check(b, id.ID, nonce, subject)
		}
	}},
	{"each purpose that hello lists has a key of its own, and no other is answered", func(b *environment) {
		id, nonce := b.identify(), [devices.NonceSize]byte{1}
		keys := map[string]devices.Purpose{}
		for _, purpose := range []devices.Purpose{devices.PurposeTLS, devices.PurposeCOSE} {
			if !id.Purposes.Has(purpose) {
				continue
			}
			request := b.csrFor(purpose, nonce, devices.Subject{})
			request.check(b, id.ID, nonce, devices.Subject{})
			public, err := request.key.Bytes()
			b.check(err)
			if other, twice := keys[string(public)]; twice {
				b.Errorf("purposes %s and %s have one key", other, purpose)
			}
			keys[string(public)] = purpose
		}
		if b.reset(); id.Purposes.Has(devices.PurposeCOSE) && keys[string(b.publicFor(devices.PurposeCOSE))] != devices.PurposeCOSE {
			b.Error("the COSE key changed with a reset")
		}
		b.check(b.board.Detach())
		b.refusesOtherPurposes(id.Purposes)
	}},
	{"another nonce is another CSR for the same key", func(b *environment) {
		a := b.csr([devices.NonceSize]byte{1}, devices.Subject{})
		z := b.csr([devices.NonceSize]byte{2}, devices.Subject{})
		if bytes.Equal(a.raw, z.raw) || !a.key.Equal(z.key) {
			b.Errorf("%x\n%x", a.raw, z.raw)
		}
	}},
	{"subjects that could be read in two ways are refused", func(b *environment) {
		for _, text := range []string{"a,b", "a+b", `a"b`, `a\b`, "a<b", "a>b", "a;b", "a=b", "a#b", "a\nb", "a\x00b", "\u00e4"} {
			_, err := b.client().CSR(b.ctx, devices.PurposeTLS, [devices.NonceSize]byte{1}, devices.Subject{Organization: text})
			b.refused("organization "+text, err, devices.ErrBadMap)
		}
	}},
}

// refusesOtherPurposes asks for a CSR by each number on the wire that hello does
// not list. PROTOCOL.md section 4 defines the numbers 0 and 1, so hello lists no other.
func (b *environment) refusesOtherPurposes(listed devices.Purposes) {
	b.Helper()
	if listed > 0b11 {
		b.Errorf("hello lists purposes %#b, want bits 0 and 1 at most", listed)
	}
	w, nonce := b.wire(), make([]byte, devices.NonceSize)
	for number := range uint32(8) {
		if listed&(1<<number) == 0 {
			err := w.ask(&smp.CSR{Nonce: nonce, Purpose: number}, new(smp.CSRResponse))
			b.refused(fmt.Sprintf("purpose %d", number), err, devices.ErrBadMap)
		}
	}
}
