package probe

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Record types of Intel hex (Hexadecimal Object File Format Specification, Revision A, 1988).
const (
	hexData           = 0x00
	hexEnd            = 0x01
	hexSegmentAddress = 0x02 // bits 4..19 of the address
	hexSegmentStart   = 0x03 // where to run: not of use here
	hexLinearAddress  = 0x04 // bits 16..31 of the address
	hexLinearStart    = 0x05 // where to run: not of use here
)

// hexOverhead is a record without data: length, two octets of address, type, checksum.
const hexOverhead = 5

// hexFile collects the records of a file.
type hexFile struct {
	base     uint32
	segments []Segment
	ended    bool
}

func hexSegments(text []byte) ([]Segment, error) {
	var file hexFile
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := file.add(line); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrImageFormat, number, err)
		}
	}
	if !file.ended {
		return nil, fmt.Errorf("%w: the record that ends a hex file is missing, so the file was cut", ErrImageFormat)
	}
	return file.segments, nil
}

// add decodes one record: ":", then length, address, type, data and checksum in hexadecimal.
func (f *hexFile) add(line []byte) error {
	if f.ended || line[0] != ':' {
		return fmt.Errorf("not a record of a hex file: %.20q", line)
	}
	record, err := hex.DecodeString(string(line[1:]))
	if err != nil {
		return err
	}
	if len(record) < hexOverhead || len(record) != hexOverhead+int(record[0]) {
		return fmt.Errorf("a record of %d octets", len(record))
	}
	var sum byte
	for _, octet := range record {
		sum += octet
	}
	if sum != 0 {
		return fmt.Errorf("wrong checksum")
	}
	return f.take(record[3], binary.BigEndian.Uint16(record[1:]), record[4:len(record)-1])
}

func (f *hexFile) take(kind byte, offset uint16, data []byte) error {
	switch {
	case kind == hexData:
		f.put(f.base+uint32(offset), data)
	case kind == hexEnd && len(data) == 0:
		f.ended = true
	case kind == hexSegmentAddress && len(data) == 2:
		f.base = uint32(binary.BigEndian.Uint16(data)) << 4
	case kind == hexLinearAddress && len(data) == 2:
		f.base = uint32(binary.BigEndian.Uint16(data)) << 16
	case kind == hexSegmentStart || kind == hexLinearStart:
	default:
		return fmt.Errorf("record of the unknown type %d", kind)
	}
	return nil
}

// put appends data to the last segment where it fits, so that a file has few segments.
func (f *hexFile) put(address uint32, data []byte) {
	if last := len(f.segments) - 1; last >= 0 && f.segments[last].End() == uint64(address) {
		f.segments[last].Data = append(f.segments[last].Data, data...)
		return
	}
	f.segments = append(f.segments, Segment{address, bytes.Clone(data)})
}

// hexLine is the number of octets in each record that Hex writes.
const hexLine = 16

// Hex returns the image as Intel hex, with lines that end as the specification says.
func (i *Image) Hex() []byte {
	var text bytes.Buffer
	base := uint32(0)
	for _, s := range i.Segments {
		for address, rest := s.Address, s.Data; len(rest) > 0; {
			if high := address &^ 0xffff; high != base {
				base = high
				writeRecord(&text, hexLinearAddress, 0, binary.BigEndian.AppendUint16(nil, uint16(high>>16)))
			}
			n := min(len(rest), hexLine-int(address%hexLine))
			writeRecord(&text, hexData, uint16(address), rest[:n])
			address, rest = address+uint32(n), rest[n:]
		}
	}
	writeRecord(&text, hexEnd, 0, nil)
	return text.Bytes()
}

func writeRecord(text *bytes.Buffer, kind byte, offset uint16, data []byte) {
	record := append([]byte{byte(len(data)), byte(offset >> 8), byte(offset), kind}, data...)
	var sum byte
	for _, octet := range record {
		sum -= octet
	}
	fmt.Fprintf(text, ":%X\r\n", append(record, sum))
}
