package smp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// Why a frame was dropped. The sender's time-out brings the message back.
var (
	ErrBadCRC      = errors.New("frame: CRC does not match")
	ErrBadBase64   = errors.New("frame: line is not base64")
	ErrBadLength   = errors.New("frame: length field does not fit the octets")
	ErrTooLong     = errors.New("frame: message is past the buffer")
	ErrLineTooLong = errors.New("frame: line is longer than 127 octets")
	ErrOrphan      = errors.New("frame: continuation without a first line")
	ErrUnfinished  = errors.New("frame: a new message began before this one was complete")
)

// A Decoder takes a line apart: messages, console text, damaged frames. It
// holds one line and one message, never more, and finds its place again at the
// next marker after anything. Every octet it is fed goes to exactly one of
// Console and the lines of frames; see [Counts].
//
// The callbacks are called from Write, in the order of the octets. Their
// slices are valid only during the call. None may be nil.
type Decoder struct {
	Message func(message []byte) // header and body, CRC verified
	Console func(text []byte)    // octets outside frames
	Dropped func(reason error)   // one of the Err values above

	limit   int
	counts  Counts
	inLine  bool
	isFirst bool // the line began with 06 09
	held    byte // a first marker octet whose second has not come yet, or 0
	content [lineContent]byte
	n       int
	message []byte
	want    int // octets of the message with its CRC; 0: none has begun
}

// Counts says where octets went: fed = Console + Framed + what the decoder holds.
type Counts struct {
	Console int64 // handed out as console text
	Framed  int64 // in lines of frames, good or damaged: markers, base64, newlines
}

// NewDecoder makes a decoder that refuses messages of more than limit octets
// (header and body) as [ErrTooLong].
func NewDecoder(limit int, message, console func([]byte), dropped func(error)) *Decoder {
	return &Decoder{Message: message, Console: console, Dropped: dropped, limit: min(limit, MaxMessage)}
}

// Counts gives the account of all octets so far.
func (d *Decoder) Counts() Counts { return d.counts }

// Held gives the octets of the line that is not complete yet.
func (d *Decoder) Held() int {
	held := 0
	if d.held != 0 {
		held = 1
	}
	if d.inLine {
		held += markerSize + d.n
	}
	return held
}

// Write feeds octets from the line, in pieces of any size. It never fails.
func (d *Decoder) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if d.inLine {
			rest = rest[d.frameOctets(rest):]
		} else {
			rest = rest[d.consoleOctets(rest):]
		}
	}
	return len(p), nil
}

// consoleOctets takes octets outside a frame and gives how many it took.
func (d *Decoder) consoleOctets(p []byte) int {
	if d.held != 0 {
		if completes(d.held, p[0]) {
			d.begin()
			return 1
		}
		held := [1]byte{d.held}
		d.held = 0
		d.console(held[:])
		return 0
	}
	i := bytes.IndexAny(p, "\x06\x04") // first1, continue1
	if i < 0 {
		d.console(p)
		return len(p)
	}
	d.console(p[:i])
	d.held = p[i]
	return i + 1
}

// frameOctets takes octets of a frame's line and gives how many it took.
func (d *Decoder) frameOctets(p []byte) int {
	for i, b := range p {
		switch {
		case d.held != 0 && completes(d.held, b): // the newline before this marker was lost
			d.end(0)
			d.begin()
			return i + 1
		case d.held != 0 && !d.put(d.held):
			return i
		}
		d.held = 0
		switch {
		case b == '\n':
			d.end(1)
			return i + 1
		case b == first1 || b == continue1:
			d.held = b
		case !d.put(b):
			return i
		}
	}
	return len(p)
}

func completes(held, b byte) bool {
	return held == first1 && b == first2 || held == continue1 && b == continue2
}

func (d *Decoder) begin() {
	d.inLine, d.isFirst, d.n = true, d.held == first1, 0
	d.held = 0
}

// put collects an octet of a line. It gives false when the line is too long to
// be one: what was collected is then console text, and so is what follows.
func (d *Decoder) put(b byte) bool {
	if d.n < len(d.content) {
		d.content[d.n] = b
		d.n++
		return true
	}
	marker := []byte{continue1, continue2}
	if d.isFirst {
		marker = []byte{first1, first2}
	}
	d.inLine = false
	d.console(marker)
	d.console(d.content[:d.n])
	d.drop(ErrLineTooLong)
	return false
}

func (d *Decoder) console(text []byte) {
	if len(text) > 0 {
		d.counts.Console += int64(len(text))
		d.Console(text)
	}
}

func (d *Decoder) drop(reason error) {
	d.want = 0
	d.Dropped(reason)
}

// end closes the line and hands out the message if that completes it.
func (d *Decoder) end(newline int) {
	d.inLine = false
	d.counts.Framed += int64(markerSize + d.n + newline)
	var raw [lineRaw]byte
	chunk, err := d.decode(raw[:])
	if d.isFirst && d.want != 0 {
		d.drop(ErrUnfinished)
	}
	switch {
	case !d.isFirst && d.want == 0:
		d.drop(ErrOrphan)
	case err != nil:
		d.drop(err)
	case d.isFirst:
		d.start(chunk)
	default:
		d.add(chunk)
	}
}

func (d *Decoder) decode(raw []byte) ([]byte, error) {
	line := d.content[:d.n]
	// encoding/base64 skips carriage returns; PROTOCOL.md section 1 does not.
	if bytes.IndexByte(line, '\r') >= 0 {
		return nil, ErrBadBase64
	}
	n, err := base64.StdEncoding.Strict().Decode(raw, line)
	switch {
	case err != nil:
		return nil, ErrBadBase64
	case n == 0:
		return nil, ErrBadLength
	}
	return raw[:n], nil
}

func (d *Decoder) start(chunk []byte) {
	if len(chunk) < lengthSize {
		d.drop(ErrBadLength)
		return
	}
	want := int(binary.BigEndian.Uint16(chunk))
	switch {
	case want <= crcSize:
		d.drop(ErrBadLength)
	case want-crcSize > d.limit:
		d.drop(ErrTooLong)
	default:
		d.want, d.message = want, d.message[:0]
		d.add(chunk[lengthSize:])
	}
}

func (d *Decoder) add(chunk []byte) {
	d.message = append(d.message, chunk...)
	switch {
	case len(d.message) > d.want:
		d.drop(ErrBadLength)
	case len(d.message) < d.want:
	case crc16(0, d.message) != 0:
		d.drop(ErrBadCRC)
	default:
		d.want = 0
		d.Message(d.message[:len(d.message)-crcSize])
	}
}
