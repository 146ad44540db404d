package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"hallmark/station/audit"
)

// A digest is a SHA-256.
type digest [sha256.Size]byte

// String gives the digest in hexadecimal.
func (d digest) String() string { return hex.EncodeToString(d[:]) }

// certificateFile is the name of the file of a certificate.
func certificateFile(d digest) string { return certificateDir + d.String() + ".der" }

// wanted has the digests of the certificates that the entries say were issued. strange is a text
// that is not a digest.
type wanted struct {
	digests map[digest]struct{}
	strange *string
}

func newWanted() wanted { return wanted{map[digest]struct{}{}, new(string)} }

// note takes the next entry, and reports whether the entry issued a certificate.
func (w wanted) note(e *audit.Entry) bool {
	if e.Type != "cert.issued" || e.Cert == nil {
		return false
	}
	var d digest
	if !parseHex(d[:], e.Cert.SHA256) {
		*w.strange = e.Cert.SHA256
		return true
	}
	w.digests[d] = struct{}{}
	return true
}

var errMissingCertificate = errors.New("the registry lacks a certificate that the log says was issued; run `station audit verify`")

// missing is the error for certificates that were not found.
func (w wanted) missing() error {
	if *w.strange != "" {
		return fmt.Errorf("%w: sha256 %q", errMissingCertificate, *w.strange)
	}
	for d := range w.digests {
		return fmt.Errorf("%w: sha256 %v", errMissingCertificate, d)
	}
	return nil
}

// certificates writes the certificates that the entries name.
func (w *writer) certificates(ctx context.Context, source Source, wanted wanted) error {
	err := source.EachCertificate(ctx, func(der []byte) error { return w.certificate(der, wanted) })
	return errors.Join(err, wanted.missing())
}

// certificate writes a certificate, unless it was issued after the checkpoint of the bundle.
func (w *writer) certificate(der []byte, wanted wanted) error {
	sum := digest(sha256.Sum256(der))
	if _, ok := wanted.digests[sum]; !ok {
		return nil
	}
	delete(wanted.digests, sum)
	w.issued = append(w.issued, sum)
	return w.file(certificateFile(sum), der)
}
