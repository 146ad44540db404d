package smp

import (
	"encoding/base64"
	"encoding/binary"
)

// Limits of the console framing (SMP transport specification, "UART/serial and console").
const (
	// MaxLine is the longest line in octets, marker and newline included.
	MaxLine = 127
	// lineRaw is the number of octets in a line before base64.
	lineRaw = 93
	// MaxMessage is the longest message in octets; the length field allows no more.
	MaxMessage = 0xffff - crcSize

	crcSize     = 2
	lengthSize  = 2
	markerSize  = 2
	lineContent = MaxLine - markerSize - 1
)

// The marker octets: 06 09 begins a message, 04 14 continues it.
const (
	first1, first2       = 0x06, 0x09
	continue1, continue2 = 0x04, 0x14
)

// AppendFrame appends the lines of a message to dst. The message is an SMP header with
// its body, 1 to [MaxMessage] octets. Another length is a mistake of the caller and
// panics.
func AppendFrame(dst, message []byte) []byte {
	if len(message) == 0 || len(message) > MaxMessage {
		panic("smp: no frame can carry a message of this length")
	}
	var raw [lineRaw]byte
	binary.BigEndian.PutUint16(raw[:], uint16(len(message)+crcSize))
	crc := binary.BigEndian.AppendUint16(nil, crc16(0, message))
	filled, marker := lengthSize, [markerSize]byte{first1, first2}
	for len(message) > 0 || len(crc) > 0 {
		n := copy(raw[filled:], message)
		message, filled = message[n:], filled+n
		n = copy(raw[filled:], crc)
		crc, filled = crc[n:], filled+n
		dst = append(dst, marker[:]...)
		dst = base64.StdEncoding.AppendEncode(dst, raw[:filled])
		dst = append(dst, '\n')
		filled, marker = 0, [markerSize]byte{continue1, continue2}
	}
	return dst
}

// crc16 is CRC-16/XMODEM: polynomial 1021, initial 0, no reflection.
func crc16(crc uint16, p []byte) uint16 {
	for _, b := range p {
		x := crc>>8 ^ uint16(b)
		x ^= x >> 4
		crc = crc<<8 ^ x<<12 ^ x<<5 ^ x
	}
	return crc
}
