package witness

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// PackageWidth is the number of entries in a full entry package. Packages begin at multiples of
// this number (C2SP tlog-mirror, "add-entries").
const PackageWidth = 256

// maxPackages is the number of entry packages that one request should have at most (C2SP
// tlog-mirror, "Implementation Considerations").
const maxPackages = 32

// An Upload is the head of a request add-entries: which entries of which log come.
type Upload struct {
	Origin     string
	Start, End int64
	Ticket     []byte // what the mirror gave before, or nothing
}

// ErrUpload: the body of add-entries does not have its form.
var ErrUpload = errors.New("not a request add-entries")

// Append appends the head to a body.
func (u *Upload) Append(body []byte) []byte {
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(u.Origin))), u.Origin...)
	body = binary.BigEndian.AppendUint64(body, uint64(u.Start))
	body = binary.BigEndian.AppendUint64(body, uint64(u.End))
	return append(binary.BigEndian.AppendUint16(body, uint16(len(u.Ticket))), u.Ticket...)
}

// ReadUpload reads the head of a body.
func ReadUpload(r io.Reader) (*Upload, error) {
	origin, err := readSized(r)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the origin: %w", ErrUpload, err)
	}
	var bounds [16]byte
	if _, err := io.ReadFull(r, bounds[:]); err != nil {
		return nil, fmt.Errorf("%w: reading the bounds: %w", ErrUpload, err)
	}
	ticket, err := readSized(r)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the ticket: %w", ErrUpload, err)
	}
	start, end := binary.BigEndian.Uint64(bounds[:]), binary.BigEndian.Uint64(bounds[8:])
	if start > end || end > 1<<62 {
		return nil, fmt.Errorf("%w: entries %d to %d", ErrUpload, start, end)
	}
	return &Upload{string(origin), int64(start), int64(end), ticket}, nil
}

func readSized(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	content := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, content)
	return content, err
}

// A Package is an entry package: the entries [Start, End) and the proof of the subtree that
// begins at the multiple of 256 at or below Start, and ends at End.
type Package struct {
	Start, End int64
	Entries    [][]byte
	Proof      []tlog.Hash
}

// Floor is the multiple of 256 at or below an entry.
func Floor(entry int64) int64 { return entry / PackageWidth * PackageWidth }

// Bounds gives the bounds of the package that begins with an entry.
func (u *Upload) Bounds(start int64) (end int64) { return min(u.End, Floor(start)+PackageWidth) }

// ReadPackage reads the package with these bounds.
func ReadPackage(r io.Reader, start, end int64) (*Package, error) {
	p := &Package{Start: start, End: end}
	for range end - start {
		entry, err := readSized(r)
		if err != nil {
			return nil, err
		}
		p.Entries = append(p.Entries, entry)
	}
	var count [1]byte
	if _, err := io.ReadFull(r, count[:]); err != nil {
		return nil, err
	}
	if count[0] > MaxProof {
		return nil, fmt.Errorf("%w: a proof with %d hashes, want at most %d", ErrUpload, count[0], MaxProof)
	}
	for range count[0] {
		var hash tlog.Hash
		if _, err := io.ReadFull(r, hash[:]); err != nil {
			return nil, err
		}
		p.Proof = append(p.Proof, hash)
	}
	return p, nil
}

// Append appends the package to a body.
func (p *Package) Append(body []byte) []byte {
	for _, entry := range p.Entries {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(entry))), entry...)
	}
	body = append(body, byte(len(p.Proof)))
	for _, hash := range p.Proof {
		body = append(body, hash[:]...)
	}
	return body
}

// Info is what a mirror answers when it wants further entries, or others.
type Info struct {
	Size   int64 // of a checkpoint that the mirror knows
	Next   int64 // the first entry that the mirror lacks
	Ticket []byte
}

// Encode returns the body of the answer.
func (i *Info) Encode() []byte {
	return fmt.Appendf(nil, "%d\n%d\n%s\n", i.Size, i.Next, base64.StdEncoding.EncodeToString(i.Ticket))
}

// ParseInfo reads the body of the answer.
func ParseInfo(body []byte) (*Info, error) {
	lines := strings.Split(string(bytes.TrimSuffix(body, []byte("\n"))), "\n")
	if len(lines) != 3 {
		return nil, fmt.Errorf("the state of a mirror has %d lines, want 3", len(lines))
	}
	size, bad := parseSize(lines[0])
	next, worse := parseSize(lines[1])
	ticket, worst := base64.StdEncoding.DecodeString(lines[2])
	return &Info{size, next, ticket}, errors.Join(bad, worse, worst)
}
