package smp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// Reasons for dropping a frame. The sender repeats the message after its time-out.
var (
	ErrBadCRC      = errors.New("frame: CRC does not match")
	ErrBadBase64   = errors.New("frame: line is not base64")
	ErrLineEnd     = fmt.Errorf("%w, because it ends with CR LF", ErrBadBase64)
	ErrBadLength   = errors.New("frame: length field does not fit the octets")
	ErrTooLong     = errors.New("frame: message is past the buffer")
	ErrLineTooLong = errors.New("frame: line is longer than 127 octets")
	ErrOrphan      = errors.New("frame: continuation without a first line")
	ErrUnfinished  = errors.New("frame: a new message began before this one was complete")
)

// A Decoder separates the octets of a UART into messages, console text and damaged
// frames. It stores at most one line and one message. After any damage it continues
// with the next marker. Every octet is counted either as console text or as part of a
// frame; see [Counts].
//
// Write calls the callbacks in the order of the octets. Their slices are valid only
// during the call. No callback may be nil.
type Decoder struct {
	Message func(message []byte) // header and body, CRC verified
	Console func(text []byte)    // octets outside frames
	Dropped func(reason error)   // one of the errors above

	limit   int
	counts  Counts
	inLine  bool
	isFirst bool // the line began with 06 09
	held    byte // a first marker octet whose second octet has not come yet, or 0
	content [lineContent]byte
	n       int
	message []byte
	want    int // length of the message with its CRC, in octets; 0: no message has begun
}

// Counts divides the octets: written = Console + Framed + Decoder.Held.
type Counts struct {
	Console int64 // given to Decoder.Console
	Framed  int64 // in lines of good and damaged frames: markers, base64, newlines
}

// NewDecoder makes a decoder. It drops messages of more than limit octets (header and
// body) with [ErrTooLong].
func NewDecoder(limit int, message, console func([]byte), dropped func(error)) *Decoder {
	return &Decoder{Message: message, Console: console, Dropped: dropped, limit: min(limit, MaxMessage)}
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

// consoleOctets takes octets outside a frame and returns how many it took.
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

// frameOctets takes octets of a frame's line and returns how many it took.
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

// put stores an octet of a line. It returns false when the line is too long for a
// frame: the stored octets are then console text, and the following ones, too.
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

// end ends the line and hands out the message if this line completes one.
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
	// encoding/base64 skips carriage returns; PROTOCOL.md section 1 forbids them.
	carriageReturn := bytes.IndexByte(line, '\r')
	n, err := base64.StdEncoding.Strict().Decode(raw, line)
	switch {
	case err == nil && n > 0 && carriageReturn >= 0 && carriageReturn == len(line)-1: // a log in the frame may end with CR LF, too
		return nil, ErrLineEnd
	case err != nil || carriageReturn >= 0:
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
