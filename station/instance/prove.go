package instance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// maxCode is the most characters of a common name (RFC 5280, appendix A.1, ub-common-name).
const maxCode = 64

// checkCode refuses a registration code that is not the one that a cloud shows.
func checkCode(code string) error {
	if len(code) < 1 || len(code) > maxCode {
		return fmt.Errorf("--code has %d characters, want 1 to %d, as the cloud shows it", len(code), maxCode)
	}
	for _, c := range code {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("--code %q has the character %q, want printable ASCII without blanks, as the cloud shows it", code, c)
		}
	}
	return nil
}

// Prove signs a verification certificate: it shows a cloud that its reader may use the issuing CA (AWS IoT: registration
// code; Azure DPS: verification code). The code is the common name. The certificate's key is new and is forgotten at once, so
// nobody can connect with the certificate. The audit log has the intent before the signature.
func (k *Keys) Prove(ctx context.Context, code, operator string) (*x509.Certificate, error) {
	if err := checkCode(code); err != nil {
		return nil, reason.Usage(err)
	}
	signer, err := k.IssuingSigner(ctx)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := issuance.NewSerial(k.options.Random)
	if err != nil {
		return nil, err
	}
	details := map[string]string{"code": code, "serial": hex.EncodeToString(serial[:])}
	if err := k.NoteBy(ctx, "prove.intent", audit.Success, operator, details); err != nil {
		return nil, err
	}
	made, err := issuance.Verification(code, serial, k.Now().UTC().Truncate(time.Second), &key.PublicKey, k.Issuing, signer, k.options.Random)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(made.Raw)
	details["certificate_sha256"] = hex.EncodeToString(sum[:])
	return made, k.NoteBy(ctx, "prove.issued", audit.Success, operator, details)
}
