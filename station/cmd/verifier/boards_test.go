package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station"
	"hallmark/station/verifier"
)

// patience is long enough for an emulated board on a busy machine.
const patience = 2 * time.Minute

// A negative is a certificate that a board holds with its own key, and that both verifiers refuse for one reason.
type negative struct {
	name string
	// certificate changes what a good certificate would have.
	certificate func(*x509.Certificate)
	by          string // name of the issuing CA; empty: issuing
	status      station.Status
	boardID     string           // in the bundle; empty: that of the board
	announced   bool             // the Run expects the certificate of another board
	want        func(error) bool // the reason that the station's verifier gives
	says        string           // the reason in the log of cmd/verifier; empty: the certificate is accepted there
}

func is(want error) func(error) bool {
	return func(got error) bool { return errors.Is(got, want) }
}

func isExpired(got error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(got, &invalid) && invalid.Reason == x509.Expired
}

func isUntrusted(got error) bool {
	var unknown x509.UnknownAuthorityError
	return errors.As(got, &unknown)
}

var negatives = []negative{
	{name: "a good certificate", status: station.StatusActive, want: is(nil)},
	{name: "revoked", status: station.StatusRevoked, want: is(verifier.ErrRevoked), says: "certificate is not good any more: it is revoked"},
	{name: "expired", status: station.StatusActive, certificate: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
		want: isExpired, says: "x509: certificate has expired or is not yet valid"},
	{name: "of another CA", status: station.StatusActive, by: "elsewhere", want: isUntrusted, says: "x509: certificate signed by unknown authority"},
	{name: "another board's, by the registry", status: station.StatusActive, boardID: boardID, want: is(verifier.ErrOtherBoard), says: "certificate is registered for another board"},
	{name: "another board's, by the Run", status: station.StatusActive, announced: true, want: is(verifier.ErrNotTheExpected)},
	{name: "never issued by the station", want: is(verifier.ErrNotRegistered), says: "certificate is not registered"},
}

func TestBoardsAreRefusedForTheirReasonAndRefuseWrongVerifiers(t *testing.T) {
	kinds := map[string]emulated.Config{"posix": {Kind: emulated.Posix}, "an385": {Kind: emulated.QEMU, Machine: "mps2-an385"}}
	for name, config := range kinds {
		t.Run(name, func(t *testing.T) {
			if config.Kind == emulated.QEMU {
				prerequisite.Program(t, "qemu-system-arm", "qemu-system-arm")
			}
			config.Image = prerequisite.Firmware(t, filepath.Join("../../../devices/firmware/build", emulated.ImageName(config.Kind, config.Machine)))
			newProvisioned(t, config).all()
		})
	}
}

// A provisioned is a board, the two verifiers, and the certificates of openssl's CAs for the board.
type provisioned struct {
	*filesByOpenSSL
	client   *devices.Client
	id       devices.BoardID
	key      *ecdsa.PublicKey
	issued   []*x509.Certificate // one of each negative
	programs string              // address of cmd/verifier
	log      *buffer
	server   *verifier.Server
}

func newProvisioned(t *testing.T, config emulated.Config) *provisioned {
	t.Helper()
	config.Dir = t.TempDir()
	board := fixtures.Must(emulated.Start(t.Context(), config))(t)
	p := &provisioned{filesByOpenSSL: newFiles(t)}
	p.client = devices.NewClient(board.Transport(), devices.Options{Timeout: patience, ResetTimeout: patience, ServerTimeout: patience})
	t.Cleanup(func() {
		if err := errors.Join(p.client.Close(), board.Close()); err != nil {
			t.Error(err)
		}
	})
	ca := []string{"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"}
	p.make("elsewhere", "/O=Test/CN=Elsewhere", "root", ca...)
	p.make("stranger", "/O=Test/CN=Root", "", ca...)
	p.identify()
	p.issue()
	p.serve()
	return p
}

// identify learns BoardID and key of the board.
func (p *provisioned) identify() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	p.id = fixtures.Must(p.client.Identify(ctx))(p.t).ID
	csr := fixtures.Must(p.client.CSR(ctx, devices.PurposeTLS, [devices.NonceSize]byte{1}, devices.Subject{}))(p.t)
	_, from, found := bytes.Cut(csr, spkiHead)
	if !found || len(from) < 65 {
		p.t.Fatalf("no P-256 key in the CSR %x", csr)
	}
	p.key = fixtures.Must(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), from[:65]))(p.t)
}

// spkiHead stands before the point of a P-256 key (RFC 5480). crypto/x509 does not read the CSR, because an attribute has a large OID.
var spkiHead = []byte("\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00")

