package ceremony

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"hallmark/hsm"
	"hallmark/station/workdir"
)

// intendCertificate records what the key will sign, before it does: a signature that was made and whose answer got lost is on record, too.
func (t *transcript) intendCertificate(twin *x509.Certificate) error {
	return t.add("certificate-intended", map[string]string{
		"subject": twin.Subject.String(), "serial": twin.SerialNumber.Text(16), "tbs_sha256": hexSum(twin.RawTBSCertificate),
	})
}

// certificate records a certificate.
func (t *transcript) certificate(c *x509.Certificate) error {
	return t.add("certificate", map[string]string{
		"subject_spki_sha256": hexSum(c.RawSubjectPublicKeyInfo),
		"subject":             c.Subject.String(), "issuer": c.Issuer.String(), "serial": c.SerialNumber.Text(16), "sha256": hexSum(c.Raw),
		"not_before": c.NotBefore.UTC().Format(time.RFC3339), "not_after": c.NotAfter.UTC().Format(time.RFC3339), "pem": string(workdir.CertificatePEM(c.Raw)),
	})
}

// intend records label and id of the key before the key is made. A resumed ceremony takes those that it had.
func (t *transcript) intend(label string, octets int, random io.Reader) (ref hsm.KeyRef, begun bool, err error) {
	for _, one := range t.lines {
		switch one.What {
		case "key-intended":
			id, err := hex.DecodeString(one.Facts["id"])
			if err != nil || len(id) == 0 || one.Facts["label"] != label {
				return hsm.KeyRef{}, false, fmt.Errorf("%w: it intends another key than %q", ErrTranscript, label)
			}
			ref, begun = hsm.KeyRef{ID: id, Label: label}, true
		case "key-refused":
			begun = false
		}
	}
	if begun {
		return ref, true, nil
	}
	if ref, err = newRef(label, octets, random); err != nil {
		return ref, false, err
	}
	return ref, false, t.add("key-intended", map[string]string{"label": label, "id": hex.EncodeToString(ref.ID)})
}

// refused takes the intent back.
func (t *transcript) refused(ref hsm.KeyRef) error {
	return t.add("key-refused", map[string]string{"label": ref.Label, "id": hex.EncodeToString(ref.ID)})
}

// left names the key that the ceremony has made or may have made, for the error of a ceremony that stops; empty: there is none.
func (t *transcript) left() (text string) {
	for _, one := range t.lines {
		switch one.What {
		case "key-intended":
			text = left(one.Facts["label"], one.Facts["id"], false)
		case "key-made", "key-adopted":
			text = left(one.Facts["label"], one.Facts["id"], true)
		case "key-refused":
			text = ""
		}
	}
	if text != "" {
		text += "; the same command goes on with it"
	}
	return text
}

// discard removes the transcript of a ceremony in which nothing has happened to a key, such as one whose token was not found: a file
// that is corrected may then take the same directory.
func (t *transcript) discard() error {
	nothing := []string{"begin", "resumed", "token", "issuer-found", "key-intended", "key-refused"}
	if t.left() != "" || slices.ContainsFunc(t.lines, func(one entry) bool { return !slices.Contains(nothing, one.What) }) {
		return nil
	}
	if others, err := os.ReadDir(t.folder); err != nil || len(others) > 1 { // somebody keeps something there
		return err
	}
	if err := errors.Join(os.Remove(t.file.Name()), os.Remove(t.folder)); err != nil {
		return fmt.Errorf("%w: %w", ErrOutput, err)
	}
	return nil
}
