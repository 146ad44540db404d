package smp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the length of the header in octets.
const HeaderSize = 8

// An Op is the kind of a message (SMP specification, "Frame: Op").
type Op uint8

// The operations.
const (
	Read Op = iota
	ReadResponse
	Write
	WriteResponse
)

// Response returns the operation of the response to a request.
func (op Op) Response() Op { return op | 1 }

// Version is the version in the station's requests: 1, which means SMP version 2.
const Version = 1

// A Command names the subject of a message.
type Command struct {
	Group uint16
	ID    uint8
	Op    Op // of the request
}

// A Header stands before each body, 8 octets.
type Header struct {
	Op       Op
	Version  uint8 // 0: SMP version 1 · 1: SMP version 2
	Group    uint16
	Sequence uint8
	Command  uint8
}

// ErrMalformed says that a message breaks a rule of PROTOCOL.md.
var ErrMalformed = errors.New("malformed message")

// append appends the header of a body of n octets to dst.
func (h Header) append(dst []byte, n int) []byte {
	dst = append(dst, h.Version<<3|byte(h.Op), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	dst = binary.BigEndian.AppendUint16(dst, h.Group)
	return append(dst, h.Sequence, h.Command)
}

// AppendMessage appends a header and an encoded body to dst.
func AppendMessage(dst []byte, h Header, body []byte) []byte {
	return append(h.append(dst, len(body)), body...)
}

// ParseHeader separates header and body. It refuses reserved bits, flags and a length
// that is not the length of the body.
func ParseHeader(message []byte) (h Header, body []byte, err error) {
	if len(message) < HeaderSize {
		return h, nil, fmt.Errorf("%w: %d octets are no header", ErrMalformed, len(message))
	}
	body = message[HeaderSize:]
	length := int(binary.BigEndian.Uint16(message[2:]))
	switch {
	case message[0]&^byte(0x1f) != 0 || message[0]>>3 > Version || message[0]&7 > byte(WriteResponse):
		return h, nil, fmt.Errorf("%w: first octet of header is %#02x", ErrMalformed, message[0])
	case message[1] != 0:
		return h, nil, fmt.Errorf("%w: flags are %#02x", ErrMalformed, message[1])
	case length != len(body):
		return h, nil, fmt.Errorf("%w: header says %d octets of body, there are %d", ErrMalformed, length, len(body))
	}
	return Header{
		Op:       Op(message[0] & 7),
		Version:  message[0] >> 3,
		Group:    binary.BigEndian.Uint16(message[4:]),
		Sequence: message[6],
		Command:  message[7],
	}, body, nil
}
