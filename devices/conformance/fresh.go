package conformance

import "hallmark/devices"

// freshChecks begin with an empty store.
var freshChecks = []check{
	{"it holds nothing, after a reset neither", func(b *environment) {
		b.holds("fresh", nil, nil, nil)
		b.reset()
		b.holds("reset", nil, nil, nil)
	}},
	{"nothing is taken before the trust anchor", func(b *environment) {
		root := b.root("root")
		b.refused("a chain", b.client().Write(b.ctx, chain, b.issuing("issuing", root).der()), devices.ErrNoAnchor)
		b.refused("a certificate", b.client().Write(b.ctx, certificate, b.forBoard(root).Raw), devices.ErrNoAnchor)
		b.holds("refused", nil, nil, nil)
	}},
	{"a board without certificate does no handshake", func(b *environment) {
		err := errorOf(b.handshakeWith(server{instead: readOnce}, serverName))
		b.refused("no anchor", err, devices.ErrNoAnchor, devices.ErrEmpty)
		b.write(anchor, b.root("root").der())
		err = errorOf(b.handshakeWith(server{instead: readOnce}, serverName))
		b.refused("no certificate", err, devices.ErrEmpty)
	}},
}

// sealChecks seal the board for ever.
var sealChecks = []check{
	{"a board without certificate is not sealed", func(b *environment) {
		b.refused("an empty store", b.client().Seal(b.ctx), devices.ErrEmpty)
		b.write(anchor, b.root("root").der())
		b.refused("an anchor alone", b.client().Seal(b.ctx), devices.ErrEmpty)
		if b.identify().Sealed {
			b.Error("hello says that the board is sealed")
		}
	}},
	{"a sealed board is written no more, after a reset neither", func(b *environment) {
		root, ca, own := b.provision()
		b.check(b.client().Seal(b.ctx))
		b.check(b.client().Seal(b.ctx))
		for range 2 {
			if !b.identify().Sealed {
				b.Error("hello does not say that the board is sealed")
			}
			b.refused("another anchor", b.client().Write(b.ctx, anchor, b.root("other").der()), devices.ErrSealed)
			b.holds("sealed", root.der(), ca.der(), own)
			b.reset()
		}
	}},
}
