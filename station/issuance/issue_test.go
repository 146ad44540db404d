package issuance

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/devices"
)

// memory is a Store in memory. It notes its calls, and refuses those that a test names.
type memory struct {
	sync.Mutex
	events []string
	stored map[Key][]byte
	open   map[[16]byte]Intent
	causes []error
	refuse map[string]error
}

func newMemory() *memory {
	return &memory{stored: map[Key][]byte{}, open: map[[16]byte]Intent{}, refuse: map[string]error{}}
}

func (m *memory) event(name string) error {
	m.events = append(m.events, name)
	return m.refuse[name]
}

func (m *memory) Intend(_ context.Context, in Intent) ([]byte, error) {
	m.Lock()
	defer m.Unlock()
	if der, ok := m.stored[in.Key]; ok && !in.Rework {
		return der, m.event("stored")
	}
	m.open[in.Serial] = in
	return nil, m.event("intend")
}

func (m *memory) Issued(_ context.Context, serial [16]byte, der []byte) error {
	m.Lock()
	defer m.Unlock()
	if err := m.event("issued"); err != nil {
		return err
	}
	m.stored[m.open[serial].Key] = der
	delete(m.open, serial)
	return nil
}

func (m *memory) Failed(_ context.Context, serial [16]byte, cause error) error {
	m.Lock()
	defer m.Unlock()
	delete(m.open, serial)
	m.causes = append(m.causes, cause)
	return m.event("failed")
}

// signerFunc is a Signer whose signatures come from a function.
type signerFunc struct {
	*ecdsa.PrivateKey
	sign func(digest []byte) ([]byte, error)
}

func (s signerFunc) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.sign(digest)
}

// testIssuer is an issuer with all that a test needs to use it.
type testIssuer struct {
	*Issuer
	store   *memory
	root    *x509.Certificate
	issuing *x509.Certificate
	config  Config
}

var someTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newTestIssuer(t testing.TB, change func(*Config, *ecdsa.PrivateKey)) *testIssuer {
	t.Helper()
	rootKey, issuingKey := fixedKey("root"), fixedKey("issuing")
	root, err := Root(CAConfig{CommonName: "Hallmark Root", Organization: "Linaro", NotBefore: someTime.Add(-day), PathLen: 1}, rootKey, numbers(1))
	must(t, err)
	issuing, err := Issuing(CAConfig{CommonName: "Hallmark Issuing", Organization: "Linaro", NotBefore: someTime.Add(-day)}, &issuingKey.PublicKey, root, rootKey, numbers(2))
	must(t, err)
	profile, err := NewProfile(linaro())
	must(t, err)
	l := &testIssuer{store: newMemory(), root: root, issuing: issuing}
	l.config = Config{Profile: profile, Issuer: issuing, Root: root, Signer: issuingKey, Store: l.store,
		Now: func() time.Time { return someTime }, Random: numbers(3)}
	if change != nil {
		change(&l.config, issuingKey)
	}
	l.Issuer, err = New(l.config)
	must(t, err)
	return l
}

// fixedKey gives the same key for the same name, so that goldens stay the same.
func fixedKey(name string) *ecdsa.PrivateKey {
	sum := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), sum[:])
	if err != nil {
		panic(err)
	}
	return key
}

// numbers is a random source that gives one octet again and again.
type numbers byte

func (n numbers) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(n)
	}
	return len(p), nil
}

// deterministic signs by RFC 6979, so that the certificate is the same each time.
func deterministic(key *ecdsa.PrivateKey) crypto.Signer {
	return signerFunc{key, func(digest []byte) ([]byte, error) { return key.Sign(nil, digest, crypto.SHA256) }}
}

func (l *testIssuer) request(t testing.TB) Request {
	t.Helper()
	return requestOf(t, someBoard, fixedKey("board"))
}

// requestOf is a request for the TLS key of a board.
func requestOf(t testing.TB, board devices.BoardID, key *ecdsa.PrivateKey) Request {
	t.Helper()
	p := honest(t)
	p.key = key
	var err error
	p.spki, err = keyDER(&key.PublicKey)
	must(t, err)
	p.subject, err = subjectDER("Linaro", board.String(), "Device Client TLS")
	must(t, err)
	return Request{Run: "0190a5e2-7b1c-7000-8000-000000000001", BoardID: board, Purpose: devices.PurposeTLS, Nonce: someNonce, CSR: p.sign(t)}
}

func (l *testIssuer) grantOne(t testing.TB) *Grant {
	t.Helper()
	grant, err := l.Check(t.Context(), l.request(t))
	must(t, err)
	return grant
}

