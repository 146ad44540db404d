package hsm_test

import (
	"crypto/ecdsa"
	"testing"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// What is on record about a key comes from the private key that was proven, also without a public half and beside a key of the same label.
func TestAReportIsAboutTheKeyThatWasProven(t *testing.T) {
	fixture := fixtures.NewToken(t)
	var public *ecdsa.PublicKey
	raw(t, fixture.Config, func(module *pkcs11.Ctx, session pkcs11.SessionHandle) {
		half, _ := generate(t, module, session, issuing)
		public = rawSession{module, session}.public(t, half)
		must(t, module.DestroyObject(session, half))
		other, _ := generate(t, module, session, hsm.KeyRef{ID: []byte{7}, Label: issuing.Label}, pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true))
		must(t, module.DestroyObject(session, other))
	})
	token := open(t, fixture.Config)
	signer := fixtures.Must(token.Signer(t.Context(), hsm.KeyRef{Label: issuing.Label}, public))(t)
	report := fixtures.Must(token.Report(t.Context(), signer))(t)
	if string(report.ID) != string(issuing.ID) || !report.Public.Equal(public) || report.Refused(nil) != nil {
		t.Errorf("got %+v", report)
	}
	_, err := token.Report(t.Context(), fixtures.Must(ecdsa.GenerateKey(public.Curve, nil))(t))
	want(t, err, hsm.ErrConfig)
}
