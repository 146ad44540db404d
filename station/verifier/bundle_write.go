package verifier

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"

	"hallmark/station"
)

// A BundleWriter collects the records of a status bundle in memory. The zero value is empty.
type BundleWriter struct{ records []byte }

// Add adds a record. The serial numbers must come in their order: ReadBundle refuses a bundle in another order.
func (w *BundleWriter) Add(serial [serialSize]byte, record station.Record) error {
	purpose, status := slices.Index(bundlePurposes, record.Purpose)+1, slices.Index(bundleStatuses, record.Status)+1
	if purpose == 0 || status == 0 {
		return fmt.Errorf("adding certificate %x to a status bundle: purpose %q and status %q: want known ones", serial, record.Purpose, record.Status)
	}
	w.records = append(w.records, serial[:]...)
	w.records = append(w.records, record.CertificateSHA256[:]...)
	w.records = append(w.records, record.BoardID[:]...)
	w.records = append(w.records, byte(purpose), byte(status))
	return nil
}

// Len returns the number of records.
func (w *BundleWriter) Len() int { return len(w.records) / recordSize }

// Finish returns the whole file. sign signs a SHA-256.
func (w *BundleWriter) Finish(head BundleHead, sign func(digest [sha256.Size]byte) ([]byte, error)) ([]byte, error) {
	if w.Len() > maxRecords {
		return nil, fmt.Errorf("writing a status bundle: %d serial numbers, want at most %d", w.Len(), maxRecords)
	}
	octets := make([]byte, headSize, headSize+len(w.records)+maxSignature)
	copy(octets, bundleMagic)
	binary.BigEndian.PutUint32(octets[16:], bundleVersion)
	binary.BigEndian.PutUint32(octets[20:], uint32(w.Len()))
	binary.BigEndian.PutUint64(octets[24:], head.Number)
	binary.BigEndian.PutUint64(octets[32:], uint64(head.Issued.Unix()))
	binary.BigEndian.PutUint64(octets[40:], uint64(head.NextUpdate.Unix()))
	copy(octets[48:], head.Issuer[:])
	octets = append(octets, w.records...)
	signature, err := sign(sha256.Sum256(octets))
	if err != nil {
		return nil, fmt.Errorf("signing a status bundle: %w", err)
	}
	return append(octets, signature...), nil
}

// CheckBundle refuses the content of a bundle that a verifier would refuse.
func CheckBundle(octets []byte, authority *x509.Certificate) error {
	signed, err := checkSize(octets, int64(len(octets)))
	if err != nil {
		return err
	}
	_, err = parseBundle(octets, signed, []*x509.Certificate{authority})
	return err
}
