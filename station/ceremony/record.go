package ceremony

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"time"

	"hallmark/hsm"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// ErrRecord: a stopped ceremony has a certificate on record with which this program cannot go on.
var ErrRecord = reason.New("ceremony-record", "the ceremony cannot go on with the certificate that its transcript intends")

// intendCertificate records what the key will sign, before it does: a signature that was made and whose answer got lost is on record, too.
func (t *transcript) intendCertificate(twin *x509.Certificate) error {
	return t.add("certificate-intended", map[string]string{
		"subject": twin.Subject.String(), "serial": twin.SerialNumber.Text(16), "not_before": twin.NotBefore.UTC().Format(time.RFC3339),
		"tbs_sha256": hexSum(twin.RawTBSCertificate),
	})
}

// An intent is the certificate that a ceremony which was stopped intended to sign.
type intent struct {
	log       *transcript
	serial    *big.Int
	notBefore time.Time
	tbs       string            // SHA-256 of the TBSCertificate, in hexadecimal
	signed    *x509.Certificate // nil: only the intent is on record
}

// intended returns the certificate on record, or the intent for it, or nil.
func (t *transcript) intended() (found *intent, err error) {
	for _, one := range t.lines {
		switch one.What {
		case "certificate":
			all, err := workdir.ParseCertificates([]byte(one.Facts["pem"]))
			if err != nil || len(all) != 1 {
				return nil, damaged("line %d has no certificate", one.Seq+1)
			}
			found = &intent{t, all[0].SerialNumber, all[0].NotBefore, hexSum(all[0].RawTBSCertificate), all[0]}
		case "certificate-intended":
			if found != nil && found.signed != nil { // a version that signed again after a stop
				continue
			}
			serial, ok := new(big.Int).SetString(one.Facts["serial"], 16)
			if !ok {
				return nil, damaged("line %d has no serial number", one.Seq+1)
			}
			from, err := time.Parse(time.RFC3339, one.Facts["not_before"])
			if err != nil {
				return nil, fmt.Errorf("%w: line %d has no not_before, so an older version of this program wrote it; %s", ErrRecord, one.Seq+1, wayOut(serial))
			}
			found = &intent{t, serial, from, one.Facts["tbs_sha256"], nil}
		}
	}
	return found, nil
}

// wayOut says what people can do with a certificate that this program cannot make again.
func wayOut(serial *big.Int) string {
	return fmt.Sprintf("go on with the program that began (program and program_sha256 in the first line), or count the serial number %x as issued, note it on the paper, and begin again with another directory in out", serial)
}

// repeat compares the twin with the certificate on record. After errOnRecord nothing is to be signed; else the key signs the same content once more.
func (i *intent) repeat(twin *x509.Certificate) error {
	facts := map[string]string{"serial": i.serial.Text(16), "tbs_sha256": i.tbs}
	switch {
	case hexSum(twin.RawTBSCertificate) != i.tbs:
		return fmt.Errorf("%w: this program gives the certificate with the serial number %x another content; %s", ErrRecord, i.serial, wayOut(i.serial))
	case i.signed != nil:
		facts["note"] = "the certificate on record is taken; nothing is signed again"
		return errors.Join(errOnRecord, i.log.add("certificate-taken", facts))
	}
	facts["note"] = "the key may have signed this content before the stop, and no certificate is on record: the same content is signed again, under the same serial number"
	return i.log.add("certificate-repeated", facts)
}

// certificate records a certificate.
func (t *transcript) certificate(c *x509.Certificate) error {
	return t.add("certificate", map[string]string{
		"subject_spki_sha256": hexSum(c.RawSubjectPublicKeyInfo),
		"subject":             c.Subject.String(), "issuer": c.Issuer.String(), "serial": c.SerialNumber.Text(16), "sha256": hexSum(c.Raw),
		"not_before": c.NotBefore.UTC().Format(time.RFC3339), "not_after": c.NotAfter.UTC().Format(time.RFC3339), "pem": string(workdir.CertificatePEM(c.Raw)),
	})
}

// requested returns the request on record in PEM, or nil. It must be of this name and key.
func (t *transcript) requested(subject pkix.Name, public crypto.PublicKey) ([]byte, error) {
	for _, one := range t.lines {
		text := one.Facts["pem"]
		if one.What != "request" || text == "" { // an older version recorded the hash only
			continue
		}
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, damaged("line %d has no request", one.Seq+1)
		}
		request, err := issuance.ParseCARequest(block.Bytes)
		if key, ok := public.(*ecdsa.PublicKey); err != nil || !ok || !key.Equal(request.PublicKey) || request.Subject.String() != subject.String() {
			return nil, damaged("the request in line %d is not that of this key and subject", one.Seq+1)
		}
		return pem.EncodeToMemory(block), nil
	}
	return nil, nil
}

// intend records label and id of the key before the key is made. A resumed ceremony takes those that it had.
func (t *transcript) intend(label string, octets int, random io.Reader) (key keyIntent, err error) {
	for _, one := range t.lines {
		switch one.What {
		case "key-intended":
			id, err := hex.DecodeString(one.Facts["id"])
			if err != nil || len(id) == 0 || one.Facts["label"] != shown(label) {
				return keyIntent{}, damaged("it intends another key than %q", label)
			}
			key = keyIntent{ref: hsm.KeyRef{ID: id, Label: label}, begun: true}
		case "key-made", "key-adopted":
			key.spki = one.Facts["spki_sha256"]
		case "key-refused":
			key = keyIntent{}
		}
	}
	if key.begun {
		return key, nil
	}
	if key.ref, err = newRef(label, octets, random); err != nil {
		return key, err
	}
	return key, t.add("key-intended", map[string]string{"label": label, "id": hex.EncodeToString(key.ref.ID)})
}

// refused takes the intent back.
func (t *transcript) refused(ref hsm.KeyRef) error {
	return t.add("key-refused", map[string]string{"label": ref.Label, "id": hex.EncodeToString(ref.ID)})
}

// left names the key that the ceremony has made or may have made, and the certificate that it has signed or may have signed, for the
// error of a ceremony that stops; empty: there is none.
func (t *transcript) left() string {
	var key, certificate string
	for _, one := range t.lines {
		switch one.What {
		case "key-intended":
			key = left(one.Facts["label"], one.Facts["id"], false)
		case "key-made", "key-adopted":
			key = left(one.Facts["label"], one.Facts["id"], true)
		case "key-refused":
			key = ""
		case "certificate-intended":
			certificate = fmt.Sprintf("the certificate with the serial number %s may be signed; the same command signs the same content, with no other serial number", one.Facts["serial"])
		case "certificate":
			certificate = fmt.Sprintf("the certificate with the serial number %s is signed and in the transcript; the same command takes it and signs no other", one.Facts["serial"])
		}
	}
	if key != "" {
		key += "; the same command goes on with it"
	}
	if key != "" && certificate != "" {
		key += "; "
	}
	return key + certificate
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
