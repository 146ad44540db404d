package faults_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/station"
	"hallmark/station/issuance"
)

// withBoth makes the station certify both keys of a board.
func withBoth(l *environment) { l.both = true }

// enrolAll does all Runs of one board in the bay.
func (b *bay) enrolAll(t *testing.T, board station.Board, p io.Closer) []*station.Run {
	t.Helper()
	b.place.Next = func(context.Context) (station.Board, io.Closer, error) { return board, p, nil }
	return b.station.EnrolIn(t.Context(), b.place, station.Request{Operator: "test"})
}

// bothPass checks that the board passed for both keys.
func bothPass(t *testing.T, runs []*station.Run) {
	t.Helper()
	if len(runs) != 2 || runs[0].Purpose != devices.PurposeTLS || runs[1].Purpose != devices.PurposeCOSE {
		t.Fatalf("%d Runs, first ends as %s: %v", len(runs), runs[0].Ending, runs[0].Err)
	}
	for _, run := range runs {
		ends(t, run, station.Pass, "")
	}
	shown := sha256.Sum256(runs[0].Certificate.DER)
	if runs[1].Handshake.CertificateSHA256 != shown || runs[1].Certificate.SPKISHA256 == runs[0].Certificate.SPKISHA256 {
		t.Errorf("the handshake showed %x, want %x; keys %x and %x", runs[1].Handshake.CertificateSHA256, shown,
			runs[0].Certificate.SPKISHA256, runs[1].Certificate.SPKISHA256)
	}
}

func TestABoardGetsBothCertificates(t *testing.T) {
	for name, network := range map[string]bool{"over the line": false, "over its own network": true} {
		t.Run(name, func(t *testing.T) {
			l := newEnvironment(t, func(l *environment) { l.network = network; withBoth(l) })
			bay, dir := l.bay("bay"), t.TempDir()
			for range 2 { // the second time the board keeps its certificates
				board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
				bothPass(t, bay.enrolAll(t, board, board))
			}
			if l.asked.Load() != 2 {
				t.Errorf("I9: %d signatures for two certificates", l.asked.Load())
			}
			l.onceEach(t)
			l.checkInvariants(t)
		})
	}
}

func TestABoardIsSealedAfterItsLastRunOnly(t *testing.T) {
	l := newEnvironment(t, func(l *environment) { l.changed = func(c *station.Config) { c.Seal = true }; withBoth(l) })
	board := l.good(t)
	runs := l.bay("bay").enrolAll(t, board, board)
	bothPass(t, runs)
	if runs[0].Sealed || !runs[1].Sealed || runs[1].Identity.Sealed {
		t.Errorf("sealed after the first Run %v, after the second %v; it began sealed %v", runs[0].Sealed, runs[1].Sealed, runs[1].Identity.Sealed)
	}
	l.checkInvariants(t)
}

// A board that was sealed with one certificate accepts no second certificate, and keeps the first.
func TestASealedBoardTakesNoSecondCertificate(t *testing.T) {
	l := newEnvironment(t, func(l *environment) { l.changed = func(c *station.Config) { c.Seal = true } })
	dir := t.TempDir()
	board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
	ends(t, l.bay("bay").enrol(t, board, board), station.Pass, "")
	withBoth(l)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	l.open(t)
	board = l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
	runs := l.bay("bay").enrolAll(t, board, board)
	if len(runs) != 2 || l.asked.Load() != 1 {
		t.Fatalf("%d Runs, %d signatures", len(runs), l.asked.Load())
	}
	ends(t, runs[0], station.Pass, "")
	ends(t, runs[1], station.Reject, "sealed")
	l.checkInvariants(t)
}

// A drain between the two Runs of a board leaves the board with its first certificate. The
// next enrolment gives the board its second certificate.
func TestADrainBetweenTwoRunsCostsNothing(t *testing.T) {
	l := newEnvironment(t, func(l *environment) {
		l.changed = func(c *station.Config) {
			c.Events = func(e station.Event) {
				if e.Kind == station.RunEnded && e.Snap.Purpose == devices.PurposeTLS && l.asked.Load() == 1 {
					l.station.Drain()
				}
			}
		}
		withBoth(l)
	})
	dir := t.TempDir()
	board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
	runs := l.bay("bay").enrolAll(t, board, board)
	if len(runs) != 2 {
		t.Fatalf("%d Runs", len(runs))
	}
	ends(t, runs[0], station.Pass, "")
	ends(t, runs[1], station.Aborted, "draining")
	l.checkInvariants(t)

	l.changed = func(*station.Config) {}
	withBoth(l)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	l.open(t)
	board = l.plug(t, emulated.Config{Dir: dir}, longTimeout, nil)
	again := l.bay("bay").enrolAll(t, board, board)
	bothPass(t, again)
	same(t, runs[0], again[0])
	if l.asked.Load() != 2 {
		t.Errorf("%d signatures for two certificates", l.asked.Load())
	}
	l.checkInvariants(t)
}

