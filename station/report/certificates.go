package report

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"hallmark/devices"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A CertificateSource gives the active certificates of a registry.
type CertificateSource interface {
	// EachActive calls visit with each selected certificate.
	EachActive(ctx context.Context, only registry.ActiveFilter, visit func(registry.ActiveCertificate) error) error
}

// groupSize is the number of certificates whose files are brought to the disk together.
const groupSize = 64

// Certificates is a folder with the certificate files of boards: ID.pem and ID.chain.pem for
// a TLS key, ID.cose.pem and ID.cose.chain.pem for a COSE key.
type Certificates struct {
	Folder  string
	Issuing []byte // DER, for the chain files
}

// files returns the files of a certificate: for `openssl verify`, and the chain for TLS servers.
func (c Certificates) files(key certificateKey, der []byte) []workdir.File {
	stem := filepath.Join(c.Folder, key.board.String())
	if key.purpose != devices.PurposeTLS {
		stem += "." + key.purpose.String()
	}
	return []workdir.File{
		{Path: stem + ".pem", Content: workdir.CertificatePEM(der)},
		{Path: stem + ".chain.pem", Content: workdir.CertificatePEM(der, c.Issuing)},
	}
}

// Export writes the files of the active certificates that are missing or have other content.
// Export needs no HSM.
func (c Certificates) Export(ctx context.Context, from CertificateSource, only registry.ActiveFilter) (Written, error) {
	e := export{Certificates: c, newest: math.MaxInt64}
	err := errors.Join(from.EachActive(ctx, only, e.add), e.flush())
	return e.Written, err
}

// Written counts certificates.
type Written struct {
	All      int
	Now      int // whose files were missing, or had other content
	Replaced int // of those, whose files had other content
}

// An export is one pass over active certificates.
type export struct {
	Certificates
	// newest is how many of the newest certificates are compared by content. Older ones are
	// compared by size, which reads no file.
	newest int64
	// guard calls do while nobody else writes certificates. skip names certificates to leave
	// alone. nil: nobody else writes.
	guard func(do func(skip func(certificateKey) bool) error) error

	waiting []registry.ActiveCertificate
	Written
}

// A certificateKey names the certificate files of one key of a board.
type certificateKey struct {
	board   devices.BoardID
	purpose devices.Purpose
}

func (e *export) add(c registry.ActiveCertificate) error {
	e.waiting = append(e.waiting, c)
	if e.All++; len(e.waiting) < groupSize {
		return nil
	}
	return e.flush()
}

func (e *export) flush() error {
	defer func() { e.waiting = e.waiting[:0] }()
	if e.guard == nil {
		return e.mend(func(certificateKey) bool { return false })
	}
	return e.guard(e.mend)
}

// mend writes the wrong files of the certificates that wait.
func (e *export) mend(skip func(certificateKey) bool) error {
	var wrong []workdir.File
	now, replaced := 0, 0
	for _, c := range e.waiting {
		key := certificateKey{c.BoardID, c.Purpose}
		if skip(key) {
			continue
		}
		differs := sizeDiffers
		if c.Age < e.newest {
			differs = contentDiffers
		}
		before, held := len(wrong), false
		for _, file := range e.files(key, c.DER) {
			if yes, err := differs(file); err != nil {
				return err
			} else if yes {
				wrong, held = append(wrong, file), held || workdir.Exists(file.Path)
			}
		}
		if len(wrong) > before {
			now++
		}
		if held {
			replaced++
		}
	}
	if err := workdir.WriteFiles(wrong...); err != nil {
		return err
	}
	e.Now += now
	e.Replaced += replaced
	return nil
}

// contentDiffers reports whether a file is missing or has other content on the disk.
func contentDiffers(want workdir.File) (bool, error) {
	held, err := workdir.ReadFile(want.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return !bytes.Equal(held, want.Content), err
}

// sizeDiffers reports whether a file is missing or has another size on the disk.
func sizeDiffers(want workdir.File) (bool, error) {
	held, err := os.Stat(want.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	return held.Size() != int64(len(want.Content)), nil
}
