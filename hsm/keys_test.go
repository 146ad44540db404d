package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

var issuing = hsm.KeyRef{ID: []byte{1}, Label: "issuing"}

func TestKeysThatAreNotAdopted(t *testing.T) {
	set := pkcs11.NewAttribute
	other := hsm.KeyRef{ID: []byte{2}, Label: "audit"}
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, s rawSession) *ecdsa.PublicKey
		want    error
		seen    string
	}{
		{"none there", func(t *testing.T, _ rawSession) *ecdsa.PublicKey { return certificateKey(t) },
			hsm.ErrKeyMissing, "no private EC key"},
		{"the right key with another label and id", func(t *testing.T, s rawSession) *ecdsa.PublicKey { return s.pair(t, other) },
			hsm.ErrKeyMissing, `"audit" id 02`},
		{"the right key with another id", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			return s.pair(t, hsm.KeyRef{ID: []byte{2}, Label: issuing.Label})
		}, hsm.ErrKeyMissing, `"issuing" id 02`},
		{"another key without its public half", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			public, _ := generate(t, s.module, s.handle, issuing)
			must(t, s.module.DestroyObject(s.handle, public))
			return certificateKey(t)
		}, hsm.ErrKeyDiffers, `"issuing" id 01 without a public half`},
		{"a public half without its private key", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			public, key := generate(t, s.module, s.handle, issuing)
			must(t, s.module.DestroyObject(s.handle, key))
			return s.public(t, public)
		}, hsm.ErrKeyMissing, "no private EC key"},
		{"an extractable key", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			return s.pair(t, issuing, set(pkcs11.CKA_SENSITIVE, false), set(pkcs11.CKA_EXTRACTABLE, true))
		}, hsm.ErrKeyExtractable, "CKA_EXTRACTABLE is yes"},
		{"an extractable key that was locked down later", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			public, key := generate(t, s.module, s.handle, issuing, set(pkcs11.CKA_SENSITIVE, false), set(pkcs11.CKA_EXTRACTABLE, true))
			must(t, s.module.SetAttributeValue(s.handle, key, []*pkcs11.Attribute{set(pkcs11.CKA_SENSITIVE, true)}))
			must(t, s.module.SetAttributeValue(s.handle, key, []*pkcs11.Attribute{set(pkcs11.CKA_EXTRACTABLE, false)}))
			return s.public(t, public)
		}, hsm.ErrKeyExtractable, "CKA_NEVER_EXTRACTABLE is no"},
		{"an imported key that says it is not extractable", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			return importKey(t, s.module, s.handle, issuing)
		}, hsm.ErrKeyExtractable, "CKA_LOCAL is no"},
		{"the right key twice", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			return s.twice(t, issuing)
		}, hsm.ErrKeyDuplicated, `"issuing" id 01`},
		{"a key that may not sign", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			public, key := generate(t, s.module, s.handle, issuing)
			must(t, s.module.SetAttributeValue(s.handle, key, []*pkcs11.Attribute{set(pkcs11.CKA_SIGN, false)}))
			return s.public(t, public)
		}, hsm.ErrKeyExtractable, "CKA_SIGN is no"},
		{"a good key that is not the certificate's", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.pair(t, issuing)
			return certificateKey(t)
		}, hsm.ErrKeyDiffers, "spki:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := fixtures.NewToken(t)
			var public *ecdsa.PublicKey
			raw(t, token.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) { public = test.prepare(t, rawSession{m, s}) })
			if test.want == hsm.ErrKeyDuplicated {
				token.Config.Exceptions = hsm.Exceptions{hsm.RestoredKeys} // only an imported key can be there twice
			}
			_, err := token.Open(t).Signer(t.Context(), issuing, public)
			want(t, err, test.want)
			if !strings.Contains(err.Error(), test.seen) {
				t.Errorf("%v: does not tell of %s", err, test.seen)
			}
		})
	}
}

