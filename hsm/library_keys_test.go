package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"testing"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// While the session that looks at the objects hangs, crypto11 still signs with its own sessions, and
// a key that crypto11 cannot find has to wait.
func TestWhichKeysSignThroughCrypto11(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, s rawSession) *ecdsa.PublicKey
		faults  []string
		direct  bool
	}{
		{"a key with an id", func(t *testing.T, s rawSession) *ecdsa.PublicKey { return s.pair(t, issuing) }, nil, false},
		{"a key with the label of another key", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.pair(t, hsm.KeyRef{ID: []byte{7}, Label: issuing.Label})
			return s.pair(t, issuing)
		}, nil, false},
		{"a key with the id of another key", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.pair(t, hsm.KeyRef{ID: issuing.ID, Label: "audit"})
			return s.pair(t, issuing)
		}, nil, false},
		{"a key whose halves have different labels", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			public, _ := generate(t, s.module, s.handle, issuing)
			must(t, s.module.SetAttributeValue(s.handle, public, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, "public issuing")}))
			return s.public(t, public)
		}, nil, false},
		{"a key without an id", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			return s.pair(t, hsm.KeyRef{Label: issuing.Label})
		}, nil, true},
		{"a key without its public half", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			public, _ := generate(t, s.module, s.handle, issuing)
			key := s.public(t, public)
			must(t, s.module.DestroyObject(s.handle, public))
			return key
		}, nil, true},
		{"a key with a raw point", func(t *testing.T, s rawSession) *ecdsa.PublicKey { return s.pair(t, issuing) }, []string{"ec_point_raw 1"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			fixture := fixtures.NewToken(t)
			var public *ecdsa.PublicKey
			raw(t, fixture.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) { public = test.prepare(t, rawSession{m, s}) })
			shim := fixtures.NewShim(t, fixture)
			shim.Config.Sessions = 4 // two calls at the same time
			shim.Fail(t, test.faults...)
			token := open(t, shim.Config)
			signer, err := token.Signer(t.Context(), hsm.KeyRef{Label: issuing.Label}, public)
			must(t, err)
			must(t, sign(t, signer))

			lookThatHangs(t, shim, token)
			if test.direct {
				waits(t, shim, token, signer)
			} else {
				must(t, sign(t, signer))
			}
			shim.Fail(t, test.faults...)
			eventually(t, signer, hsm.ErrBusy, hsm.ErrHung)
		})
	}
}

// lookThatHangs has the token list its keys, which hangs in the module.
func lookThatHangs(t *testing.T, shim *fixtures.Shim, token *hsm.Token) {
	t.Helper()
	shim.Fail(t, "hang_C_FindObjectsInit 1")
	hsm.TestingOnlyTimeout(token, short)
	_, err := token.Keys(t.Context())
	want(t, err, hsm.ErrHung)
	hsm.TestingOnlyTimeout(token, patience)
}

// waits wants that the token is not asked to sign.
func waits(t *testing.T, shim *fixtures.Shim, token *hsm.Token, signer crypto.Signer) {
	t.Helper()
	before := shim.Calls(t, "C_SignInit")
	hsm.TestingOnlyTimeout(token, short)
	want(t, sign(t, signer), hsm.ErrHung)
	if n := shim.Calls(t, "C_SignInit") - before; n != 0 {
		t.Errorf("%d signatures were begun beside the session that hangs", n)
	}
	hsm.TestingOnlyTimeout(token, patience)
}
