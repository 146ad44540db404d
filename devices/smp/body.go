package smp

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// A Body is the content of a message. Only the types of this package implement it.
type Body interface {
	form() form
}

// A Request is the body of a request.
type Request interface {
	Body
	Command() Command
}

// A kind is the type of a value (RFC 8949 section 3.1: major type).
type kind uint8

const (
	uintKind  kind = iota // least and most limit the number
	intKind               // any integer
	bytesKind             // least and most limit the length; also for text
	textKind
	boolKind
	trueKind
	mapKind // inner is the map's form
)

// A field is one row of the tables in PROTOCOL.md sections 3 and 4.
type field struct {
	key         string
	kind        kind
	least, most uint64
	optional    bool
	inner       form
}

type form []field

// strictPairs is the most pairs of a map, and the most elements of an array.
const strictPairs = 16

// strict holds the limits that fxamacker/cbor enforces before this package sees a
// value. Four levels and sixteen pairs are the smallest limits that it takes.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   4,
		MaxMapPairs:       strictPairs,
		MaxArrayElements:  strictPairs,
		IndefLength:       cbor.IndefLengthAllowed,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

var canonical = func() cbor.EncMode {
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty
	mode, err := options.EncMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

// Marshal gives the canonical encoding of a body. It refuses a body that
// [Parse] would refuse.
func Marshal(body Body) ([]byte, error) {
	encoded, err := canonical.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding body: %w", err)
	}
	if err := check(encoded, body); err != nil {
		return nil, fmt.Errorf("encoding body: %w", err)
	}
	return encoded, nil
}

func unmarshal(encoded []byte, split pairs, body Body) error {
	if err := body.form().check(split); err != nil {
		return err
	}
	if err := strict.Unmarshal(encoded, body); err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return checkRules(body)
}

func check(encoded []byte, body Body) error {
	split, err := pairsOf(encoded)
	if err != nil {
		return err
	}
	if err := body.form().check(split); err != nil {
		return err
	}
	return checkRules(body)
}

// checkRules checks the rules that concern several keys of a body.
func checkRules(body Body) error {
	if rules, ok := body.(interface{ brokenRule() string }); ok {
		if broken := rules.brokenRule(); broken != "" {
			return fmt.Errorf("%w: %s", ErrMalformed, broken)
		}
	}
	return nil
}

func (f form) check(split pairs) error {
	known := 0
	for _, field := range f {
		raw, ok := split.value(field.key)
		switch {
		case ok:
			known++
			if err := field.check(raw); err != nil {
				return err
			}
		case !field.optional:
			return fmt.Errorf("%w: key %q is missing", ErrMalformed, field.key)
		}
	}
	if known == len(split) {
		return nil
	}
	for _, one := range split {
		if !f.has(one.key) {
			return fmt.Errorf("%w: key %.20q is unknown", ErrMalformed, one.key)
		}
	}
	return nil
}

func (f form) has(key string) bool {
	for _, field := range f {
		if field.key == key {
			return true
		}
	}
	return false
}

// check checks one value, which is well-formed CBOR.
func (f field) check(raw []byte) error {
	major, argument := head(raw)
	switch {
	case f.kind == mapKind && major == majorMap:
		inner, err := pairsOf(raw)
		if err != nil {
			return err
		}
		return f.inner.check(inner)
	case !f.kind.is(major, raw[0]):
		return fmt.Errorf("%w: key %q has the wrong type", ErrMalformed, f.key)
	case f.bounded() && (argument < f.least || argument > f.most):
		return fmt.Errorf("%w: key %q is %d, want %d to %d", ErrMalformed, f.key, argument, f.least, f.most)
	}
	return nil
}

func (f field) bounded() bool {
	return f.kind == uintKind || f.kind == bytesKind || f.kind == textKind
}

// Initial octets and their parts (RFC 8949 sections 3.1 to 3.3).
const (
	octetFalse       = 0xf4
	octetTrue        = 0xf5
	octetBreak       = 0xff // ends an item of indefinite length
	infoIndefinite   = 31
	majorUint        = 0
	majorNegative    = 1
	majorBytes       = 2
	majorText        = 3
	majorArray       = 4
	majorMap         = 5
	infoOctetFollows = 24
)

func (k kind) is(major, initial byte) bool {
	definite := initial&31 != infoIndefinite // only maps may be indefinite
	switch k {
	case uintKind:
		return major == majorUint
	case intKind:
		return major == majorUint || major == majorNegative
	case bytesKind:
		return major == majorBytes && definite
	case textKind:
		return major == majorText && definite
	case boolKind:
		return initial == octetTrue || initial == octetFalse
	case trueKind:
		return initial == octetTrue
	}
	return false
}

// head returns major type and argument of a well-formed item (RFC 8949 section 3).
func head(raw []byte) (major byte, argument uint64) {
	major, info := raw[0]>>5, raw[0]&31
	if info < infoOctetFollows || info == infoIndefinite {
		return major, uint64(info)
	}
	for _, b := range raw[1 : 1+1<<(info-infoOctetFollows)] {
		argument = argument<<8 | uint64(b)
	}
	return major, argument
}
