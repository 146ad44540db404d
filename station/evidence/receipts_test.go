package evidence

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"

	"hallmark/devices/receipt"
	"hallmark/station/audit"
)

// aReceipt is what the board with number n should say of its certificate.
func (m *memory) aReceipt(n int, nonce byte) receipt.Receipt {
	id, sum, anchor := uuid.MustParse(fmt.Sprintf("%08x-0000-4000-8000-000000000000", n)), sha256.Sum256(m.certificates[n]), sha256.Sum256(m.ca.Raw)
	return receipt.Receipt{Nonce: bytes.Repeat([]byte{nonce}, 16), Type: receipt.Type, Anchor: anchor[:], Boot: make([]byte, 8), Certificate: sum[:],
		FirmwareHash: make([]byte, 32), ID: id[:]}
}

// signReceipt signs a receipt as a board with this key does (RFC 9052 section 4.4).
func (m *memory) signReceipt(r receipt.Receipt, key *ecdsa.PrivateKey) []byte {
	m.t.Helper()
	mode, err := cbor.CoreDetEncOptions().EncMode()
	m.must(err)
	payload, err := mode.Marshal(r)
	m.must(err)
	signed, err := mode.Marshal([]any{"Signature1", []byte{0xa1, 0x01, 0x26}, []byte{}, payload})
	m.must(err)
	sum := sha256.Sum256(signed)
	a, b, err := ecdsa.Sign(rand.Reader, key, sum[:])
	m.must(err)
	signature := append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	cose, err := mode.Marshal(cbor.Tag{Number: 18, Content: []any{[]byte{0xa1, 0x01, 0x26}, map[int]int{}, payload, signature}})
	m.must(err)
	return cose
}

// activated adds the entry that keeps the receipt of the board with number n, which presented the certificate with number shown.
func (m *memory) activated(n, shown int, cose []byte) {
	m.t.Helper()
	sum, own := sha256.Sum256(m.certificates[shown]), sha256.Sum256(m.certificates[n])
	m.add(audit.Entry{Type: "cert.activated", Board: &audit.Board{ID: fmt.Sprintf("%08x-0000-4000-8000-000000000000", n)},
		Run:     &audit.Run{ID: fmt.Sprintf("run-of-%08x-0000-4000-8000-000000000000", n)},
		Cert:    &audit.Cert{Serial: fmt.Sprintf("%032x", serialOf(n)), SHA256: hex.EncodeToString(own[:]), Purpose: "tls", Status: "active"},
		Details: map[string]string{"receipt": base64.StdEncoding.EncodeToString(cose), "presented_sha256": hex.EncodeToString(sum[:])}})
}

// admitted adds the entry that begins the Run of the board with number n, with what the board said of itself.
func (m *memory) admitted(n int, firmware, huk string) {
	m.t.Helper()
	id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", n)
	m.add(audit.Entry{Type: "board.admitted", Run: &audit.Run{ID: "run-of-" + id}, Board: &audit.Board{ID: id, SHA256: firmware, HUK: huk}})
}

