package faults_test

import (
	"crypto/rand"
	"testing"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/station"
)

const hukSize = 32

// fuses returns the fuses of a board with this HUK and a new hardware id.
func fuses(t *testing.T, huk []byte) *emulated.Fuses {
	t.Helper()
	var f emulated.Fuses
	copy(f[:], huk)
	must(rand.Read(f[hukSize:]))(t)
	return &f
}

// dummyHUK is the HUK of TF-M's dummy provisioning: 00 to 0f, twice.
func dummyHUK() []byte {
	huk := make([]byte, hukSize)
	for i := range huk {
		huk[i] = byte(i % 16)
	}
	return huk
}

func TestACloneStopsTheBay(t *testing.T) {
	l := newEnvironment(t, nil)
	bay := l.bay("bay")
	huk := make([]byte, hukSize)
	must(rand.Read(huk))(t)
	original := l.plug(t, emulated.Config{Fuses: fuses(t, huk)}, longTimeout, nil)
	ends(t, bay.enrol(t, original, original), station.Pass, "")
	clone := l.plug(t, emulated.Config{Fuses: fuses(t, huk)}, longTimeout, nil)
	bay.stops(t, clone, clone, "clone")
	if l.asked.Load() != 1 {
		t.Errorf("%d signatures", l.asked.Load())
	}
	bay.passes(t)
	l.checkInvariants(t)
}

func TestAPubliclyKnownIdentityIsForDemonstrationsOnly(t *testing.T) {
	t.Run("a station refuses it and stops the bay", func(t *testing.T) {
		l := newEnvironment(t, nil)
		bay := l.bay("bay")
		board := l.plug(t, emulated.Config{Fuses: fuses(t, dummyHUK())}, longTimeout, nil)
		bay.stops(t, board, board, "dummy-identity")
		if l.asked.Load() != 0 {
			t.Errorf("%d signatures", l.asked.Load())
		}
		bay.passes(t)
		l.checkInvariants(t)
	})
	t.Run("a demonstration enrols it", func(t *testing.T) {
		l := newEnvironment(t, func(l *environment) { l.demo = true })
		bay := l.bay("bay")
		board := l.plug(t, emulated.Config{Fuses: fuses(t, dummyHUK())}, longTimeout, nil)
		ends(t, bay.enrol(t, board, board), station.Pass, "")
		bay.passes(t)
		l.checkInvariants(t)
	})
}

func TestABoardWithoutAKeyIsRejected(t *testing.T) {
	l := newEnvironment(t, nil)
	for name, octet := range map[string]byte{"HUK was never burned": 0x00, "HUK reads as erased": 0xff} {
		t.Run(name, func(t *testing.T) {
			huk := make([]byte, hukSize)
			for i := range huk {
				huk[i] = octet
			}
			bay := l.bay("bay")
			board := l.plug(t, emulated.Config{Fuses: fuses(t, huk)}, longTimeout, nil)
			ends(t, bay.enrol(t, board, board), station.Reject, devices.ErrNoHUK.Word())
			bay.passes(t)
			l.checkInvariants(t)
		})
	}
}