// The certificate's public key finds its private key, whatever else is on the token.
func TestAKeyIsFoundByThePublicKey(t *testing.T) {
	set := pkcs11.NewAttribute
	rename := func(t *testing.T, s rawSession, o pkcs11.ObjectHandle, label string) {
		must(t, s.module.SetAttributeValue(s.handle, o, []*pkcs11.Attribute{set(pkcs11.CKA_LABEL, label)}))
	}
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, s rawSession) *ecdsa.PublicKey
		refs    []hsm.KeyRef
	}{
		{"a second pair has the same label", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.pair(t, hsm.KeyRef{ID: []byte{7}, Label: issuing.Label})
			return s.pair(t, issuing)
		}, []hsm.KeyRef{{Label: issuing.Label}, issuing, {}}},
		{"a second pair has the same label and the same id", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.pair(t, issuing)
			return s.pair(t, issuing)
		}, []hsm.KeyRef{{Label: issuing.Label}, issuing, {}}},
		{"the halves have different labels", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			public, _ := generate(t, s.module, s.handle, issuing)
			rename(t, s, public, "public issuing")
			return s.public(t, public)
		}, []hsm.KeyRef{{Label: issuing.Label}, {Label: "public issuing"}, {}}},
		{"both halves have an empty id", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.pair(t, hsm.KeyRef{Label: "audit"})
			return s.pair(t, hsm.KeyRef{Label: issuing.Label})
		}, []hsm.KeyRef{{Label: issuing.Label}, {}}},
		{"the public half is missing", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			s.pair(t, hsm.KeyRef{ID: []byte{7}, Label: issuing.Label})
			public, _ := generate(t, s.module, s.handle, issuing)
			key := s.public(t, public)
			must(t, s.module.DestroyObject(s.handle, public))
			return key
		}, []hsm.KeyRef{{Label: issuing.Label}, issuing, {}}},
		{"the labels are padded with blanks", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			return s.pair(t, hsm.KeyRef{ID: issuing.ID, Label: "issuing     "})
		}, []hsm.KeyRef{{Label: issuing.Label}, issuing, {}}},
		{"the labels are padded with NUL", func(t *testing.T, s rawSession) *ecdsa.PublicKey {
			return s.pair(t, hsm.KeyRef{ID: issuing.ID, Label: "issuing\x00\x00\x00"})
		}, []hsm.KeyRef{{Label: issuing.Label}, issuing, {}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := fixtures.NewToken(t)
			var public *ecdsa.PublicKey
			raw(t, token.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) { public = test.prepare(t, rawSession{m, s}) })
			opened := token.Open(t)
			for _, ref := range test.refs {
				signer, err := opened.Signer(t.Context(), ref, public)
				must(t, err)
				must(t, sign(t, signer))
			}
		})
	}
}

func TestATokenThatCannotTellWhereAKeyCameFromNeedsANamedException(t *testing.T) {
	fixture := fixtures.NewToken(t)
	var public *ecdsa.PublicKey
	raw(t, fixture.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) { public = rawSession{m, s}.pair(t, issuing) })
	shim := fixtures.NewShim(t, fixture)
	for _, test := range []struct {
		fault string
		allow hsm.Exceptions
		want  error
		hint  string // the exception that would help, with those that are named
	}{
		{"hide_attribute 163", nil, hsm.ErrKeyExtractable, "[origin-unknown]"},
		{"hide_attribute 163", hsm.Exceptions{hsm.RestoredKeys}, hsm.ErrKeyExtractable, "[restored-keys,origin-unknown]"},
		{"hide_attribute 163", hsm.Exceptions{hsm.OriginUnknown}, nil, ""},
		{"hide_attribute 164", hsm.Exceptions{hsm.OriginUnknown}, nil, ""},
		{"false_attribute 163", hsm.Exceptions{hsm.OriginUnknown}, hsm.ErrKeyExtractable, "[origin-unknown,restored-keys]"},
		{"false_attribute 163", nil, hsm.ErrKeyExtractable, "if the key came back from a backup, write hsm.exceptions: [restored-keys]"},
		{"false_attribute 163", hsm.Exceptions{hsm.RestoredKeys}, nil, ""},
		{"hide_attribute 163\nfalse_attribute 164", hsm.Exceptions{hsm.OriginUnknown, hsm.RestoredKeys}, nil, ""}, // it may be restored
		{"hide_attribute 163\nfalse_attribute 164", hsm.Exceptions{hsm.RestoredKeys}, hsm.ErrKeyExtractable, "[restored-keys,origin-unknown]"},
		{"false_attribute 164", hsm.KnownExceptions(), hsm.ErrKeyExtractable, ""}, // made here and extractable at some time: not restored
		{"false_attribute 165", nil, hsm.ErrKeyExtractable, ""},
		{"true_attribute 162", hsm.KnownExceptions(), hsm.ErrKeyExtractable, ""},
		{"false_attribute 103", hsm.KnownExceptions(), hsm.ErrKeyExtractable, ""},
	} {
		t.Run(test.fault+" with "+test.allow.String(), func(t *testing.T) {
			shim.Fail(t)
			cfg := shim.Config
			cfg.Exceptions = test.allow
			token, err := hsm.Open(t.Context(), cfg, pinOf(fixtures.TestPIN))
			must(t, err)
			defer func() { must(t, token.Close(t.Context())) }()
			shim.Fail(t, strings.Split(test.fault, "\n")...)
			_, err = token.Signer(t.Context(), issuing, public)
			if test.want == nil {
				must(t, err)
				return
			}
			want(t, err, test.want)
			if text := err.Error(); !strings.Contains(text, test.hint) || test.hint == "" && strings.Contains(text, "hsm.exceptions") {
				t.Errorf("want the hint %q: %v", test.hint, err)
			}
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
	if refused := reports[0].Refused(nil) != nil; refused != rule.Required {
		t.Errorf("refused: %v", reports[0].Refused(nil))
	}
}

func TestSignerWantsToKnowWhichKey(t *testing.T) {
	token := fixtures.NewToken(t).Open(t)
	odd, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(t, err)
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

func TestAPointMayBeRaw(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	shim.Fail(t, "ec_point_raw 1")
	token := open(t, shim.Config)
	signer, public := fixtures.NewKey(t, token, issuing.Label, issuing.ID...)
	must(t, sign(t, signer))
	if found := publicOf(t, token, issuing.Label); !found.Equal(public) {
		t.Error("the report shows another public key")
	}
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
