package issuance

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"maps"
	"math/big"
	"testing"

	zcrypto "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3/lint"
	_ "github.com/zmap/zlint/v3/lints/rfc" // RFCs 3279, 5280, 5480, 5891, 6960, 6962, 8813, and no rules of browsers
)

// TestZlintHasNothingToSay runs zlint over a certificate of each kind. A finding that the
// standard allows is listed with the clause.
func TestZlintHasNothingToSay(t *testing.T) {
	allowed := map[string]string{
		// RFC 5280 section 4.2.1.2: an end entity's certificate SHOULD have the extension. The server's certificate
		// goes without it, because every board receives the certificate over a slow UART.
		"server w_ext_subject_key_identifier_missing_sub_cert": "warn",
	}
	found := map[string]string{}
	for kind, der := range oneOfEachKind(t) {
		maps.Copy(found, findings(t, kind, der))
	}
	if !maps.Equal(found, allowed) {
		t.Errorf("zlint says %v, want %v", found, allowed)
	}
}

func oneOfEachKind(t *testing.T) map[string][]byte {
	t.Helper()
	l := newCOSEIssuer(t, func(c *Config, key *ecdsa.PrivateKey) { c.Signer = deterministic(key) })
	board, err := l.Sign(t.Context(), l.grantOne(t))
	must(t, err)
	server, err := Server(ServerConfig{CommonName: "verifier", DNSNames: []string{"verifier.test"}, NotBefore: someTime.Add(-day), NotAfter: someTime.Add(day)},
		&fixedKey("server").PublicKey, l.root, fixedKey("root"), numbers(8))
	must(t, err)
	responder, err := Responder(AuditConfig{CommonName: "station OCSP", NotBefore: someTime.Add(-day), NotAfter: someTime.Add(day)},
		&fixedKey("server").PublicKey, l.issuing, deterministic(fixedKey("issuing")), numbers(8))
	must(t, err)
	return map[string][]byte{"root": l.root.Raw, "issuing": l.issuing.Raw, "board": board.DER, "cose": l.issueCOSE(t).DER, "server": server.Raw, "responder": responder.Raw}
}

// findings gives the status of each lint that did not pass, by the kind of certificate and the name of the lint.
func findings(t *testing.T, kind string, der []byte) map[string]string {
	t.Helper()
	certificate, err := zcrypto.ParseCertificate(der)
	must(t, err)
	found, passed := map[string]string{}, 0
	for _, one := range lint.GlobalRegistry().CertificateLints().Lints() {
		switch result := one.Execute(certificate, lint.NewEmptyConfig()); {
		case result.Status == lint.Pass:
			passed++
		case result.Status > lint.Pass:
			found[kind+" "+one.Name] = result.Status.String()
			t.Logf("%s: %s: %s (%s)", kind, one.Description, result.Details, one.Citation)
		}
	}
	if passed == 0 {
		t.Errorf("%s: no lint applies", kind)
	}
	return found
}

func TestZlintFindsACAWithoutAName(t *testing.T) {
	key := fixedKey("root")
	nameless := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: someTime, NotAfter: endOfTime, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, nameless, nameless, &key.PublicKey, key)
	must(t, err)
	if found := findings(t, "nameless", der); found["nameless e_ca_subject_field_empty"] != "error" {
		t.Errorf("zlint says %v", found)
	}
}
