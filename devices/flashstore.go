package devices

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"hallmark/station/reason"
)

// The certificate store in a board's flash, as devices/firmware/core/store.c writes it. A sector is
// magic | generation | seal | len[] | check | padding to 64 octets | data. Numbers are little-endian. The check is
// the SHA-256 of the fields before it and of the data; of an HMS3 its first 16 octets, after a MAC of 16 octets with a key
// that only the board has. An HMS4 also has the counter of the last update, after the lengths. A sector with a MAC counts before one without;
// of two such sectors the newer one counts.
const (
	storeHeader     = 64
	storeSlotSize   = 1024
	storeAlign      = 32
	storeSectorStep = 4096 // sectors begin at multiples of the smallest sector
)

// storeLayouts are the forms of a sector. Slots of a packed sector begin at multiples of storeAlign,
// the others have storeSlotSize octets each.
var storeLayouts = []storeLayout{
	{magic: "HMS4", slots: 4, counter: true, packed: true, mac: 16, check: 16, open: 0x2e8a51c7, sealed: 0xd175ae38},
	{magic: "HMS3", slots: 4, packed: true, mac: 16, check: 16, open: 0x2e8a51c7, sealed: 0xd175ae38},
	{magic: "HMS2", slots: 4, packed: true, check: sha256.Size, sealed: 1},
	{magic: "HMS1", slots: 3, check: sha256.Size, sealed: 1},
}

type storeLayout struct {
	magic        string
	slots        int
	counter      bool // a number after the lengths
	packed       bool
	mac          int    // octets of the MAC
	check        int    // octets of the SHA-256
	open, sealed uint32 // values of the seal
}

// A FlashStore is the content of a board's certificate store.
type FlashStore struct {
	Slots  [4][]byte // DER by Slot; nil: empty
	Sealed bool
}

// ErrNoFlashStore: octets hold no valid certificate store.
var ErrNoFlashStore = reason.New("no-flash-store", "flash holds no valid certificate store")

// ParseFlashStore reads the octets of the whole store, all of its sectors. On a blank board, and on
// a board whose store is damaged, it returns ErrNoFlashStore.
func ParseFlashStore(octets []byte) (FlashStore, error) {
	var newest FlashStore
	var generation uint32
	found, mac := false, 0
	for at := 0; at+storeHeader <= len(octets); at += storeSectorStep {
		store, layout, g := parseSector(octets[at:])
		if layout == nil {
			continue
		}
		newer := int32(g-generation) > 0 // the number wraps after 2^32 writes
		if !found || layout.mac > mac || layout.mac == mac && newer {
			newest, generation, found, mac = store, g, true, layout.mac
		}
	}
	if !found {
		return FlashStore{}, ErrNoFlashStore
	}
	return newest, nil
}

// parseSector returns no layout for a sector that is not valid.
func parseSector(sector []byte) (store FlashStore, layout *storeLayout, generation uint32) {
	for i := range storeLayouts {
		if bytes.HasPrefix(sector, []byte(storeLayouts[i].magic)) {
			if store, generation, valid := storeLayouts[i].parse(sector); valid {
				return store, &storeLayouts[i], generation
			}
		}
	}
	return FlashStore{}, nil, 0
}

func (l storeLayout) parse(sector []byte) (store FlashStore, generation uint32, valid bool) {
	number := func(at int) uint32 { return binary.LittleEndian.Uint32(sector[at:]) }
	end := 12 + 4*l.slots
	if l.counter {
		end += 4
	}
	digest := sha256.New()
	digest.Write(sector[:end])
	at := storeHeader
	for slot := range l.slots {
		size := number(12 + 4*slot)
		if size > storeSlotSize || at+int(size) > len(sector) {
			return FlashStore{}, 0, false
		}
		data := sector[at : at+int(size)]
		digest.Write(data)
		if size > 0 {
			store.Slots[slot] = bytes.Clone(data)
		}
		at += l.room(int(size))
	}
	seal := number(8)
	store.Sealed = seal == l.sealed
	return store, number(4), (seal == l.open || seal == l.sealed) && bytes.Equal(digest.Sum(nil)[:l.check], sector[end+l.mac:end+l.mac+l.check])
}

// room is the distance from a slot to the next one.
func (l storeLayout) room(size int) int {
	if !l.packed {
		return storeSlotSize
	}
	return (size + storeAlign - 1) / storeAlign * storeAlign
}
