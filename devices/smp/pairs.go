package smp

import "fmt"

// A pair is a key of a map with its encoded value.
type pair struct {
	key   string
	value []byte
}

// pairs are those of one map, in the order in which they are encoded.
type pairs []pair

// value returns the encoded value of a key.
func (p pairs) value(key string) ([]byte, bool) {
	for _, one := range p {
		if one.key == key {
			return one.value, true
		}
	}
	return nil, false
}

var (
	errKey   = fmt.Errorf("%w: a key is not a text in one piece", ErrMalformed)
	errNoMap = fmt.Errorf("%w: body is not a map", ErrMalformed)
)

// pairsOf splits a map into its pairs, which share the octets of the map. fxamacker/cbor
// checks the encoding; decoding a map of raw values with it took ten times as long
// as this, and every request and every response is split.
func pairsOf(encoded []byte) (pairs, error) {
	if len(encoded) == 0 || encoded[0]>>5 != majorMap {
		return nil, errNoMap
	}
	if err := strict.Wellformed(encoded); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	_, room := head(encoded) // the number of pairs; of an indefinite map, more than strict takes
	split := make(pairs, 0, min(room, strictPairs))
	for rest := encoded[headSize(encoded):]; len(rest) > 0 && rest[0] != octetBreak; {
		key, size, err := keyOf(rest)
		if err != nil {
			return nil, err
		}
		if _, twice := split.value(key); twice {
			return nil, fmt.Errorf("%w: duplicate key %.20q", ErrMalformed, key)
		}
		rest = rest[size:]
		size = itemSize(rest)
		split = append(split, pair{key, rest[:size]})
		rest = rest[size:]
	}
	return split, nil
}

// keyOf reads the key at the beginning of well-formed octets, and gives its size in octets.
func keyOf(encoded []byte) (key string, size int, err error) {
	major, length := head(encoded)
	if !textKind.is(major, encoded[0]) {
		return "", 0, errKey
	}
	from := headSize(encoded)
	size = from + int(length)
	return string(encoded[from:size]), size, nil
}

// headSize returns the size of an item's head in octets: of its major type and its
// argument (RFC 8949 section 3).
func headSize(encoded []byte) int {
	info := encoded[0] & 31
	if info < infoOctetFollows || info == infoIndefinite {
		return 1
	}
	return 1 + 1<<(info-infoOctetFollows)
}

// itemSize returns the size in octets of the item at the beginning of well-formed octets.
// strict limits how deep items are nested.
func itemSize(encoded []byte) int {
	major, argument := head(encoded)
	size := headSize(encoded)
	if encoded[0]&31 == infoIndefinite {
		for encoded[size] != octetBreak {
			size += itemSize(encoded[size:])
		}
		return size + 1
	}
	switch major {
	case majorBytes, majorText:
		return size + int(argument)
	case majorMap:
		argument *= 2
	case majorArray:
	default:
		return size
	}
	for range argument {
		size += itemSize(encoded[size:])
	}
	return size
}
