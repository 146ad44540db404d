package hsm_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

func TestACeremonyNeverOverwrites(t *testing.T) {
	token := fixtures.NewToken(t)
	raw(t, token.Config, func(m *pkcs11.Ctx, s pkcs11.SessionHandle) {
		generate(t, m, s, hsm.KeyRef{ID: []byte{1}, Label: "pair"})
		_, key := generate(t, m, s, hsm.KeyRef{ID: []byte{2}, Label: "public half"})
		must(t, m.DestroyObject(s, key))
		public, _ := generate(t, m, s, hsm.KeyRef{ID: []byte{3}, Label: "private half"})
		must(t, m.DestroyObject(s, public))
		_, err := m.CreateObject(s, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_DATA), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, "note"), pkcs11.NewAttribute(pkcs11.CKA_VALUE, []byte("x")),
		})
		must(t, err)
	})
	opened := token.Open(t)
	for _, test := range []struct {
		name string
		ref  hsm.KeyRef
		want error
	}{
		{"the label of a pair", hsm.KeyRef{ID: []byte{8}, Label: "pair"}, hsm.ErrKeyExists},
		{"the id of a pair", hsm.KeyRef{ID: []byte{1}, Label: "new"}, hsm.ErrKeyExists},
		{"the label of half a pair", hsm.KeyRef{ID: []byte{8}, Label: "public half"}, hsm.ErrKeyExists},
		{"the id of half a pair", hsm.KeyRef{ID: []byte{3}, Label: "new"}, hsm.ErrKeyExists},
		{"the label of something else", hsm.KeyRef{ID: []byte{8}, Label: "note"}, hsm.ErrKeyExists},
		{"no id", hsm.KeyRef{Label: "new"}, hsm.ErrConfig},
		{"no label", hsm.KeyRef{ID: []byte{8}}, hsm.ErrConfig},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := opened.Generate(t.Context(), test.ref)
			want(t, err, test.want)
		})
	}
}

func TestANewKeyMayDoNothingButSign(t *testing.T) {
	token := fixtures.NewToken(t).Open(t)
	_, public := fixtures.NewKey(t, token, "issuing", 1, 2)
	reports, err := token.Keys(t.Context())
	must(t, err)
	if len(reports) != 1 {
		t.Fatalf("%d keys", len(reports))
	}
	r := reports[0]
	if r.Label != "issuing" || !bytes.Equal(r.ID, []byte{1, 2}) || r.Problem != nil || !r.Public.Equal(public) {
		t.Errorf("got %+v", r)
	}
	must(t, r.Refused(nil))
	if len(r.Attributes) != len(hsm.Policy()) {
		t.Errorf("%d attributes", len(r.Attributes))
	}
	for _, a := range r.Attributes {
		if a.Got != a.Want {
			t.Errorf("%s is %v, want %v", a.Name, a.Got, a.Want)
		}
	}
}

func TestATokenThatDislikesTheFullTemplateGetsTheMinimalOne(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	shim.Fail(t, "picky_template 1")
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	must(t, sign(t, signer))
	reports, err := token.Keys(t.Context())
	must(t, err)
	if len(reports) != 1 {
		t.Errorf("%d keys", len(reports))
	}
}

func TestTheMinimalTemplateIsUsedAtOnceIfItIsConfigured(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	shim.Config.MinimalTemplate = true
	token := open(t, shim.Config)
	shim.Fail(t, "picky_template 1")
	signer, _ := fixtures.NewKey(t, token, "issuing", 1)
	must(t, sign(t, signer))
	if n := shim.Calls(t, "C_GenerateKeyPair"); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestAKeyIsNeverGeneratedTwice(t *testing.T) {
	for _, code := range []string{"5", "30", "D1"} { // the last and the first also mean a template that the token refuses
		t.Run("the token made the key and answered "+code, func(t *testing.T) {
			shim := fixtures.NewShim(t, fixtures.NewToken(t))
			token := open(t, shim.Config)
			shim.Fail(t, "after_C_GenerateKeyPair "+code)
			_, err := token.Generate(t.Context(), issuing)
			want(t, err, hsm.ErrSessionLost)
			if !strings.Contains(err.Error(), "stays on the token") || !strings.Contains(err.Error(), issuing.String()) {
				t.Errorf("%v: does not name the key that stays", err)
			}
			shim.Fail(t)
			reports, err := token.Keys(t.Context())
			must(t, err)
			if len(reports) != 1 {
				t.Errorf("%d keys on the token", len(reports))
			}
		})
	}
	t.Run("the token did not make the key", func(t *testing.T) {
		shim := fixtures.NewShim(t, fixtures.NewToken(t))
		token := open(t, shim.Config)
		shim.Fail(t, "C_GenerateKeyPair 30")
		_, err := token.Generate(t.Context(), issuing)
		want(t, err, hsm.ErrSessionLost)
		shim.Fail(t)
		_, err = token.Generate(t.Context(), issuing)
		must(t, err)
	})
}

func TestATokenWithoutAGeneratorSaysSo(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	octets := make([]byte, 3000)
	if n, err := io.ReadFull(token.Random(), octets); err != nil || n != len(octets) {
		t.Fatalf("%d octets, %v", n, err)
	}
	if bytes.Equal(octets[:1000], octets[1000:2000]) {
		t.Error("not random")
	}
	if n, err := token.Random().Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	shim.Fail(t, "C_GenerateRandom 121")
	_, err := token.Random().Read(octets)
	want(t, err, hsm.ErrNoRandom)
}
