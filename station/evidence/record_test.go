package evidence

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
)

// memory is a record in memory: a log with certificates, and its checkpoints.
type memory struct {
	t            testing.TB
	key          *ecdsa.PrivateKey // audit key
	vkey         string
	ca           *x509.Certificate
	caKey        *ecdsa.PrivateKey
	bodies       [][]byte
	notes        [][]byte
	certificates [][]byte
	tree         tree
}

const origin = "hallmark/test"

func newMemory(t testing.TB) *memory {
	t.Helper()
	m := &memory{t: t, key: newKey(t), caKey: newKey(t)}
	m.tree.put = func(string, []byte) error { return nil }
	var err error
	m.vkey, err = audit.VerifierKey(origin, m.key.Public())
	m.must(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Issuing"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, m.caKey.Public(), m.caKey)
	m.must(err)
	m.ca, err = x509.ParseCertificate(der)
	m.must(err)
	m.add(audit.Entry{Type: audit.TypeGenesis, Details: map[string]string{"vkey": m.vkey}})
	return m
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (m *memory) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *memory) add(e audit.Entry) {
	m.t.Helper()
	e.V, e.Seq, e.ID, e.Station, e.Actor, e.Category = audit.Version, int64(len(m.bodies)), fmt.Sprint("id-", len(m.bodies)), "test", audit.Itself(), audit.CategoryLine
	e.Time, e.Outcome = audit.Time{Time: time.Unix(1_800_000_000+e.Seq, 0).UTC()}, audit.Success
	body, err := audit.Encode(e)
	m.must(err)
	m.bodies = append(m.bodies, body)
	m.must(m.tree.add(tlog.RecordHash(body)))
}

func (m *memory) checkpoint() []byte {
	m.t.Helper()
	note, err := audit.Sign(origin, audit.Head{Size: m.tree.size, Root: m.tree.root()}, m.key, rand.Reader)
	m.must(err)
	m.notes = append(m.notes, note)
	return note
}

// serialOf gives the serial number of the certificate of the board with number n.
func serialOf(n int) *big.Int {
	return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(0x40), 120), big.NewInt(int64(n)))
}

// enrol adds the entries of one board that passes.
func (m *memory) enrol(n int) {
	m.t.Helper()
	id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", n)
	spki := sha256.Sum256(m.ca.RawSubjectPublicKeyInfo)
	template := &x509.Certificate{SerialNumber: serialOf(n), Subject: pkix.Name{CommonName: id},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, m.ca, m.key.Public(), m.caKey)
	m.must(err)
	certificate, err := x509.ParseCertificate(der)
	m.must(err)
	boardSPKI, sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo), sha256.Sum256(der)
	board, run := &audit.Board{ID: id, HardwareID: "=cmd|'/c calc'!A0", Firmware: "1.0.0"}, &audit.Run{ID: fmt.Sprint("run-", n), Purpose: "tls", Operator: "ann"}
	cert := func(status string) *audit.Cert {
		return &audit.Cert{Serial: fmt.Sprintf("%032x", template.SerialNumber), Purpose: "tls", Status: status}
	}
	intent := cert("")
	intent.SPKISHA256, intent.Issuer = hex.EncodeToString(boardSPKI[:]), hex.EncodeToString(spki[:])
	issued := cert("issued")
	issued.SHA256 = hex.EncodeToString(sum[:])
	m.add(audit.Entry{Type: "board.admitted", Board: board, Run: run})
	m.add(audit.Entry{Type: "cert.issue.intent", Board: board, Run: run, Cert: intent})
	m.add(audit.Entry{Type: "cert.issued", Board: board, Run: run, Cert: issued})
	m.add(audit.Entry{Type: "cert.activated", Board: board, Run: run, Cert: cert("active")})
	m.add(audit.Entry{Type: "run.pass", Board: board, Run: run})
	m.certificates = append(m.certificates, der)
}

// refuse adds the entry of a Run whose board was not admitted.
func (m *memory) refuse(n int, why string) {
	m.add(audit.Entry{Type: "run.reject", Reason: why, Board: &audit.Board{ID: fmt.Sprintf("%08x-0000-4000-8000-000000000000", n), HardwareID: fmt.Sprint("hw-", n), Type: "posix", Firmware: "1.0.0"},
		Run: &audit.Run{ID: fmt.Sprint("refused-", n), Purpose: "tls", Operator: "ann"}, Details: map[string]string{"admitted": "false"}})
}

func (m *memory) LastCheckpoint(context.Context) ([]byte, error) {
	if len(m.notes) == 0 {
		return nil, nil
	}
	return m.notes[len(m.notes)-1], nil
}

func (m *memory) EachCheckpoint(_ context.Context, _ int64, each func([]byte) error) error {
	for _, note := range m.notes[:len(m.notes)-1] {
		if err := each(slices.Clone(note)); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) EachBody(_ context.Context, size int64, each func(int64, []byte) error) error {
	for seq, body := range m.bodies[:size] {
		if err := each(int64(seq), body); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Hashes(context.Context) tlog.HashReader {
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (some []tlog.Hash, err error) {
		for _, i := range indexes {
			some = append(some, hashes[i])
		}
		return some, nil
	})
	for seq, body := range m.bodies {
		stored, err := tlog.StoredHashes(int64(seq), body, reader)
		m.must(err)
		hashes = append(hashes, stored...)
	}
	return reader
}

// EachSelected selects the entries of the board with number 3.
func (m *memory) EachSelected(_ context.Context, size int64, each func(int64, []byte) error) error {
	for seq, body := range m.bodies[:size] {
		if bytes.Contains(body, []byte(`"00000003-0000`)) {
			if err := each(int64(seq), body); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) Certificate(_ context.Context, serial string) ([]byte, error) {
	for _, der := range m.certificates {
		certificate, err := x509.ParseCertificate(der)
		m.must(err)
		if fmt.Sprintf("%032x", certificate.SerialNumber) == serial {
			return der, nil
		}
	}
	return nil, nil
}

func (m *memory) EachCertificate(_ context.Context, each func([]byte) error) error {
	for _, der := range m.certificates {
		if err := each(der); err != nil {
			return err
		}
	}
	return nil
}

// write writes a bundle of the record.
func (m *memory) write(name string) string {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), name)
	b := Bundle{Source: m, VerifierKey: m.vkey, Authorities: []*x509.Certificate{m.ca}}
	_, err := b.Write(m.t.Context(), path)
	m.must(err)
	return path
}

func (m *memory) check(path string, o Options) *Verdict {
	m.t.Helper()
	files, err := OpenFiles(path)
	m.must(err)
	defer files.Close()
	verdict, err := Check(m.t.Context(), files, o)
	m.must(err)
	return verdict
}

// record makes a record of this many boards, with two checkpoints.
func record(t testing.TB, boards int) (m *memory, older []byte) {
	t.Helper()
	m = newMemory(t)
	for n := range boards {
		if n == boards/2 {
			older = m.checkpoint()
		}
		m.enrol(n)
	}
	m.checkpoint()
	m.add(audit.Entry{Type: "log.shutdown"}) // beyond the checkpoint
	return m, older
}
