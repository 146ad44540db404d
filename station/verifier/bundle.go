package verifier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sort"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/workdir"
)

// A status bundle has the status of all certificates of a station in one file that the issuing CA has signed, for a
// verifier on another host (docs/verifier.md). All numbers are big endian:
//
//	16 octets  "hallmark status\n"
//	 4         version of the format, 1
//	 4         number of records, n
//	 8         number of the bundle; each bundle of a station has a greater one
//	 8         time of issue, in seconds since 1970
//	 8         time of the next update, in seconds since 1970
//	32         SHA-256 of the SubjectPublicKeyInfo of the CA that signed
//	66 n       records in the order of their serial numbers, each number once:
//	           serial number (16), SHA-256 of the certificate (32), BoardID (16), purpose (1), status (1)
//	rest       ECDSA signature with SHA-256 over everything before it (X9.62, DER)
//
// The first octet is no DER tag of a SEQUENCE, so the signature fits no certificate and no CRL.
const (
	bundleMagic   = "hallmark status\n"
	bundleVersion = 1
	headSize      = 80
	recordSize    = 66
	serialSize    = 16
	maxRecords    = 16 << 20 // about 1 GiB
	maxSignature  = 256
)

// The octets of purposes and statuses are their places in these lists, counted from 1.
var bundlePurposes = []devices.Purpose{devices.PurposeTLS, devices.PurposeCOSE}

// bundleStatuses has each status once, and statuses are only ever added at the end.
var bundleStatuses = []station.Status{
	station.StatusIssued, station.StatusDelivered, station.StatusActive, station.StatusSuperseded,
	station.StatusRevoked, station.StatusScrapped, station.StatusUnresolved, station.StatusHeld,
}

// A BundleHead is what a status bundle says of itself.
type BundleHead struct {
	Number     uint64
	Issued     time.Time
	NextUpdate time.Time
	Issuer     [sha256.Size]byte // SHA-256 of the SubjectPublicKeyInfo of the CA that signed
}

// A Bundle is a [Known] that is read from a status bundle. A Bundle does not change.
type Bundle struct {
	BundleHead
	SHA256  [sha256.Size]byte // of the file
	records []byte
	shift   int      // what is left of the first four octets of a serial number is its bucket
	begin   []uint32 // the first record of this bucket or of a later one
}

// Len returns the number of serial numbers in the bundle.
func (b *Bundle) Len() int { return len(b.records) / recordSize }

// Lookup implements [Known].
func (b *Bundle) Lookup(_ context.Context, serial [serialSize]byte) (station.Record, error) {
	bucket := b.bucket(serial[:])
	from, to := int(b.begin[bucket]), int(b.begin[bucket+1])
	n := from + sort.Search(to-from, func(i int) bool { return bytes.Compare(b.record(from + i)[:serialSize], serial[:]) >= 0 })
	if n == to || [serialSize]byte(b.record(n)) != serial {
		return station.Record{}, station.ErrUnknownCertificate
	}
	found := b.record(n)
	record := station.Record{Purpose: bundlePurposes[found[64]-1], Status: bundleStatuses[found[65]-1]}
	copy(record.CertificateSHA256[:], found[16:48])
	copy(record.BoardID[:], found[48:64])
	return record, nil
}

func (b *Bundle) bucket(serial []byte) int { return int(binary.BigEndian.Uint32(serial) >> b.shift) }

func (b *Bundle) record(n int) []byte { return b.records[n*recordSize : (n+1)*recordSize] }

// ReadBundle reads a status bundle, and refuses a bundle that none of the authorities has signed.
func ReadBundle(path string, authorities []*x509.Certificate) (*Bundle, error) {
	octets, size, err := readBundleFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the status bundle %s: %w", path, err)
	}
	b, err := parseBundle(octets, size, authorities)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// readBundleFile reads a file that is as large as its head says, and returns the size of what is signed.
func readBundleFile(path string) (octets []byte, signed int, err error) {
	file, err := workdir.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	head := make([]byte, headSize)
	if _, err := io.ReadFull(file, head); err != nil {
		return nil, 0, fmt.Errorf("%w: it ends in its head", ErrStatusDamaged)
	}
	if signed, err = checkSize(head, info.Size()); err != nil {
		return nil, 0, err
	}
	octets = make([]byte, info.Size())
	copy(octets, head)
	if _, err := io.ReadFull(file, octets[headSize:]); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrStatusDamaged, err)
	}
	return octets, signed, nil
}

