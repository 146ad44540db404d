package devices_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"hallmark/devices"
	"hallmark/fixtures"
)

func TestTheCertificateStoreIsReadFromTheFlash(t *testing.T) {
	slots := map[devices.Slot][]byte{devices.SlotAnchor: bytes.Repeat([]byte{1}, 33), devices.SlotCertificate: []byte("certificate"), devices.SlotCOSE: bytes.Repeat([]byte{2}, 1024)}
	older, newer := fixtures.FlashStore(map[devices.Slot][]byte{devices.SlotCertificate: []byte("older")}), fixtures.FlashStore(slots)
	const sector = 4096
	for _, test := range []struct {
		name   string
		octets []byte
	}{
		{"one valid sector", newer},
		{"the newer of two sectors", append(bytes.Clone(older[:sector]), fixtures.Generation(newer, 2)[:sector]...)},
		{"the newer of two sectors, in the other order", append(bytes.Clone(fixtures.Generation(newer, 2)[:sector]), older[:sector]...)},
		{"a number that wrapped", append(bytes.Clone(fixtures.Generation(older, 0xffff_ffff)[:sector]), fixtures.Generation(newer, 0)[:sector]...)},
		{"a store of earlier firmware", fixtures.WithoutMAC(newer)},
		{"a newer number without a MAC beside one with a MAC", append(fixtures.WithoutMAC(fixtures.Generation(older, 9))[:sector], newer[:sector]...)},
		{"a newer number without a MAC, in the other order", append(bytes.Clone(newer[:sector]), fixtures.WithoutMAC(fixtures.Generation(older, 9))[:sector]...)},
		{"a damaged newer sector beside the valid one", append(damaged(fixtures.Generation(older, 9))[:sector], newer[:sector]...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, err := devices.ParseFlashStore(test.octets)
			if err != nil {
				t.Fatal(err)
			}
			for slot := range devices.Slot(4) {
				if !bytes.Equal(store.Slots[slot], slots[slot]) {
					t.Errorf("slot %d has %q", slot, store.Slots[slot])
				}
			}
		})
	}
}

func damaged(octets []byte) []byte {
	octets[64] ^= 1
	return octets
}

func TestFlashWithoutAStoreIsRefused(t *testing.T) {
	good := fixtures.FlashStore(map[devices.Slot][]byte{devices.SlotCertificate: []byte("certificate")})
	long := bytes.Clone(good)
	binary.LittleEndian.PutUint32(long[12:], 2000)
	for name, octets := range map[string][]byte{
		"nothing": nil, "erased": bytes.Repeat([]byte{0xff}, 8192), "a damaged store": damaged(bytes.Clone(good)),
		"a slot that is too long": long, "a header that was cut": good[:63], "data that were cut": good[:70],
	} {
		if _, err := devices.ParseFlashStore(octets); !errors.Is(err, devices.ErrNoFlashStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a probe reads, no slot is longer than the store allows.
func FuzzFlashStore(f *testing.F) {
	f.Add(fixtures.FlashStore(map[devices.Slot][]byte{devices.SlotCertificate: []byte("certificate")}))
	f.Add([]byte("HMS1"))
	f.Fuzz(func(t *testing.T, octets []byte) {
		store, err := devices.ParseFlashStore(octets)
		for _, der := range store.Slots {
			if len(der) > 1024 || err != nil && der != nil {
				t.Fatalf("%d octets, %v", len(der), err)
			}
		}
	})
}
