package probe

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"hallmark/station/workdir"
)

// MaxImage is the largest image file in octets. The bound keeps a wrong path out of memory.
const MaxImage = 64 << 20

// An Image is a firmware image in memory. Drivers flash these octets and never read the file again, so
// that the octets with the checked SHA-256 are the octets in the flash.
type Image struct {
	Name     string // name of the file, for people
	Segments []Segment
	SHA256   [sha256.Size]byte // of the file
}

// A Segment is a run of octets. The segments of an Image are in ascending order and do not overlap.
type Segment struct {
	Address uint32
	Data    []byte
}

// End is the address after the last octet.
func (s Segment) End() uint64 { return uint64(s.Address) + uint64(len(s.Data)) }

// Size is the number of octets to flash.
func (i *Image) Size() int {
	size := 0
	for _, segment := range i.Segments {
		size += len(segment.Data)
	}
	return size
}

// maxSpan is the longest image whose octets are hashed as a whole.
const maxSpan = 64 << 20

// FlashSHA256 is the SHA-256 over the image from its first to its last octet, with erased octets in the gaps: this is the part of
// the flash that the firmware hashes for `hello`. It is no SHA-256 of the file, and zero for an image with a gap that is too long.
func (i *Image) FlashSHA256() [sha256.Size]byte {
	first := uint64(i.Segments[0].Address)
	span := i.Segments[len(i.Segments)-1].End() - first
	if span > maxSpan {
		return [sha256.Size]byte{}
	}
	octets := bytes.Repeat([]byte{0xff}, int(span))
	for _, s := range i.Segments {
		copy(octets[uint64(s.Address)-first:], s.Data)
	}
	return sha256.Sum256(octets)
}

// ReadImage reads an image file. The contents decide between elf and Intel hex; a file with the
// ending .bin is raw and lies at base, which the other formats do not use.
func ReadImage(path string, base uint32) (*Image, error) {
	text, err := workdir.ReadUpTo(path, MaxImage)
	if err != nil {
		return nil, fmt.Errorf("reading the image: %w: %w", ErrUnreadableImage, err)
	}
	image, err := ParseImage(filepath.Base(path), text, base)
	if err != nil {
		return nil, fmt.Errorf("reading the image %s: %w", path, err)
	}
	return image, nil
}

// ParseImage is ReadImage for the contents of a file.
func ParseImage(name string, text []byte, base uint32) (*Image, error) {
	segments, err := segmentsOf(name, text, base)
	if err != nil {
		return nil, err
	}
	if segments, err = joined(segments); err != nil {
		return nil, err
	}
	return &Image{Name: name, Segments: segments, SHA256: sha256.Sum256(text)}, nil
}

func segmentsOf(name string, text []byte, base uint32) ([]Segment, error) {
	switch ending := strings.ToLower(filepath.Ext(name)); {
	case bytes.HasPrefix(text, []byte(elf.ELFMAG)):
		return elfSegments(text)
	case ending == ".bin":
		return []Segment{{base, text}}, nil
	case bytes.HasPrefix(text, []byte(":")):
		return hexSegments(text)
	default:
		return nil, fmt.Errorf("%w: it has neither the contents of elf or hex nor the ending .bin", ErrImageFormat)
	}
}

// CheckSHA256 compares the file with the configured hash, 64 hexadecimal digits.
func (i *Image) CheckSHA256(want string) error {
	if got := hex.EncodeToString(i.SHA256[:]); !strings.EqualFold(got, want) {
		return fmt.Errorf("%w: %s has the SHA-256 %s, want %.64s", ErrImageHash, i.Name, got, want)
	}
	return nil
}

// joined sorts the segments, joins neighbours and refuses an overlap.
func joined(segments []Segment) ([]Segment, error) {
	segments = slices.DeleteFunc(segments, func(s Segment) bool { return len(s.Data) == 0 })
	slices.SortStableFunc(segments, func(a, b Segment) int { return cmp.Compare(a.Address, b.Address) })
	var all []Segment
	for _, s := range segments {
		last := len(all) - 1
		switch {
		case s.End() > 1<<32:
			return nil, fmt.Errorf("%w: octets past the address 0xffffffff", ErrImageFormat)
		case last >= 0 && uint64(s.Address) < all[last].End():
			return nil, fmt.Errorf("%w: two parts have the address %#08x", ErrImageFormat, s.Address)
		case last >= 0 && uint64(s.Address) == all[last].End():
			all[last].Data = append(slices.Clip(all[last].Data), s.Data...)
		default:
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: it has no octets to flash", ErrImageFormat)
	}
	return all, nil
}

// elfSegments returns the loadable segments at their physical addresses, where a programmer puts them.
func elfSegments(text []byte) ([]Segment, error) {
	file, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImageFormat, err)
	}
	if file.Class != elf.ELFCLASS32 || file.Type != elf.ET_EXEC {
		return nil, fmt.Errorf("%w: %v, %v; want a 32-bit executable", ErrImageFormat, file.Class, file.Type)
	}
	var segments []Segment
	left := uint64(len(text)) // two parts from the same octets of the file could fill the memory
	for _, program := range file.Progs {
		if program.Type != elf.PT_LOAD || program.Filesz == 0 {
			continue
		}
		segment, err := elfSegment(program, left)
		if err != nil {
			return nil, err
		}
		left -= program.Filesz
		segments = append(segments, segment)
	}
	return segments, nil
}

var errBeyond = errors.New("segment lies outside of the file, or the segments have more octets than the file")

func elfSegment(program *elf.Prog, left uint64) (Segment, error) {
	if program.Filesz > left || program.Paddr > 1<<32-1 {
		return Segment{}, fmt.Errorf("%w: %w", ErrImageFormat, errBeyond)
	}
	data := make([]byte, program.Filesz)
	if _, err := program.ReadAt(data, 0); err != nil {
		return Segment{}, fmt.Errorf("%w: %w: %w", ErrImageFormat, errBeyond, err)
	}
	return Segment{uint32(program.Paddr), data}, nil
}
