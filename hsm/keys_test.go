package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"fmt"
	"testing"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

var issuing = hsm.KeyRef{ID: []byte{1}, Label: "issuing"}

func TestKeysThatAreNotAdopted(t *testing.T) {
	set := pkcs11.NewAttribute
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, module *pkcs11.Ctx, session pkcs11.SessionHandle)
		want    error
	}{
		{"none there", func(*testing.T, *pkcs11.Ctx, pkcs11.SessionHandle) {}, hsm.ErrKeyMissing},
		{"the label with another id", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			generate(t, m, s, hsm.KeyRef{ID: []byte{2}, Label: issuing.Label})
		}, hsm.ErrKeyMissing},
		{"the id with another label", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			generate(t, m, s, hsm.KeyRef{ID: issuing.ID, Label: "audit"})
		}, hsm.ErrKeyMissing},
		{"a private key without its public half", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			public, _ := generate(t, m, s, issuing)
			must(t, m.DestroyObject(s, public))
		}, hsm.ErrKeyMissing},
		{"a public half without its private key", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			_, key := generate(t, m, s, issuing)
			must(t, m.DestroyObject(s, key))
		}, hsm.ErrKeyMissing},
		{"two pairs with one id and label", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			generate(t, m, s, issuing)
			generate(t, m, s, issuing)
		}, hsm.ErrKeyDuplicated},
		{"an extractable key", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			generate(t, m, s, issuing, set(pkcs11.CKA_SENSITIVE, false), set(pkcs11.CKA_EXTRACTABLE, true))
		}, hsm.ErrKeyExtractable},
		{"an extractable key that was locked down later", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			_, key := generate(t, m, s, issuing, set(pkcs11.CKA_SENSITIVE, false), set(pkcs11.CKA_EXTRACTABLE, true))
			must(t, m.SetAttributeValue(s, key, []*pkcs11.Attribute{set(pkcs11.CKA_SENSITIVE, true)}))
			must(t, m.SetAttributeValue(s, key, []*pkcs11.Attribute{set(pkcs11.CKA_EXTRACTABLE, false)}))
		}, hsm.ErrKeyExtractable},
		{"an imported key that says it is not extractable", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			importKey(t, m, s, issuing)
		}, hsm.ErrKeyExtractable},
		{"a key that may not sign", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			_, key := generate(t, m, s, issuing)
			must(t, m.SetAttributeValue(s, key, []*pkcs11.Attribute{set(pkcs11.CKA_SIGN, false)}))
		}, hsm.ErrKeyExtractable},
		{"a good key that is not the certificate's", func(t *testing.T, m *pkcs11.Ctx, s pkcs11.SessionHandle) {
			generate(t, m, s, issuing)
		}, hsm.ErrKeyDiffers},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := fixtures.NewToken(t)
			raw(t, token.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) { test.prepare(t, m, s) })
			_, err := token.Open(t).Signer(t.Context(), issuing, certificateKey(t))
			want(t, err, test.want)
		})
	}
}

// certificateKey returns a public key whose private key is on no token.
func certificateKey(t *testing.T) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return &key.PublicKey
}

// The private key belongs to another pair, and the public half is that of the
// certificate: only the challenge finds this.
func TestAForgedPublicHalfIsFoundByTheChallenge(t *testing.T) {
	token := fixtures.NewToken(t)
	public := certificateKey(t)
	point, err := public.Bytes()
	must(t, err)
	wrapped, err := asn1.Marshal(point)
	must(t, err)
	raw(t, token.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) {
		half, _ := generate(t, m, s, issuing)
		must(t, m.DestroyObject(s, half))
		_, err := m.CreateObject(s, template(t, pkcs11.CKO_PUBLIC_KEY, issuing, pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, wrapped)))
		must(t, err)
	})
	_, err = token.Open(t).Signer(t.Context(), issuing, public)
	want(t, err, hsm.ErrKeyDiffers)
}

func TestEachRequiredAttributeIsReadAlone(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	_, public := fixtures.NewKey(t, token, issuing.Label, issuing.ID...)
	for _, rule := range hsm.Policy() {
		lie := map[hsm.Answer]string{hsm.Yes: "false_attribute", hsm.No: "true_attribute"}[rule.Want]
		for _, fault := range []string{lie, "hide_attribute"} {
			t.Run(fmt.Sprintf("%s with %s", rule.Name, fault), func(t *testing.T) {
				shim.Fail(t, fmt.Sprintf("%s %x", fault, rule.Attribute))
				_, err := token.Signer(t.Context(), issuing, public)
				if rule.Required {
					want(t, err, hsm.ErrKeyExtractable)
				} else {
					must(t, err)
				}
				wantReport(t, token, rule, fault == "hide_attribute")
			})
		}
	}
	t.Run("and a token that says why it cannot answer is heard", func(t *testing.T) {
		shim.Fail(t, "C_GetAttributeValue 2")
		_, err := token.Signer(t.Context(), issuing, public)
		want(t, err, hsm.ErrTokenRefused)
	})
}