// Each case is a log that is signed and whole: its station lied, or believed a receipt that it should not.
func TestAReceiptThatProvesNothingIsFound(t *testing.T) {
	for _, test := range []struct {
		name   string
		add    func(m *memory)
		saying string
	}{
		{"of another key", func(m *memory) { m.activated(3, 3, m.signReceipt(m.aReceipt(3, 1), newKey(m.t))) }, "the receipt does not hold"},
		{"changed", func(m *memory) {
			cose := m.signReceipt(m.aReceipt(3, 1), m.key)
			cose[len(cose)-70] ^= 1 // in the payload
			m.activated(3, 3, cose)
		}, "the receipt does not hold"},
		{"used twice", func(m *memory) {
			cose := m.signReceipt(m.aReceipt(3, 1), m.key)
			m.activated(3, 3, cose)
			m.activated(3, 3, cose)
		}, "its nonce was used before"},
		{"about another certificate", func(m *memory) { m.activated(3, 3, m.signReceipt(m.aReceipt(2, 1), m.key)) }, "about another certificate"},
		{"of another board", func(m *memory) {
			r := m.aReceipt(3, 1)
			r.ID = m.aReceipt(2, 1).ID
			m.activated(3, 3, m.signReceipt(r, m.key))
		}, "about another board"},
		{"with another trust anchor", func(m *memory) {
			r := m.aReceipt(3, 1)
			r.Anchor = make([]byte, 32)
			m.activated(3, 3, m.signReceipt(r, m.key))
		}, "names a trust anchor that is not in authorities.pem"},
		{"for a certificate that the board did not present", func(m *memory) {
			r := m.aReceipt(2, 1)
			r.ID = m.aReceipt(3, 1).ID
			m.activated(3, 2, m.signReceipt(r, m.key))
		}, "the board presented another certificate than the one that became active"},
		{"without a nonce", func(m *memory) {
			r := m.aReceipt(3, 1)
			r.Nonce = nil
			m.activated(3, 3, m.signReceipt(r, m.key))
		}, "the receipt does not hold"},
		{"of other firmware than the board had said", func(m *memory) {
			m.admitted(3, strings.Repeat("11", 32), "0")
			m.activated(3, 3, m.signReceipt(m.aReceipt(3, 1), m.key))
		}, "the receipt says firmware 00"},
		{"with another HUK source than the board had said", func(m *memory) {
			m.admitted(3, strings.Repeat("00", 32), "0 caller -1")
			m.activated(3, 3, m.signReceipt(m.aReceipt(3, 1), m.key))
		}, "the receipt says HUK source 0, and the entry that admitted the board 0 caller -1"},
		{"of a sealed board in an entry about an open one", func(m *memory) {
			r := m.aReceipt(3, 1)
			r.LifeCycle = 1
			m.activated(3, 3, m.signReceipt(r, m.key))
		}, "the receipt says life cycle 1, and the entry 0"},
		{"text", func(m *memory) { m.activated(3, 3, []byte("receipt")) }, "the receipt does not hold"},
		{"not base64", func(m *memory) {
			m.add(audit.Entry{Type: "cert.activated", Details: map[string]string{"receipt": "!"}})
		}, "the receipt is not base64"},
		{"without the certificate that was presented", func(m *memory) {
			m.add(audit.Entry{Type: "cert.activated", Details: map[string]string{"receipt": "AAAA", "presented_sha256": "00"}})
		}, "is not the SHA-256 of the certificate that the board presented"},
		{"for a certificate that nobody issued", func(m *memory) {
			m.add(audit.Entry{Type: "cert.activated", Details: map[string]string{"receipt": "AAAA", "presented_sha256": strings.Repeat("0", 64)}})
		}, "of the receipt cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, _ := record(t, 8)
			m.activated(1, 1, m.signReceipt(m.aReceipt(1, 9), m.key))
			test.add(m)
			m.checkpoint()
			root := m.writeReported("bundle")
			v := m.check(root, Options{Key: m.vkey})
			if len(v.Findings) != 1 || !strings.Contains(v.Findings[0].Meaning, test.saying) || v.Findings[0].Entry == nil {
				t.Errorf("got %v, want %q", v.Findings, test.saying)
			}
			if out, err := exec.Command("python3", filepath.Join(root, ScriptFile)).CombinedOutput(); err == nil {
				t.Errorf("the script says %s", out)
			}
		})
	}
}

