package hsm_test

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// A key with a label that begins with this letter does not sign in these tests.
const broken = "broken"

func faultOf(code uint) []string {
	return []string{fmt.Sprintf("bad_label %x", broken[0]), fmt.Sprintf("bad_label_code %x", code)}
}

// The codes are of both kinds: those that a reopen cannot cure, and those that look like a lost session.
var codesOfABrokenKey = []uint{pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED, pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_FUNCTION_FAILED, pkcs11.CKR_DEVICE_ERROR}

func TestAKeyThatDoesNotSignDoesNotEndTheSearch(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, s rawSession) *ecdsa.PublicKey
		ref     hsm.KeyRef
	}{
		{"neither key has a public half", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.private(t, hsm.KeyRef{ID: []byte{7}, Label: broken})
			return s.private(t, issuing)
		}, hsm.KeyRef{}},
		{"both keys have the id of one public half", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.private(t, hsm.KeyRef{ID: issuing.ID, Label: broken})
			return s.pair(t, issuing)
		}, hsm.KeyRef{ID: issuing.ID}},
	} {
		t.Run(test.name, func(t *testing.T) {
			fixture := fixtures.NewToken(t)
			var public *ecdsa.PublicKey
			raw(t, fixture.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) { public = test.prepare(t, rawSession{m, s}) })
			shim := fixtures.NewShim(t, fixture)
			opened := open(t, shim.Config)
			for _, code := range codesOfABrokenKey {
				shim.Fail(t, faultOf(code)...)
				signer, err := opened.Signer(t.Context(), test.ref, public)
				if err != nil {
					t.Fatalf("%v: %v", pkcs11.Error(code), err)
				}
				must(t, sign(t, signer))
			}
		})
	}
}

func TestAKeyThatDoesNotSignIsNamed(t *testing.T) {
	fixture := fixtures.NewToken(t)
	var public *ecdsa.PublicKey
	raw(t, fixture.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) {
		public = rawSession{m, s}.private(t, hsm.KeyRef{ID: []byte{7}, Label: broken})
		rawSession{m, s}.private(t, issuing)
	})
	shim := fixtures.NewShim(t, fixture)
	opened := open(t, shim.Config)
	for code, sentinel := range map[uint]error{pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED: hsm.ErrKeyUnusable, pkcs11.CKR_FUNCTION_FAILED: hsm.ErrSessionLost} {
		shim.Fail(t, faultOf(code)...)
		_, err := opened.Signer(t.Context(), hsm.KeyRef{}, public)
		want(t, err, sentinel)
		if !errors.Is(err, pkcs11.Error(code)) || !strings.Contains(err.Error(), `key "broken" with id 07`) {
			t.Errorf("%v: does not name code and key", err)
		}
		if sentinel == hsm.ErrKeyUnusable && !strings.Contains(err.Error(), `"issuing" id 01`) {
			t.Errorf("%v: does not list what was seen", err)
		}
	}
	shim.Fail(t)
	signer, err := opened.Signer(t.Context(), hsm.KeyRef{}, public)
	must(t, err)
	must(t, sign(t, signer))
}