// issue makes a certificate of each negative, and a bundle with them.
func (p *provisioned) issue() {
	p.t.Helper()
	w := &verifier.BundleWriter{}
	for n, row := range negatives {
		template := &x509.Certificate{SerialNumber: new(big.Int).Lsh(big.NewInt(int64(0x40+n)), 120), Subject: pkix.Name{CommonName: p.id.String()},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		if row.certificate != nil {
			row.certificate(template)
		}
		by := row.issuer()
		der := fixtures.Must(x509.CreateCertificate(rand.Reader, template, p.certificate(by), p.key, p.signer(by)))(p.t)
		p.issued = append(p.issued, fixtures.Must(x509.ParseCertificate(der))(p.t))
		if row.status == "" {
			continue
		}
		record := station.Record{BoardID: p.id, Purpose: devices.PurposeTLS, CertificateSHA256: sha256.Sum256(der), Status: row.status}
		if row.boardID != "" {
			record.BoardID = fixtures.Must(devices.ParseBoardID(row.boardID))(p.t)
		}
		if err := w.Add([16]byte(template.SerialNumber.FillBytes(make([]byte, 16))), record); err != nil {
			p.t.Fatal(err)
		}
	}
	p.put("status", p.finish(w, 1, time.Now().Add(time.Hour)))
}

func (n *negative) issuer() string {
	if n.by == "" {
		return "issuing"
	}
	return n.by
}

// serve starts cmd/verifier, and the verifier as a station has it.
func (p *provisioned) serve() {
	p.t.Helper()
	p.programs, p.log = p.startWith("6 certificates known", p.with("--status", p.path("status"), "--timeout", patience.String())...)
	bundle := fixtures.Must(verifier.ReadBundle(p.path("status"), []*x509.Certificate{p.certificate("issuing")}))(p.t)
	p.server = fixtures.Must(verifier.New(verifier.Config{Certificate: fixtures.Must(tls.LoadX509KeyPair(p.path("server.pem"), p.path("server.key")))(p.t),
		Root: p.certificate("root"), Intermediates: []*x509.Certificate{p.certificate("issuing")}, Known: bundle, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), ServerName: "verifier.test", Timeout: patience}))(p.t)
	listener := fixtures.Must(net.Listen("tcp", "127.0.0.1:0"))(p.t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.server.Serve(ctx, listener) }()
	p.t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			p.t.Error(err)
		}
	})
}

func (p *provisioned) all() {
	for n, row := range negatives {
		p.t.Run(row.name, func(t *testing.T) { p.try(t, row, p.issued[n]) })
	}
	p.t.Run("a verifier of another name", func(t *testing.T) { p.leaves(t, "root", "other.test", devices.ErrServerName) })
	p.t.Run("a verifier of another CA", func(t *testing.T) { p.leaves(t, "stranger", "verifier.test", devices.ErrServerUntrusted) })
}

// store gives the board a root, a CA and a certificate, and resets it.
func (p *provisioned) store(ctx context.Context, t *testing.T, root, ca string, leaf []byte) {
	t.Helper()
	for slot, der := range [][]byte{p.certificate(root).Raw, p.certificate(ca).Raw, leaf} {
		if der == nil {
			continue
		}
		if err := p.client.Write(ctx, devices.Slot(slot), der); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := p.client.Reset(ctx); err != nil {
		t.Fatal(err)
	}
}

// try has the board show a certificate to both verifiers.
func (p *provisioned) try(t *testing.T, row negative, certificate *x509.Certificate) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p.store(ctx, t, "root", row.issuer(), certificate.Raw)
	expected := certificate.Raw
	if row.announced {
		expected = p.issued[0].Raw
	}
	session := fixtures.Must(p.server.Connect(ctx, expected))(t)
	_, boardSays := p.client.Handshake(ctx, session.Conn(), "verifier.test")
	_, verdict := session.Verdict(ctx)
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if !row.want(verdict) {
		t.Errorf("the verifier of the station says %v", verdict)
	}
	wrong := !row.want(nil)
	if wrong != errors.Is(boardSays, devices.ErrServerRefuses) || wrong != errors.Is(verdict, station.ErrHandshakeRefused) {
		t.Errorf("the board says %v, the verifier %v", boardSays, verdict)
	}
	boardSays = p.dial(ctx, t, "verifier.test")
	if refused := row.says != ""; refused != errors.Is(boardSays, devices.ErrServerRefuses) || !refused && boardSays != nil {
		t.Errorf("to cmd/verifier the board says %v", boardSays)
	}
	if row.says != "" {
		p.log.waitFor(t, `msg=refused .*serial=`+certificate.SerialNumber.Text(16)+` .*reason=".*`+row.says)
	}
}

// dial has the board do a handshake with cmd/verifier.
func (p *provisioned) dial(ctx context.Context, t *testing.T, name string) error {
	t.Helper()
	conn := fixtures.Must((&net.Dialer{}).DialContext(ctx, "tcp", p.programs))(t)
	_, err := p.client.Handshake(ctx, conn, name)
	if closed := conn.Close(); closed != nil {
		t.Error(closed)
	}
	return err
}

// leaves has the board come with its good certificate, or with none of its root, to a verifier that it must not trust.
func (p *provisioned) leaves(t *testing.T, root, name string, want error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	leaf := p.issued[0].Raw
	if root != "root" {
		leaf = fixtures.Must(x509.CreateCertificate(rand.Reader, p.issued[0], p.certificate(root), p.key, p.signer(root)))(t)
	}
	p.store(ctx, t, root, map[bool]string{true: "issuing", false: root}[root == "root"], leaf)
	if err := p.dial(ctx, t, name); !errors.Is(err, want) || errors.Is(err, devices.ErrServerRefuses) {
		t.Errorf("the board says %v, want %v", err, want)
	}
	p.log.waitFor(t, "handshake not completed") // mbedTLS sends its alert in clear text, which Go cannot read in TLS 1.3
	session := fixtures.Must(p.server.Connect(ctx, leaf))(t)
	_, err := p.client.Handshake(ctx, session.Conn(), name)
	_, verdict := session.Verdict(ctx)
	if !errors.Is(err, want) || verdict == nil || errors.Is(verdict, station.ErrHandshakeRefused) {
		t.Errorf("at the station's verifier the board says %v, the verifier %v", err, verdict)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}
