package devices

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"hallmark/station/reason"
)

// The certificate store in a board's flash, as devices/firmware/core/store.c writes it. A sector is
// magic | generation | sealed | len[] | SHA-256 of these fields and of the data | padding to 64
// octets | data. Numbers are little-endian. Of two valid sectors the newer one counts.
const (
	storeHeader     = 64
	storeSlotSize   = 1024
	storeAlign      = 32
	storeSectorStep = 4096 // sectors begin at multiples of the smallest sector
)

// storeLayouts are the forms of a sector. Slots of a packed sector begin at multiples of storeAlign,
// the others have storeSlotSize octets each.
var storeLayouts = []storeLayout{{"HMS2", 4, true}, {"HMS1", 3, false}}

type storeLayout struct {
	magic  string
	slots  int
	packed bool
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
	found := false
	for at := 0; at+storeHeader <= len(octets); at += storeSectorStep {
		store, g, valid := parseSector(octets[at:])
		if valid && (!found || int32(g-generation) > 0) { // the number wraps after 2^32 writes
			newest, generation, found = store, g, true
		}
	}
	if !found {
		return FlashStore{}, ErrNoFlashStore
	}
	return newest, nil
}

func parseSector(sector []byte) (store FlashStore, generation uint32, valid bool) {
	for _, layout := range storeLayouts {
		if bytes.HasPrefix(sector, []byte(layout.magic)) {
			return layout.parse(sector)
		}
	}
	return FlashStore{}, 0, false
}

func (l storeLayout) parse(sector []byte) (store FlashStore, generation uint32, valid bool) {
	number := func(at int) uint32 { return binary.LittleEndian.Uint32(sector[at:]) }
	end := 12 + 4*l.slots
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
	store.Sealed = number(8) == 1
	return store, number(4), number(8) <= 1 && bytes.Equal(digest.Sum(nil), sector[end:end+sha256.Size])
}

// room is the distance from a slot to the next one.
func (l storeLayout) room(size int) int {
	if !l.packed {
		return storeSlotSize
	}
	return (size + storeAlign - 1) / storeAlign * storeAlign
}
