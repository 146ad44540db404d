package hub

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"testing"
	"time"

	"hallmark/station/outbox"
)

// selfSigned makes a certificate that is its own CA, for a server or a client on loopback.
func selfSigned(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))(t)}
}

// Whoever has the TLS key of one station takes the memory of one message, and not of one for each connection or stream.
func TestAStationTakesTheMemoryOfOneMessage(t *testing.T) {
	p := newPlant(t, "bench-1")
	own, client := selfSigned(t, "hub"), selfSigned(t, "bench-1")
	cas, servers := x509.NewCertPool(), x509.NewCertPool()
	cas.AddCert(client.Leaf)
	servers.AddCert(own.Leaf)
	server := must(NewServer(p.Store, own, cas, map[string][sha256.Size]byte{"bench-1": sha256.Sum256(client.Leaf.RawSubjectPublicKeyInfo)}, slog.New(slog.DiscardHandler)))(t)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	// begins sends the head of a request. The server answers "100 Continue" when it reads the body.
	begins := func() *tls.Conn {
		conn := must(tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: servers, Certificates: []tls.Certificate{client}, NextProtos: []string{"h2", "http/1.1"}}))(t)
		if protocol := conn.ConnectionState().NegotiatedProtocol; protocol != "http/1.1" {
			t.Errorf("the server speaks %q", protocol)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", outbox.PushPath, outbox.MaxPush)
		return conn
	}
	reads := func(conn *tls.Conn, within time.Duration) bool {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		n, _ := conn.Read(make([]byte, 100))
		return n > 0
	}
	first := begins()
	if !reads(first, time.Minute) {
		t.Fatal("the server does not read the first message")
	}
	second := begins()
	if reads(second, 300*time.Millisecond) {
		t.Error("the server reads a second message of the station beside the first")
	}
	_ = first.Close()
	_ = second.Close()
	third := begins() // a read of a TLS connection that timed out is not repeated
	if !reads(third, time.Minute) {
		t.Error("the server does not read the next message")
	}
	_ = third.Close()
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
