package registry_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/registry"
)

// testIssuer is an issuer over a real registry, as a station wires them.
type testIssuer struct {
	registry *registry.Registry
	issuer   *issuance.Issuer
	root     *x509.Certificate
	issuing  *x509.Certificate
	vkey     string
}

func newTestIssuer(tb testing.TB, signer crypto.Signer) *testIssuer {
	tb.Helper()
	rootKey, auditKey := newKey(tb), newKey(tb)
	now := time.Now()
	root, err := issuance.Root(issuance.CAConfig{CommonName: "Hallmark Root", NotBefore: now.Add(-time.Hour), PathLen: 1}, rootKey, rand.Reader)
	must(tb, err)
	issuing, err := issuance.Issuing(issuance.CAConfig{CommonName: "Hallmark Issuing", NotBefore: now.Add(-time.Hour)}, signer.Public().(*ecdsa.PublicKey), root, rootKey, rand.Reader)
	must(tb, err)
	profile := fixtures.Profile(tb)
	r, err := registry.Open(tb.Context(), registry.Config{Path: filepath.Join(tb.TempDir(), "registry.db"), Station: "line-1"})
	must(tb, err)
	tb.Cleanup(func() { must(tb, r.Shutdown()) })
	vkey, err := r.Genesis(tb.Context(), registry.Genesis{Origin: "hallmark.test/line", AuditKey: auditKey.Public(), Profile: profile,
		Certificates: map[string]*x509.Certificate{"root": root, "issuing": issuing}})
	must(tb, err)
	must(tb, r.Checkpoint(tb.Context(), "hallmark.test/line", auditKey))
	issuer, err := issuance.New(issuance.Config{Profile: profile, Issuer: issuing, Root: root, Signer: signer, Store: r, Now: time.Now, Random: rand.Reader})
	must(tb, err)
	return &testIssuer{r, issuer, root, issuing, vkey}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(tb, err)
	return key
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// admitted admits a Run of a new board, and gives the request with the board's CSR.
func (l *testIssuer) admitted(tb testing.TB) issuance.Request {
	tb.Helper()
	run := runOf(devices.BoardID(uuid.New()))
	must(tb, l.registry.Admit(tb.Context(), run))
	return requestOf(tb, run, newKey(tb))
}

// runOf makes a Run of a board. The Run is not admitted yet.
func runOf(id devices.BoardID) *station.Run {
	return &station.Run{ID: uuid.New(), Bay: "bay-1", Purpose: devices.PurposeTLS, Identity: &devices.Identity{ID: id, HardwareID: "hw", BoardType: "posix"}}
}

func requestOf(tb testing.TB, run *station.Run, key *ecdsa.PrivateKey) issuance.Request {
	tb.Helper()
	id, nonce := run.Identity.ID, [16]byte(uuid.New())
	return issuance.Request{Run: run.ID.String(), BoardID: id, Purpose: run.Purpose, Nonce: nonce, CSR: boardCSR(tb, key, id.String(), nonce)}
}

// boardCSR is what a board of the default profile sends (PROTOCOL.md section 4).
func boardCSR(tb testing.TB, key *ecdsa.PrivateKey, id string, nonce [16]byte) []byte {
	tb.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	must(tb, err)
	type named struct {
		Type  asn1.ObjectIdentifier
		Value string `asn1:"utf8"`
	}
	type rdnSET []named
	type ext struct {
		ID    asn1.RawValue
		Value []byte
	}
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values [][]ext `asn1:"set"`
	}
	value, err := asn1.Marshal(nonce[:])
	must(tb, err)
	oid := asn1.RawValue{Tag: asn1.TagOID, Bytes: []byte("\x69\x81\xf8\x9f\xb6\xc3\xc7\xa5\x92\xbc\x97\x9d\xb0\xd4\xd4\xcc\xc7\x86\xef\x73")}
	info, err := asn1.Marshal(struct {
		Version    int
		Subject    []rdnSET
		Key        asn1.RawValue
		Attributes []attribute `asn1:"set,tag:0"`
	}{
		0, []rdnSET{{{asn1.ObjectIdentifier{2, 5, 4, 10}, "Linaro"}}, {{asn1.ObjectIdentifier{2, 5, 4, 3}, id}}, {{asn1.ObjectIdentifier{2, 5, 4, 11}, "Device Client TLS"}}},
		asn1.RawValue{FullBytes: spki},
		[]attribute{{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}, [][]ext{{{oid, value}}}}},
	})
	must(tb, err)
	digest := sha256.Sum256(info)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	must(tb, err)
	der, err := asn1.Marshal(struct {
		Info      asn1.RawValue
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: info}, struct{ OID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	must(tb, err)
	return der
}

func (l *testIssuer) issue(ctx context.Context, req issuance.Request) (*issuance.Certificate, error) {
	grant, err := l.issuer.Check(ctx, req)
	if err != nil {
		return nil, err
	}
	return l.issuer.Sign(ctx, grant)
}

func TestACertificateIsIssuedOnceAndIsGoodForAStranger(t *testing.T) {
	l := newTestIssuer(t, newKey(t))
	req := l.admitted(t)
	first, err := l.issue(t.Context(), req)
	must(t, err)
	again, err := l.issue(t.Context(), req)
	must(t, err)
	if !again.Stored || again.SHA256 != first.SHA256 || first.Stored {
		t.Errorf("the same request again: stored %t, same %t", again.Stored, again.SHA256 == first.SHA256)
	}
	certificate, err := x509.ParseCertificate(first.DER)
	must(t, err)
	roots, middle := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(l.root)
	middle.AddCert(l.issuing)
	_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, Intermediates: middle, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	must(t, err)
	_, err = l.registry.VerifyAudit(t.Context(), l.vkey)
	must(t, err)
}

func BenchmarkIssue1(b *testing.B)         { benchmarkIssue(b, newKey(b), 1) }
func BenchmarkIssue16(b *testing.B)        { benchmarkIssue(b, newKey(b), 16) }
func BenchmarkIssueSoftHSM1(b *testing.B)  { benchmarkIssue(b, softKey(b), 1) }
func BenchmarkIssueSoftHSM16(b *testing.B) { benchmarkIssue(b, softKey(b), 16) }

// softKey makes an issuing key in a SoftHSM token.
func softKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	token := fixtures.NewToken(tb).Open(tb)
	signer, _ := fixtures.NewKey(tb, token, "hallmark-issuing", 2)
	return signer
}

func TestATokenIssues(t *testing.T) {
	l := newTestIssuer(t, softKey(t))
	_, err := l.issue(t.Context(), l.admitted(t))
	must(t, err)
	_, err = l.registry.VerifyAudit(t.Context(), l.vkey)
	must(t, err)
}

// benchmarkIssue measures the way from a CSR to a durable certificate: check, intent,
// signature, result.
func benchmarkIssue(b *testing.B, signer crypto.Signer, workers int) {
	l := newTestIssuer(b, signer)
	requests := make([]issuance.Request, b.N)
	for n := range requests {
		requests[n] = l.admitted(b)
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	before := processorTime(b)
	b.ResetTimer()
	for range workers {
		wait.Go(func() {
			for n := next.Add(1) - 1; n < int64(b.N); n = next.Add(1) - 1 {
				if _, err := l.issue(b.Context(), requests[n]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "issued/s")
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
}

// processorTime gives the processor time of this process. Other processes do not change
// it much, unlike the time on the clock.
func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
