package ceremony_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station/audit"
	"hallmark/station/ceremony"
	"hallmark/station/issuance"
	"hallmark/station/workdir"
)

// The checkpoint that a renewal signs lies on the token, too. Otherwise the next start would say that the token has lost it.
func TestARenewalLeavesItsCheckpointOnTheToken(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	for range 2 {
		if _, err := ceremony.RenewVerifier(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range fixtures.Entries(t, dir) {
		if e.Type == "token.checkpoint.missing" {
			t.Errorf("entry %d says that the token has no checkpoint", e.Seq)
		}
	}
}

// A signature that was made and got lost is on record, too.
func TestARenewalIsOnRecordBeforeTheSignature(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	made := fixtures.Must(ceremony.RenewVerifier(t.Context(), dir))(t)
	all := fixtures.Entries(t, dir)
	intent := slices.IndexFunc(all, func(e audit.Entry) bool { return e.Type == "verifier.intent" })
	renewed := slices.IndexFunc(all, func(e audit.Entry) bool { return e.Type == "verifier.renewed" })
	if intent < 0 || renewed < intent {
		t.Fatalf("the intent is entry %d, the end entry %d", intent, renewed)
	}
	details := all[intent].Details
	if sum := fmt.Sprintf("%x", sha256.Sum256(made.RawTBSCertificate)); details["tbs_sha256"] != sum || details["serial"] != fmt.Sprintf("%032x", made.SerialNumber) {
		t.Errorf("the intent says %v", details)
	}
}

// below is the configuration of a station whose root is elsewhere.
const below = `authority: {chain: %q, issuing_label: line-issuing, audit_label: line-audit}
`

// newBelow makes an issuing CA on the token below a root whose key is elsewhere, and returns the configuration of a station with it.
func newBelow(t *testing.T, opened *hsm.Token) string {
	t.Helper()
	now := time.Now()
	key := fixtures.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	root := fixtures.Must(issuance.Root(issuance.CAConfig{CommonName: "ACME root", NotBefore: now.Add(-time.Hour), PathLen: 1}, key, rand.Reader))(t)
	_, public := fixtures.NewKey(t, opened, "line-issuing", 1)
	issuing := fixtures.Must(issuance.Issuing(issuance.CAConfig{CommonName: "ACME line", NotBefore: now.Add(-time.Hour)}, public, root, key, rand.Reader))(t)
	path := filepath.Join(t.TempDir(), "chain.pem")
	must(t, os.WriteFile(path, workdir.CertificatePEM(issuing.Raw, root.Raw), 0o600))
	return fmt.Sprintf(outside+below, pinFile(t), path)
}

// A trial on the same token may have left a root of its own there, with the label that is the default.
func TestTheVerifierOfALineIsRenewedByTheIssuingCABesideAnotherRoot(t *testing.T) {
	opened := fixtures.NewToken(t).Open(t)
	fixtures.NewKey(t, opened, "hallmark-root", 9)
	config := newBelow(t, opened)
	must(t, opened.Close(t.Context()))
	dir := workdir.Dir(filepath.Join(t.TempDir(), "D"))
	fixtures.Must(parse(t, config).Init(t.Context(), dir))(t)
	made := fixtures.Must(ceremony.RenewVerifier(t.Context(), dir))(t)
	if made.Issuer.CommonName != "ACME line" {
		t.Errorf("the issuer is %v", made.Issuer)
	}
}