// A twoKeyBoard is a real board until the station asks for the second key. Then the functions
// change its answers.
type twoKeyBoard struct {
	*devices.Client
	csr       func(asked int, honest func(devices.Purpose) ([]byte, error)) ([]byte, error) // CSR for the COSE key
	handshake func(ctx context.Context, conn net.Conn, name string) (devices.HandshakeReport, error)
	identify  func(devices.Identity) devices.Identity
	asked     int // number of CSRs for the COSE key
	came      int // number of Identify calls
}

func (b *twoKeyBoard) Identify(ctx context.Context) (devices.Identity, error) {
	b.came++
	id, err := b.Client.Identify(ctx)
	if b.identify != nil && err == nil {
		id = b.identify(id)
	}
	return id, err
}

func (b *twoKeyBoard) CSR(ctx context.Context, purpose devices.Purpose, nonce [devices.NonceSize]byte, subject devices.Subject) ([]byte, error) {
	honest := func(purpose devices.Purpose) ([]byte, error) { return b.Client.CSR(ctx, purpose, nonce, subject) }
	if purpose != devices.PurposeCOSE || b.csr == nil {
		return honest(purpose)
	}
	b.asked++
	return b.csr(b.asked, honest)
}

func (b *twoKeyBoard) Handshake(ctx context.Context, conn net.Conn, name string) (devices.HandshakeReport, error) {
	if b.asked > 0 && b.handshake != nil {
		return b.handshake(ctx, conn, name)
	}
	return b.Client.Handshake(ctx, conn, name)
}

func TestABoardThatLiesAboutItsSecondKeyGetsNoActiveCertificateForIt(t *testing.T) {
	l := newEnvironment(t, withBoth)
	enrolled := l.good(t)
	bothPass(t, l.bay("another bay").enrolAll(t, enrolled, io.NopCloser(nil)))
	t.Cleanup(func() {
		if err := enrolled.Close(); err != nil {
			t.Error(err)
		}
	})
	foreign := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	honest := func(_ int, ask func(devices.Purpose) ([]byte, error)) ([]byte, error) {
		return ask(devices.PurposeCOSE)
	}
	var replayed []byte
	for _, test := range []struct {
		name   string
		board  twoKeyBoard
		reason string
		signed int64 // signatures for the second key
	}{
		{"with its TLS key once more (I4)", twoKeyBoard{csr: func(_ int, ask func(devices.Purpose) ([]byte, error)) ([]byte, error) {
			return ask(devices.PurposeTLS)
		}}, "key-elsewhere", 0},
		{"with a key that its firmware has made up", twoKeyBoard{csr: func(_ int, ask func(devices.Purpose) ([]byte, error)) ([]byte, error) {
			der, err := ask(devices.PurposeCOSE)
			return signedBy(t, foreign, der), err
		}}, devices.ErrForeignKey.Word(), 1},
		{"with a key that is another one after the reset (I6)", twoKeyBoard{csr: func(asked int, ask func(devices.Purpose) ([]byte, error)) ([]byte, error) {
			if asked == 2 {
				return ask(devices.PurposeTLS)
			}
			return ask(devices.PurposeCOSE)
		}}, "other-key", 1},
		{"with what it signed before the reset (I5)", twoKeyBoard{csr: func(asked int, ask func(devices.Purpose) ([]byte, error)) ([]byte, error) {
			der, err := ask(devices.PurposeCOSE)
			if asked == 2 {
				return replayed, err
			}
			replayed = der
			return der, err
		}}, issuance.ErrNonceWrong.Word(), 1},
		{"with another board's handshake (I6)", twoKeyBoard{csr: honest, handshake: enrolled.Handshake}, "handshake-refused", 1},
		{"with firmware that has no such key", twoKeyBoard{csr: honest, identify: func(id devices.Identity) devices.Identity {
			id.Purposes = 1
			return id
		}}, "no-purpose", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			bay, plugged, asked := l.bay("bay"), l.good(t), l.asked.Load()
			test.board.Client = plugged.Client
			runs := bay.enrolAll(t, &test.board, plugged)
			if len(runs) != 2 {
				t.Fatalf("%d Runs, first ends as %s: %v", len(runs), runs[0].Ending, runs[0].Err)
			}
			ends(t, runs[0], station.Pass, "")
			ends(t, runs[1], station.Reject, test.reason)
			if signed := l.asked.Load() - asked - 1; signed != test.signed {
				t.Errorf("%d signatures for the second key, want %d: %v", signed, test.signed, runs[1].Err)
			}
			l.checkInvariants(t)
		})
	}
}