// wantReport wants the report to show a wrong or unsupported answer for the rule.
func wantReport(t *testing.T, token *hsm.Token, rule hsm.Rule, unsupported bool) {
	t.Helper()
	reports, err := token.Keys(t.Context())
	must(t, err)
	if len(reports) != 1 {
		t.Fatalf("%d reports", len(reports))
	}
	for _, a := range reports[0].Attributes {
		bad := a.Got != a.Want
		if (a.Name == rule.Name) != bad || bad && (a.Got == hsm.Unsupported) != unsupported {
			t.Errorf("%s is %v, want %v", a.Name, a.Got, a.Want)
		}
	}
	if refused := reports[0].Refused() != nil; refused != rule.Required {
		t.Errorf("refused: %v", reports[0].Refused())
	}
}

func TestSignerWantsToKnowWhichKey(t *testing.T) {
	token := fixtures.NewToken(t).Open(t)
	odd, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(t, err)
	_, err = token.Signer(t.Context(), hsm.KeyRef{}, certificateKey(t))
	want(t, err, hsm.ErrConfig)
	_, err = token.Signer(t.Context(), issuing, nil)
	want(t, err, hsm.ErrConfig)
	_, err = token.Signer(t.Context(), issuing, &odd.PublicKey)
	want(t, err, hsm.ErrConfig)
}

func TestAKeyIsFoundByLabelOrIDAlone(t *testing.T) {
	token := fixtures.NewToken(t).Open(t)
	_, public := fixtures.NewKey(t, token, issuing.Label, issuing.ID...)
	fixtures.NewKey(t, token, "audit", 2)
	for _, ref := range []hsm.KeyRef{{Label: issuing.Label}, {ID: issuing.ID}, issuing} {
		signer, err := token.Signer(t.Context(), ref, public)
		must(t, err)
		must(t, sign(t, signer))
	}
}

func TestARawPointIsReportedAsUnreadable(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	_, public := fixtures.NewKey(t, token, issuing.Label, issuing.ID...)
	shim.Fail(t, "ec_point_raw 1")
	_, err := token.Signer(t.Context(), issuing, public)
	want(t, err, hsm.ErrKeyUnreadable)
	reports, err := token.Keys(t.Context())
	must(t, err)
	if len(reports) != 1 || reports[0].Public != nil {
		t.Fatalf("got %+v", reports)
	}
	want(t, reports[0].Problem, hsm.ErrKeyUnreadable)
}

func TestDigestsOfAnotherHashAreNotSigned(t *testing.T) {
	token := fixtures.NewToken(t).Open(t)
	signer, _ := fixtures.NewKey(t, token, issuing.Label, issuing.ID...)
	for _, test := range []struct {
		name   string
		length int
		opts   crypto.SignerOpts
	}{
		{"nothing", 0, crypto.SHA256}, {"20 octets", 20, crypto.SHA1}, {"31 octets", 31, crypto.SHA256},
		{"48 octets", 48, crypto.SHA384}, {"64 octets", 64, crypto.SHA512},
		{"32 octets of another hash", 32, crypto.SHA512_256}, {"32 octets of no hash", 32, crypto.Hash(0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := signer.Sign(nil, make([]byte, test.length), test.opts)
			want(t, err, hsm.ErrDigest)
		})
	}
	if _, err := signer.Sign(nil, make([]byte, 32), nil); err != nil {
		t.Errorf("without options: %v", err)
	}
}

func TestARootKeyMayBeP384(t *testing.T) {
	token := fixtures.NewToken(t)
	root := hsm.KeyRef{ID: []byte{9}, Label: "root"}
	raw(t, token.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) {
		params, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 132, 0, 34})
		must(t, err)
		both := []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_ID, root.ID), pkcs11.NewAttribute(pkcs11.CKA_LABEL, root.Label),
		}
		_, _, err = m.GenerateKeyPair(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)},
			append(both[:3:3], pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params)), append(both[:3:3], pkcs11.NewAttribute(pkcs11.CKA_SIGN, true), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true)))
		must(t, err)
	})
	opened := token.Open(t)
	public := publicOf(t, opened, "root")
	signer, err := opened.Signer(t.Context(), root, public)
	must(t, err)
	signature, err := signer.Sign(nil, make([]byte, 48), crypto.SHA384)
	must(t, err)
	if !ecdsa.VerifyASN1(public, make([]byte, 48), signature) {
		t.Error("the signature does not verify")
	}
	_, err = signer.Sign(nil, make([]byte, 32), crypto.SHA256)
	want(t, err, hsm.ErrDigest)
}

func TestABadSignatureIsNotHandedOut(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	signer, public := fixtures.NewKey(t, token, issuing.Label, issuing.ID...)
	shim.Fail(t, "flip_signature 1")
	want(t, sign(t, signer), hsm.ErrBadSignature)
	_, err := token.Signer(t.Context(), issuing, public)
	want(t, err, hsm.ErrKeyDiffers)
	shim.Fail(t)
	must(t, sign(t, signer))
}
