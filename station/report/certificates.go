package report

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"hallmark/devices"
	"hallmark/station/workdir"
)

// A CertificateSource gives the active certificates of a registry.
type CertificateSource interface {
	// EachActive calls visit with each active certificate (DER). A BoardID that is not zero
	// selects the certificates of one board.
	EachActive(ctx context.Context, only devices.BoardID, visit func(devices.BoardID, devices.Purpose, []byte) error) error
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
func (c Certificates) files(id devices.BoardID, purpose devices.Purpose, der []byte) []workdir.File {
	stem := filepath.Join(c.Folder, id.String())
	if purpose != devices.PurposeTLS {
		stem += "." + purpose.String()
	}
	return []workdir.File{
		{Path: stem + ".pem", Content: workdir.CertificatePEM(der)},
		{Path: stem + ".chain.pem", Content: workdir.CertificatePEM(der, c.Issuing)},
	}
}

// Export writes the files of the active certificates that are missing or have other content.
// It returns the number of certificates, and how many of them it wrote. Export needs no HSM.
func (c Certificates) Export(ctx context.Context, from CertificateSource, only devices.BoardID) (all, written int, err error) {
	e := export{Certificates: c}
	err = errors.Join(from.EachActive(ctx, only, e.add), e.flush())
	return e.all, e.written, err
}

// An export is one pass over all active certificates.
type export struct {
	Certificates
	// group does the work on a group of certificates. nil: the work needs no lock.
	guard func(do func(skip func(certificateKey) bool) error) error

	waiting      []certificate
	all, written int
}

// A certificateKey names the certificate files of one key of a board.
type certificateKey struct {
	board   devices.BoardID
	purpose devices.Purpose
}

type certificate struct {
	certificateKey
	der []byte
}

func (e *export) add(id devices.BoardID, purpose devices.Purpose, der []byte) error {
	e.waiting = append(e.waiting, certificate{certificateKey{id, purpose}, der})
	if e.all++; len(e.waiting) < groupSize {
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
	written := 0
	for _, c := range e.waiting {
		if skip(c.certificateKey) {
			continue
		}
		files, err := differing(e.files(c.board, c.purpose, c.der))
		if err != nil {
			return err
		}
		if len(files) > 0 {
			wrong, written = append(wrong, files...), written+1
		}
	}
	if err := workdir.WriteFiles(wrong...); err != nil {
		return err
	}
	e.written += written
	return nil
}

// differing returns the files that are missing or have other content on the disk.
func differing(want []workdir.File) (wrong []workdir.File, err error) {
	for _, file := range want {
		held, err := os.ReadFile(file.Path)
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case err != nil || !bytes.Equal(held, file.Content):
			wrong = append(wrong, file)
		}
	}
	return wrong, nil
}