func TestTheSameRequestAgainIsNotSignedAgain(t *testing.T) {
	l := newTestIssuer(t, nil)
	first, err := l.Sign(t.Context(), l.grantOne(t))
	must(t, err)
	l.config.Random = numbers(9)
	second, err := l.Sign(t.Context(), l.grantOne(t))
	must(t, err)
	if first.Stored || !second.Stored || !bytes.Equal(first.DER, second.DER) || first.Serial != second.Serial {
		t.Errorf("stored %t and %t, equal %t", first.Stored, second.Stored, bytes.Equal(first.DER, second.DER))
	}
	if want := []string{"intend", "issued", "stored"}; !slices.Equal(l.store.events, want) {
		t.Errorf("events %v, want %v", l.store.events, want)
	}
}

func TestAnErrorOfAStoredCertificateNamesNoSerialNumberThatWasNotUsed(t *testing.T) {
	for name, spoil := range map[string]func(*memory){
		"a stored certificate that is damaged": func(m *memory) {
			for key := range m.stored {
				m.stored[key] = []byte("damaged")
			}
		},
		"an intent that is refused": func(m *memory) { m.refuse["stored"] = errors.New("refused") },
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestIssuer(t, nil)
			_, err := l.Sign(t.Context(), l.grantOne(t))
			must(t, err)
			spoil(l.store)
			again := l.grantOne(t)
			if _, err := l.Sign(t.Context(), again); err == nil || strings.Contains(err.Error(), fmt.Sprintf("%x", again.intent.Serial)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAGrantIsGoodForOneSignatureByItsIssuer(t *testing.T) {
	l, other := newTestIssuer(t, nil), newTestIssuer(t, nil)
	grant := l.grantOne(t)
	if _, err := other.Sign(t.Context(), grant); !errors.Is(err, ErrGrantForeign) {
		t.Errorf("another issuer: %v", err)
	}
	if _, err := l.Sign(t.Context(), nil); !errors.Is(err, ErrGrantForeign) {
		t.Errorf("no grant: %v", err)
	}
	_, err := l.Sign(t.Context(), grant)
	must(t, err)
	if _, err := l.Sign(t.Context(), grant); !errors.Is(err, ErrGrantUsed) {
		t.Errorf("a second time: %v", err)
	}
}

// notSignedError is the error of a signer that certainly did not sign.
type notSignedError struct{}

func (notSignedError) Error() string   { return "no session" }
func (notSignedError) NotSigned() bool { return true }

func TestTheIntentIsThereBeforeTheSignatureAndIsClosedAfterIt(t *testing.T) {
	broken := errors.New("broken")
	cases := []struct {
		name   string
		refuse map[string]error
		sign   func(l *testIssuer, key *ecdsa.PrivateKey, digest []byte) ([]byte, error)
		want   error
		events []string
		cause  error
	}{
		{name: "a good signature", events: []string{"intend", "signed", "issued"}},
		{name: "no intent, no signature (I1, I8)", refuse: map[string]error{"intend": broken}, want: broken, events: []string{"intend"}},
		{name: "certainly not signed", want: ErrNotSigned, cause: ErrNotSigned, events: []string{"intend", "signed", "failed"},
			sign: func(*testIssuer, *ecdsa.PrivateKey, []byte) ([]byte, error) { return nil, notSignedError{} }},
		{name: "a lost reply leaves it open (I10)", want: ErrUnresolved, cause: ErrUnresolved, events: []string{"intend", "signed", "failed"},
			sign: func(*testIssuer, *ecdsa.PrivateKey, []byte) ([]byte, error) { return nil, broken }},
		{name: "a wrong signature is not handed out", want: ErrUnresolved, cause: ErrUnresolved, events: []string{"intend", "signed", "failed"},
			sign: func(_ *testIssuer, key *ecdsa.PrivateKey, _ []byte) ([]byte, error) {
				return key.Sign(nil, make([]byte, 32), crypto.SHA256)
			}},
		{name: "a signature that is none", want: ErrUnresolved, cause: ErrUnresolved, events: []string{"intend", "signed", "failed"},
			sign: func(*testIssuer, *ecdsa.PrivateKey, []byte) ([]byte, error) { return []byte("no"), nil }},
		{name: "a result that cannot be stored is not handed out", refuse: map[string]error{"issued": broken}, want: broken, cause: ErrUnresolved,
			events: []string{"intend", "signed", "issued", "failed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var l *testIssuer
			l = newTestIssuer(t, func(config *Config, key *ecdsa.PrivateKey) {
				config.Signer = signerFunc{key, func(digest []byte) ([]byte, error) {
					must(t, l.store.event("signed"))
					if !l.intends(digest) {
						t.Error("the signed digest is not the one of an open intent")
					}
					if c.sign != nil {
						return c.sign(l, key, digest)
					}
					return key.Sign(nil, digest, crypto.SHA256)
				}}
			})
			l.store.refuse = c.refuse
			if c.refuse == nil {
				l.store.refuse = map[string]error{}
			}
			_, err := l.Sign(t.Context(), l.grantOne(t))
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !slices.Equal(l.store.events, c.events) {
				t.Errorf("events %v, want %v", l.store.events, c.events)
			}
			if c.cause != nil && (len(l.store.causes) != 1 || !errors.Is(l.store.causes[0], c.cause)) {
				t.Errorf("closed with %v, want %v", l.store.causes, c.cause)
			}
		})
	}
}

// intends reports whether an open intent names this digest.
func (l *testIssuer) intends(digest []byte) bool {
	for _, in := range l.store.open {
		if bytes.Equal(in.TBSSHA256[:], digest) {
			return true
		}
	}
	return false
}

func TestACallerWhoGaveUpGetsNoSignature(t *testing.T) {
	l := newTestIssuer(t, nil)
	grant := l.grantOne(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Sign(ctx, grant); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNotSigned) {
		t.Errorf("got %v", err)
	}
	if want := []string{"intend", "failed"}; !slices.Equal(l.store.events, want) {
		t.Errorf("events %v, want %v", l.store.events, want)
	}
}

func TestSerialNumbersAreAlways16Octets(t *testing.T) {
	for _, random := range []numbers{0, 1, 0x7f, 0x80, 0xff} {
		serial, err := NewSerial(random)
		must(t, err)
		if n := new(big.Int).SetBytes(serial[:]); n.BitLen() != 127 || n.Sign() != 1 {
			t.Errorf("octets %x give %x", byte(random), serial)
		}
	}
}

func TestRefusalsOfTheIssuer(t *testing.T) {
	l := newTestIssuer(t, nil)
	req := l.request(t)
	for name, change := range map[string]func(*Request){
		"no Run": func(r *Request) { r.Run = "" }, "no BoardID": func(r *Request) { r.BoardID = devices.BoardID{} },
	} {
		bad := req
		change(&bad)
		if _, err := l.Check(t.Context(), bad); !errors.Is(err, ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	erased, err := devices.DeriveIdentity(make([]byte, devices.HUKSize), "")
	must(t, err)
	known := requestOf(t, erased.ID, fixedKey("board"))
	if _, err := l.Check(t.Context(), known); !errors.Is(err, ErrDummyIdentity) {
		t.Errorf("a known identity: %v", err)
	}
	demo := newTestIssuer(t, func(c *Config, _ *ecdsa.PrivateKey) { c.AllowDummy = true })
	if _, err := demo.Check(t.Context(), known); err != nil {
		t.Errorf("a known identity in demo mode: %v", err)
	}
}

func TestAnIssuerThatDoesNotFitTogetherIsRefused(t *testing.T) {
	l := newTestIssuer(t, nil)
	strange := newKey(t)
	other, err := Root(CAConfig{CommonName: "Other", NotBefore: someTime.Add(-day), PathLen: -1}, strange, numbers(5))
	must(t, err)
	server, err := Server(ServerConfig{CommonName: "v", DNSNames: []string{"v.test"}, NotBefore: someTime.Add(-day), NotAfter: someTime.Add(day)},
		&fixedKey("issuing").PublicKey, l.root, fixedKey("root"), numbers(6))
	must(t, err)
	cases := map[string]struct {
		change func(*Config)
		want   error
	}{
		"another signer's key":         {func(c *Config) { c.Signer = strange }, ErrIssuerKey},
		"another root":                 {func(c *Config) { c.Root = other }, ErrIssuerChain},
		"a server certificate as a CA": {func(c *Config) { c.Issuer = server }, ErrIssuerChain},
		"a root that is not yet valid": {func(c *Config) { c.Now = func() time.Time { return someTime.Add(-2 * day) } }, ErrIssuerChain},
		"another CA's certificate":     {func(c *Config) { c.Issuer = other }, ErrIssuerKey},
	}
	for name, c := range cases {
		config := l.config
		c.change(&config)
		if _, err := New(config); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration is accepted")
	}
}

func TestACertificateDoesNotOutliveItsIssuer(t *testing.T) {
	l := newTestIssuer(t, nil)
	key := fixedKey("issuing")
	short, err := Issuing(CAConfig{CommonName: "Short", NotBefore: someTime.Add(-day), NotAfter: someTime.Add(day)}, &key.PublicKey, l.root, fixedKey("root"), numbers(7))
	must(t, err)
	l.config.Issuer = short
	issuer, err := New(l.config)
	must(t, err)
	if _, err := issuer.Check(t.Context(), l.request(t)); !errors.Is(err, ErrOutlives) {
		t.Errorf("got %v", err)
	}
}
