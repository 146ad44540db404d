package hsm_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// raw logs in to the token without the package under test, like another program in the
// same process, and does things that the package never does.
func raw(t *testing.T, cfg hsm.Config, do func(module *pkcs11.Ctx, session pkcs11.SessionHandle)) {
	t.Helper()
	module := pkcs11.New(cfg.Module)
	defer module.Destroy()
	must(t, module.Initialize())
	defer func() { must(t, module.Finalize()) }()
	session, err := module.OpenSession(slotOf(t, module, cfg), pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	must(t, err)
	must(t, module.Login(session, pkcs11.CKU_USER, fixtures.TestPIN))
	do(module, session)
}

func slotOf(t *testing.T, module *pkcs11.Ctx, cfg hsm.Config) uint {
	t.Helper()
	slots, err := module.GetSlotList(true)
	must(t, err)
	for _, slot := range slots {
		if info, err := module.GetTokenInfo(slot); err == nil && info.Label == cfg.TokenLabel {
			return slot
		}
	}
	t.Fatalf("no token %q", cfg.TokenLabel)
	return 0
}

// closeSessions closes all sessions, as a restart of the HSM does.
func closeSessions(t *testing.T, cfg hsm.Config) {
	t.Helper()
	module := pkcs11.New(cfg.Module)
	defer module.Destroy()
	must(t, module.CloseAllSessions(slotOf(t, module, cfg)))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want checks the sentinel of an error, and two rules for every error: it says what to do
// next, and it contains no PIN.
func want(t *testing.T, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("got %v; want %v", err, sentinel)
	}
	if next := hsm.Advice(err); next == "" || !strings.Contains(err.Error(), next) {
		t.Errorf("%v: does not say what to do next", err)
	}
	if strings.Contains(err.Error(), fixtures.TestPIN) {
		t.Errorf("%v: shows the PIN", err)
	}
}

// sign signs a fixed digest and verifies it.
func sign(t *testing.T, signer crypto.Signer) error {
	t.Helper()
	digest := sha256.Sum256([]byte("to be signed"))
	signature, err := signer.Sign(nil, digest[:], crypto.SHA256)
	if err == nil && !ecdsa.VerifyASN1(signer.Public().(*ecdsa.PublicKey), digest[:], signature) {
		t.Error("the signature does not verify")
	}
	return err
}

// open opens a token and closes it when the test ends.
func open(t *testing.T, cfg hsm.Config) *hsm.Token {
	t.Helper()
	return (&fixtures.Token{Config: cfg}).Open(t)
}

// refused opens a token and wants the error sentinel.
func refused(t *testing.T, cfg hsm.Config, pin hsm.PINSource, sentinel error) {
	t.Helper()
	token, err := hsm.Open(t.Context(), cfg, pin)
	if err == nil {
		must(t, token.Close(t.Context()))
	}
	want(t, err, sentinel)
}

func pinOf(text string) hsm.PINSource {
	return func(context.Context) (hsm.Secret, error) { return hsm.NewSecret([]byte(text)), nil }
}

var p256OID = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}

// template has the attributes that all test keys share.
func template(t *testing.T, class uint, ref hsm.KeyRef, more ...*pkcs11.Attribute) []*pkcs11.Attribute {
	t.Helper()
	params, err := asn1.Marshal(p256OID)
	must(t, err)
	return append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, class),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_EC),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_ID, ref.ID),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, ref.Label),
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params),
	}, more...)
}

// generate makes a key pair with the given attributes; without any, a good pair.
func generate(t *testing.T, module *pkcs11.Ctx, session pkcs11.SessionHandle, ref hsm.KeyRef, private ...*pkcs11.Attribute) (public, key pkcs11.ObjectHandle) {
	t.Helper()
	if private == nil {
		private = []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false)}
	}
	public, key, err := module.GenerateKeyPair(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_EC_KEY_PAIR_GEN, nil)},
		template(t, pkcs11.CKO_PUBLIC_KEY, ref), append([]*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
			pkcs11.NewAttribute(pkcs11.CKA_ID, ref.ID), pkcs11.NewAttribute(pkcs11.CKA_LABEL, ref.Label),
		}, private...))
	must(t, err)
	return public, key
}

// importKey writes a key that was made outside the token, with attributes that look good.
func importKey(t *testing.T, module *pkcs11.Ctx, session pkcs11.SessionHandle, ref hsm.KeyRef) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	importOf(t, module, session, ref, key)
	return &key.PublicKey
}

func importOf(t *testing.T, module *pkcs11.Ctx, session pkcs11.SessionHandle, ref hsm.KeyRef, key *ecdsa.PrivateKey) {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	must(t, err)
	wrapped, err := asn1.Marshal(point)
	must(t, err)
	secret, err := key.Bytes()
	must(t, err)
	_, err = module.CreateObject(session, template(t, pkcs11.CKO_PUBLIC_KEY, ref, pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, wrapped)))
	must(t, err)
	_, err = module.CreateObject(session, template(t, pkcs11.CKO_PRIVATE_KEY, ref,
		pkcs11.NewAttribute(pkcs11.CKA_VALUE, new(big.Int).SetBytes(secret).Bytes()),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_SIGN, true)))
	must(t, err)
}

// publicOf reads the public key from the token, which a station never does.
func publicOf(t *testing.T, token *hsm.Token, label string) *ecdsa.PublicKey {
	t.Helper()
	reports, err := token.Keys(t.Context())
	must(t, err)
	for _, r := range reports {
		if r.Label == label {
			must(t, r.Problem)
			return r.Public
		}
	}
	t.Fatalf("no key %q", label)
	return nil
}

// A rawSession is a session that raw opened.
type rawSession struct {
	module *pkcs11.Ctx
	handle pkcs11.SessionHandle
}

// pair makes a key pair and returns its public key.
func (s rawSession) pair(t *testing.T, ref hsm.KeyRef, private ...*pkcs11.Attribute) *ecdsa.PublicKey {
	t.Helper()
	public, _ := generate(t, s.module, s.handle, ref, private...)
	return s.public(t, public)
}

// private makes a key pair, removes its public half from the token, and returns the public key.
func (s rawSession) private(t *testing.T, ref hsm.KeyRef) *ecdsa.PublicKey {
	t.Helper()
	half, _ := generate(t, s.module, s.handle, ref)
	public := s.public(t, half)
	must(t, s.module.DestroyObject(s.handle, half))
	return public
}

// public reads the point of a public key.
func (s rawSession) public(t *testing.T, half pkcs11.ObjectHandle) *ecdsa.PublicKey {
	t.Helper()
	got, err := s.module.GetAttributeValue(s.handle, half, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
	must(t, err)
	var point []byte
	_, err = asn1.Unmarshal(got[0].Value, &point)
	must(t, err)
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	must(t, err)
	return public
}

// twice imports one key two times.
func (s rawSession) twice(t *testing.T, ref hsm.KeyRef) *ecdsa.PublicKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	importOf(t, s.module, s.handle, ref, key)
	importOf(t, s.module, s.handle, ref, key)
	return &key.PublicKey
}
