package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"hallmark/devices"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A CertificateSource gives the active certificates of a registry.
type CertificateSource interface {
	// EachActive calls visit with each active certificate. A BoardID that is not zero selects
	// the certificates of one board.
	EachActive(ctx context.Context, only devices.BoardID, visit func(registry.ActiveCertificate) error) error
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
// It returns the number of certificates, and how many of them it wrote. Export needs no HSM.
func (c Certificates) Export(ctx context.Context, from CertificateSource, only devices.BoardID) (all, written int, err error) {
	e := export{Certificates: c, newest: math.MaxInt64}
	err = errors.Join(from.EachActive(ctx, only, e.add), e.flush())
	return e.all, e.written, err
}

// Export writes the active certificates of a station to a directory, and prints their number.
func Export(ctx context.Context, w io.Writer, dir workdir.Dir, from CertificateSource, out string, only devices.BoardID) error {
	issuing, err := workdir.ReadCertificate(dir.Issuing())
	if err != nil {
		return err
	}
	all, written, err := Certificates{out, issuing.Raw}.Export(ctx, from, only)
	if err != nil {
		return fmt.Errorf("exporting certificates: %w", err)
	}
	if all == 0 && !only.IsZero() {
		return reason.Usage(fmt.Errorf("--board %v: %w", only, errNoCertificate))
	}
	_, err = fmt.Fprintf(w, "%s in %s, %d of them written now\n", reason.Count(all, "certificate", "certificates"), out, written)
	return err
}

var errNoCertificate = errors.New("the board has no active certificate; see `station boards`")

// An export is one pass over active certificates.
type export struct {
	Certificates
	// newest is how many of the newest certificates are compared by content. Older ones are
	// compared by size, which reads no file.
	newest int64
	// guard calls do while nobody else writes certificates. skip names certificates to leave
	// alone. nil: nobody else writes.
	guard func(do func(skip func(certificateKey) bool) error) error

	waiting      []registry.ActiveCertificate
	all, written int
}

// A certificateKey names the certificate files of one key of a board.
type certificateKey struct {
	board   devices.BoardID
	purpose devices.Purpose
}

func (e *export) add(c registry.ActiveCertificate) error {
	e.waiting = append(e.waiting, c)
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
		key := certificateKey{c.BoardID, c.Purpose}
		if skip(key) {
			continue
		}
		differs := sizeDiffers
		if c.Age < e.newest {
			differs = contentDiffers
		}
		before := len(wrong)
		for _, file := range e.files(key, c.DER) {
			if yes, err := differs(file); err != nil {
				return err
			} else if yes {
				wrong = append(wrong, file)
			}
		}
		if len(wrong) > before {
			written++
		}
	}
	if err := workdir.WriteFiles(wrong...); err != nil {
		return err
	}
	e.written += written
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