// checkSize refuses a file that is not as large as its head says, and returns the size of what is signed.
func checkSize(head []byte, size int64) (signed int, err error) {
	if len(head) < headSize || string(head[:len(bundleMagic)]) != bundleMagic {
		return 0, fmt.Errorf("%w: it does not begin as a status bundle", ErrStatusDamaged)
	}
	if version := binary.BigEndian.Uint32(head[16:]); version != bundleVersion {
		return 0, fmt.Errorf("%w: its format is version %d, want %d", ErrStatusDamaged, version, bundleVersion)
	}
	count := int64(binary.BigEndian.Uint32(head[20:]))
	signature := size - headSize - recordSize*count
	if count > maxRecords || signature < 1 || signature > maxSignature {
		return 0, fmt.Errorf("%w: it has %d octets, which does not fit %d records", ErrStatusDamaged, size, count)
	}
	return int(size - signature), nil
}

func parseBundle(octets []byte, signed int, authorities []*x509.Certificate) (*Bundle, error) {
	b := &Bundle{BundleHead: parseHead(octets), records: octets[headSize:signed]}
	issuer, err := b.authority(authorities)
	if err != nil {
		return nil, err
	}
	// The signature comes first: nothing below interprets what a stranger wrote.
	if err := issuer.CheckSignature(x509.ECDSAWithSHA256, octets[:signed], octets[signed:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatusForged, err)
	}
	b.SHA256 = sha256.Sum256(octets)
	return b, b.index()
}

func parseHead(octets []byte) (h BundleHead) {
	h.Number = binary.BigEndian.Uint64(octets[24:])
	h.Issued = time.Unix(int64(binary.BigEndian.Uint64(octets[32:])), 0).UTC()
	h.NextUpdate = time.Unix(int64(binary.BigEndian.Uint64(octets[40:])), 0).UTC()
	copy(h.Issuer[:], octets[48:headSize])
	return h
}

// authority finds the CA that the bundle names.
func (b *Bundle) authority(authorities []*x509.Certificate) (*x509.Certificate, error) {
	for _, ca := range authorities {
		if keyOf(ca) == b.Issuer && mayRevoke(ca) {
			return ca, nil
		}
	}
	return nil, fmt.Errorf("%w: it names the CA key %x", ErrStatusForeign, b.Issuer)
}

func keyOf(certificate *x509.Certificate) [sha256.Size]byte {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}

// mayRevoke reports whether a CA may sign what is revoked (RFC 5280 section 4.2.1.3).
func mayRevoke(ca *x509.Certificate) bool {
	return ca.IsCA && ca.BasicConstraintsValid && ca.KeyUsage&x509.KeyUsageCRLSign != 0
}

// index checks each record, and notes where each bucket begins. The first two bits of the serial numbers of a station are the
// same, so about one record falls into each bucket that is used: a lookup reads little memory.
func (b *Bundle) index() error {
	width := bits.Len(uint(b.Len())) + 2
	b.shift, b.begin = 32-width, make([]uint32, 1<<width+1)
	next := 0
	for n := range b.Len() {
		record := b.record(n)
		if n > 0 && bytes.Compare(b.record(n - 1)[:serialSize], record[:serialSize]) >= 0 {
			return fmt.Errorf("%w: record %d is not in order", ErrStatusDamaged, n)
		}
		if !within(record[64], len(bundlePurposes)) || !within(record[65], len(bundleStatuses)) {
			return fmt.Errorf("%w: record %d has the purpose %d and the status %d, which this version does not know", ErrStatusDamaged, n, record[64], record[65])
		}
		for bucket := b.bucket(record); next <= bucket; next++ {
			b.begin[next] = uint32(n)
		}
	}
	for ; next < len(b.begin); next++ {
		b.begin[next] = uint32(b.Len())
	}
	return nil
}

func within(octet byte, length int) bool { return octet >= 1 && int(octet) <= length }

// IsBundle reports whether a file begins as a status bundle.
func IsBundle(path string) bool {
	file, err := workdir.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	begin := make([]byte, len(bundleMagic))
	_, err = io.ReadFull(file, begin)
	return err == nil && string(begin) == bundleMagic
}