// A request holds the parts of a CSR that these tests use (RFC 2986 section 4).
type request struct {
	Info struct {
		Version             int
		Subject, Key, Extra asn1.RawValue
	}
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

func parsedCSR(t *testing.T, der []byte) (r request) {
	t.Helper()
	must(asn1.Unmarshal(der, &r))(t)
	return r
}

// signedBy replaces the key in a CSR by another key, and signs the CSR with that key.
func signedBy(t *testing.T, key *ecdsa.PrivateKey, der []byte) []byte {
	t.Helper()
	request := parsedCSR(t, der)
	request.Info.Key = asn1.RawValue{FullBytes: must(x509.MarshalPKIXPublicKey(key.Public()))(t)}
	digest := sha256.Sum256(must(asn1.Marshal(request.Info))(t))
	signature := must(ecdsa.SignASN1(rand.Reader, key, digest[:]))(t)
	request.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return must(asn1.Marshal(request))(t)
}

// Without a TLS certificate nothing attests the second key, so nothing is signed.
func TestARunForTheSecondKeyNeedsTheFirst(t *testing.T) {
	l := newEnvironment(t, withBoth)
	board := l.good(t)
	defer board.Close()
	run := must(l.station.NewRun("bay", "test"))(t)
	run.Purpose = devices.PurposeCOSE
	if err := l.station.Enrol(t.Context(), board.Client, run); err != nil {
		t.Fatal(err)
	}
	ends(t, run, station.Fault, "tls-first")
	if l.asked.Load() != 0 {
		t.Errorf("%d signatures", l.asked.Load())
	}
	l.checkInvariants(t)
}

// Between the Runs, an attacker writes another trust anchor to the board. The board then erases
// its certificates.
func TestATLSCertificateThatIsGoneAttestsNothing(t *testing.T) {
	l := newEnvironment(t, withBoth)
	plugged := l.good(t)
	board := &twoKeyBoard{Client: plugged.Client}
	board.identify = func(id devices.Identity) devices.Identity {
		if board.came == 2 {
			if err := plugged.Client.Write(t.Context(), devices.SlotAnchor, stranger(t).anchor); err != nil {
				t.Error(err)
			}
			id, _ = plugged.Client.Identify(t.Context())
		}
		return id
	}
	runs := l.bay("bay").enrolAll(t, board, plugged)
	if len(runs) != 2 {
		t.Fatalf("%d Runs", len(runs))
	}
	ends(t, runs[0], station.Pass, "")
	ends(t, runs[1], station.Fault, "tls-first")
	l.checkInvariants(t)
}

func TestABoardThatDoesNotPassForItsFirstKeyHasNoSecondRun(t *testing.T) {
	l := newEnvironment(t, withBoth)
	plugged := l.good(t)
	runs := l.bay("bay").enrolAll(t, liar{plugged.Client, changed(func(der []byte) []byte { return der[:10] })}, plugged)
	if len(runs) != 1 {
		t.Fatalf("%d Runs", len(runs))
	}
	ends(t, runs[0], station.Reject, issuance.ErrNotDER.Word())
	l.checkInvariants(t)
}

// The station does not destroy a certificate of another CA: it neither writes to the slot, nor
// does it write an anchor, because a new anchor erases the certificate.
func TestAForeignCertificateOfTheSecondKeyIsNotDestroyed(t *testing.T) {
	for name, both := range map[string]bool{"when its key is certified": true, "when only the first key is": false} {
		t.Run(name, func(t *testing.T) {
			l := newEnvironment(t, func(l *environment) {
				if both {
					withBoth(l)
				}
			})
			plugged := l.good(t)
			ca := stranger(t)
			foreign := ca.certify(t, plugged.Client)
			runs := l.bay("bay").enrolAll(t, plugged.Client, io.NopCloser(nil))
			ends(t, runs[0], station.Reject, "foreign-certificate")
			held := must(plugged.Client.Read(t.Context(), devices.SlotCOSE))(t)
			if len(runs) != 1 || !bytes.Equal(held, foreign) {
				t.Errorf("%d Runs, and the board holds %d octets of %d", len(runs), len(held), len(foreign))
			}
			if err := plugged.Close(); err != nil {
				t.Error(err)
			}
			l.checkInvariants(t)
		})
	}
}

// A ca is a foreign CA whose root issues directly.
type ca struct {
	key    *ecdsa.PrivateKey
	anchor []byte
}

func stranger(t *testing.T) ca {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := foreignTemplate("Stranger")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	return ca{key, must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)}
}

func foreignTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// certify writes the CA's anchor and a certificate for the COSE key to the board.
func (c ca) certify(t *testing.T, board *devices.Client) []byte {
	t.Helper()
	der := must(board.CSR(t.Context(), devices.PurposeCOSE, [devices.NonceSize]byte{1}, devices.Subject{}))(t)
	request := parsedCSR(t, der)
	key := must(x509.ParsePKIXPublicKey(request.Info.Key.FullBytes))(t)
	certificate := must(x509.CreateCertificate(rand.Reader, foreignTemplate("board"), must(x509.ParseCertificate(c.anchor))(t), key, c.key))(t)
	for _, row := range []struct {
		slot devices.Slot
		der  []byte
	}{{devices.SlotAnchor, c.anchor}, {devices.SlotCOSE, certificate}} {
		if err := board.Write(t.Context(), row.slot, row.der); err != nil {
			t.Fatal(err)
		}
	}
	return certificate
}