func TestReceiptsThatHoldAreCounted(t *testing.T) {
	m, _ := record(t, 8)
	for n := range 4 {
		m.activated(n, n, m.signReceipt(m.aReceipt(n, byte(n)), m.key))
	}
	m.checkpoint()
	for _, name := range []string{"bundle", "bundle.tar"} {
		if v := m.check(m.write(name), Options{Key: m.vkey}); !v.Good() || v.Receipts != 4 {
			t.Errorf("%s: %d receipts, %v", name, v.Receipts, v.Findings)
		}
	}
	if out, err := exec.Command("python3", filepath.Join(m.writeReported("script"), ScriptFile)).CombinedOutput(); err != nil || !strings.Contains(string(out), "4 receipts of boards") {
		t.Errorf("the script says %v, %s", err, out)
	}
	if v := m.check(m.writePart("part"), Options{Key: m.vkey}); !v.Good() || v.Receipts != 1 {
		t.Errorf("a part: %d receipts, %v", v.Receipts, v.Findings)
	}
}

// A part can lack the certificate of a receipt. Both verifiers say that they did not check it.
func TestAReceiptWhoseCertificateIsInAnotherPartIsNamed(t *testing.T) {
	m, _ := record(t, 8)
	m.activated(3, 2, m.signReceipt(m.aReceipt(2, 1), m.key))
	m.checkpoint()
	root := m.writePart("part")
	v := m.check(root, Options{Key: m.vkey})
	if !v.Good() || v.Receipts != 0 || !strings.Contains(fmt.Sprint(v.NotChecked), "1 receipt was not checked") {
		t.Errorf("%d receipts, %v, %v", v.Receipts, v.Findings, v.NotChecked)
	}
	if out, err := exec.Command("python3", filepath.Join(root, ScriptFile)).CombinedOutput(); err != nil || !strings.Contains(string(out), "NOT CHECKED: 1 receipt: the certificate is in another part") {
		t.Errorf("the script says %v, %s", err, out)
	}
}

// A station may have signed an entry that lacks a part which others of its type have. Both verifiers judge it, and neither breaks.
func TestAnEntryThatLacksPartsIsJudged(t *testing.T) {
	for _, kind := range []string{"log.genesis", "log.checkpoint", "log.cosigned", "board.admitted", "board.scrapped", "cert.issue.intent", "cert.issued", "cert.issue.failed",
		"cert.issue.unresolved", "cert.activated", "cert.superseded", "cert.revoked", "run.pass", "run.reject", "order.opened", "hsm.open", "strange"} {
		for _, details := range []map[string]string{nil, {"receipt": "AAAA"}, {"admitted": "false"}, {"size": "x", "notes": "y"}} {
			m, _ := record(t, 2)
			m.add(audit.Entry{Type: kind, Details: details})
			m.checkpoint()
			root := m.writeReported("bundle")
			v := m.check(root, Options{Key: m.vkey, Report: again})
			out, err := exec.Command("python3", "-I", filepath.Join(root, ScriptFile)).CombinedOutput()
			if good := strings.HasPrefix(string(out), "OK: "); !good && !strings.HasPrefix(string(out), "FAIL: ") || good != (err == nil) || strings.Contains(string(out), "Traceback") {
				t.Errorf("%s, %v: the script ends with %v and says %s", kind, details, err, out)
			}
			if strings.HasPrefix(kind, "cert.issue") && (v.Good() || err == nil || !strings.Contains(fmt.Sprint(v.Findings), "names no serial number")) {
				t.Errorf("%s, %v: without a certificate: %v; the script says %s", kind, details, v.Findings, out)
			}
		}
	}
}

// A receipt in a part is checked, too. Without the certificate of an issue, the part is not whole.
func TestAReceiptInAPartIsChecked(t *testing.T) {
	m, _ := record(t, 8)
	m.activated(3, 3, m.signReceipt(m.aReceipt(3, 1), newKey(t)))
	m.checkpoint()
	root := m.writePart("part")
	if v := m.check(root, Options{Key: m.vkey}); len(v.Findings) != 1 || !strings.Contains(v.Findings[0].Meaning, "the receipt does not hold") {
		t.Errorf("got %v", v.Findings)
	}
	m.must(os.Remove(filepath.Join(root, certificateFile(sha256.Sum256(m.certificates[3])))))
	m.resum(root)
	if v := m.check(root, Options{Key: m.vkey}); v.Good() {
		t.Error("without the certificate nothing is missing")
	}
}
