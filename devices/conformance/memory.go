package conformance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

// window is the length in octets of the pieces of a secret that the checks look for. By chance eight octets are in
// a memory of a few MiB once in 10^12 times.
const window = 8

// silenceBound is the longest time until a board has ended the session of a station that has vanished (PROTOCOL.md
// section 4, "tls": 30 s), on a busy machine.
const silenceBound = 2 * time.Minute

var memoryChecks = []check{
	{"after a handshake, a refused one and a station that vanished, no secret of the session and no further copy of the private key is in RAM", searchMemory},
}

// secrets are those of one board and its sessions.
type secrets struct {
	*environment
	huk, private []byte
	log          bytes.Buffer // of crypto/tls: one line for each secret of a session
	copies       int          // of pieces of the private key before the first session: PSA's key slots are in this RAM
}

func searchMemory(b *environment) {
	if b.subject.Memory == nil || b.subject.HUK == nil {
		b.Log("left out: the suite cannot read this board's memory, or does not know its HUK")
		return
	}
	p := b.pki()
	s := &secrets{environment: b, huk: b.subject.HUK, private: b.privateKey()}
	s.copies = s.count(s.memory(), s.private)
	if pieces := len(s.private) - window + 1; s.copies > pieces {
		b.Errorf("%d pieces of the private key in RAM before any session, want %d: PSA's slot and no other", s.copies, pieces)
	}
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		good := p.good()
		good.config.MinVersion, good.config.MaxVersion = version, version
		if p.knowsOnly12(good) {
			continue
		}
		good.config.KeyLogWriter = &s.log
		p.passes(good, version)
		s.areGone("after a handshake")

		refuses := good
		refuses.config = good.config.Clone()
		refuses.config.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return errors.New("refused by the check") }
		if _, err, _ := p.handshakeWith(refuses, serverName); err == nil {
			b.Error("the board took a server's refusal for a success")
		}
		s.areGone("after a refused handshake")

		s.vanish(p, good.config)
	}
}

// vanish leaves a session that is established and has no answer yet: the station ends, and says nothing to the board.
func (s *secrets) vanish(p *pki, config *tls.Config) {
	s.Helper()
	near, far := net.Pipe()
	established := make(chan error, 1)
	go func() {
		secure := tls.Server(far, config)
		established <- secure.Handshake()
	}()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := s.client().Handshake(ctx, near, serverName)
		ended <- err
	}()
	if err := <-established; err != nil {
		s.Fatalf("the handshake before the station vanishes: %v", err)
	}
	if s.found(s.memory()) == "" {
		s.Error("the search finds nothing in a session that is open, so it proves nothing")
	}
	cancel()
	if err := <-ended; err == nil {
		s.Error("the handshake succeeded without an answer")
	}
	s.check(errors.Join(near.Close(), far.Close()))
	deadline := time.Now().Add(silenceBound)
	for s.found(s.memory()) != "" && time.Now().Before(deadline) {
		time.Sleep(250 * time.Millisecond) // between two looks at the memory
	}
	s.areGone("after the station vanished")
}

// areGone checks that no secret of a session is in RAM, and no more of the private key than before.
func (s *secrets) areGone(when string) {
	s.Helper()
	ram := s.memory()
	if name := s.found(ram); name != "" {
		s.Errorf("%s: %s is in RAM", when, name)
	}
	if n := s.count(ram, s.private); n > s.copies {
		s.Errorf("%s: %d pieces of the private key in RAM, before it %d", when, n, s.copies)
	}
	if n := s.count(ram, s.huk); n > 0 {
		s.Errorf("%s: %d pieces of the HUK in RAM", when, n)
	}
	s.log.Reset()
}

// found returns the name of a session's secret that is in RAM, or "".
func (s *secrets) found(ram []byte) string {
	s.Helper()
	lines := bufio.NewScanner(bytes.NewReader(s.log.Bytes()))
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // label, random of the client, secret
		secret, err := hex.DecodeString(fields[len(fields)-1])
		s.check(err)
		if s.count(ram, secret) > 0 {
			return fields[0]
		}
	}
	return "" // a server of TLS 1.2 refuses a certificate before there is a secret
}

// count returns how many pieces of a secret are in RAM, in both orders of octets: big numbers are stored with the
// least significant octet first.
func (s *secrets) count(ram, secret []byte) int {
	reversed := slices.Clone(secret)
	slices.Reverse(reversed)
	n := 0
	for _, octets := range [][]byte{secret, reversed} {
		for at := range len(octets) - window + 1 {
			n += bytes.Count(ram, octets[at:at+window])
		}
	}
	return n
}

func (s *secrets) memory() []byte {
	s.Helper()
	ram, err := s.subject.Memory(s.ctx)
	s.check(err)
	return ram
}

// privateKey derives the board's TLS key from its HUK, as PROTOCOL.md section 5 says.
func (b *environment) privateKey() []byte {
	b.Helper()
	material, err := hkdf.Key(sha256.New, b.subject.HUK, nil, "HUK_CLIENT_TLS_EC_PRIV_KEY"+b.subject.Suffix, 96)
	b.check(err)
	limit := new(big.Int).Sub(elliptic.P256().Params().N, big.NewInt(2))
	for k := new(big.Int); len(material) >= 32; material = material[32:] {
		if k.SetBytes(material[:32]); k.Cmp(limit) <= 0 {
			return k.Add(k, big.NewInt(1)).FillBytes(make([]byte, 32))
		}
	}
	b.Fatal("no private key: the HUK gives three numbers that are too large")
	return nil
}
