package ui

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"

	"hallmark/station"
)

// newCertificate makes a self-signed certificate and a CSR of the same key.
func newCertificate(t *testing.T) (certificate, csr []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: boardOf(1).String(), Organization: []string{"Acme\x1b[2J"}}
	template := &x509.Certificate{SerialNumber: big.NewInt(0x4f12aa), Subject: subject, NotBefore: at(0), NotAfter: at(3600)}
	if certificate, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	if csr, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject}, key); err != nil {
		t.Fatal(err)
	}
	return certificate, csr
}

func TestDetailSaysCertificateAndRequestInWords(t *testing.T) {
	d := drive(t, 4, 120, 60, "en")
	d.station.detail.Certificate, d.station.detail.CSR = newCertificate(t)
	d.send(EventMsg{ended(1, "1", station.Pass, "")})
	d.key("enter")
	for _, want := range []string{"Certificate", "CN=" + boardOf(1).String(), "4f12aa", "2026-11-22 to 2026-11-22 15:00 UTC", "P-256 ", "ECDSA-SHA256", "Request (CSR)"} {
		d.shows(want)
	}
	if strings.Contains(d.View(), "\x1b[2J") {
		t.Error("a name in a certificate moves the cursor")
	}
	d.key("go")
	if !strings.HasPrefix(d.station.said(), "copy ") {
		t.Errorf("nothing was copied: %q", d.station.said())
	}
}

func TestDetailSaysWhatTheProbeDid(t *testing.T) {
	d := drive(t, 4, 120, 60, "en")
	e := ended(1, "1", station.Pass, "")
	e.Snap.Probe = &station.ProbeRecord{Serial: "683806234", Target: "Cortex-M4 r0p1"}
	e.Snap.Flash = &station.FlashRecord{Image: [32]byte{0xab, 0xcd}}
	e.Snap.Lock = &station.LockRecord{State: station.LockLocked}
	d.send(EventMsg{e})
	d.key("enter")
	for _, want := range []string{"debug probe", "683806234", "Cortex-M4 r0p1", "abcd000000000000… was written", "debug port", "locked"} {
		d.shows(want)
	}
}

// Progress of a step may come a hundred times in a second: only the newest waits to be drawn.
func TestProgressIsCoalesced(t *testing.T) {
	f := NewFeed(0)
	for percent := range 100 {
		f.Push(flashing(1, "1", percent))
	}
	if waiting := f.take().events; len(waiting) != 1 || waiting[0].Progress.Percent() != 99 {
		t.Errorf("%d events wait", len(waiting))
	}
}

func TestDetailOfDamagedRecordsSaysSo(t *testing.T) {
	d := drive(t, 4, 120, 60, "en")
	d.station.detail.Certificate, d.station.detail.CSR = []byte{0x30, 0xff}, []byte("no CSR")
	d.send(EventMsg{ended(1, "1", station.Fault, "a-reason-of-next-year")})
	d.key("enter")
	d.shows("x509:")
	d.shows("a-reason-of-next-year")
	d.send(detailMsg{turn: d.detail.turn, err: errors.New("reading the registry: disk is gone")})
	d.shows("reading the registry: disk is gone")
}

// A person may type as fast as a slow scanner.
func TestASearchThatAPersonTypesIsNoScan(t *testing.T) {
	for _, keys := range []string{"h/11176ef9", "hf/11176ef9ab", "h/WO-4711"} {
		d := drive(t, 4, 120, 40, "en")
		d.key(keys)
		d.key("enter")
		_, text, _ := strings.Cut(keys, "/")
		if d.screen != screenHistory || d.history.query.Text != text {
			t.Errorf("%s: searches %q on screen %d", keys, d.history.query.Text, d.screen)
		}
	}
}

func TestHistoryOpensTheDetailOfItsRowAndComesBack(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	e := ended(7, "2", station.Reject, "store-io")
	d.station.rows = []Row{{Run: runOf(6)}, {Run: e.Run, Bay: "2", BoardID: boardOf(7).String(), Ending: station.Reject, Reason: "store-io"}}
	d.key("h")
	d.key("/")
	for _, r := range "WO-4711" { // a text that is also a label
		d.key(string(r))
	}
	d.key("enter")
	d.key("f")
	d.key("f")
	last := d.station.queries[len(d.station.queries)-1]
	if last.Text != "WO-4711" || last.Ending != station.Reject || last.Limit == 0 {
		t.Errorf("asked for %+v", last)
	}
	d.key("down")
	d.key("enter")
	d.shows(boardOf(7).String())
	d.key("esc")
	if d.screen != screenHistory || d.history.cursor != 1 {
		t.Errorf("back on screen %d, row %d", d.screen, d.history.cursor)
	}
	d.key("esc")
	if d.screen != screenDashboard {
		t.Error("not back on the bench")
	}
}

func TestARunForASecondKeySaysWhichKey(t *testing.T) {
	d := drive(t, 8, 80, 24, "de")
	e := ended(1, "1", station.Pass, "")
	e.Snap.Purpose = "cose"
	running := e
	running.Kind, running.Step, running.Snap.Ending = station.StepStarted, "sign", ""
	d.send(EventMsg{running})
	d.shows("4/9 COSE")
	d.shows("Platz 1: COSE-Schlüssel")
	d.send(EventMsg{e})
	d.shows(clockTime(e.Snap.Finished) + " COSE")
	d.key("enter")
	if page := d.detailText(); !strings.Contains(page, "COSE") {
		t.Errorf("the detail does not say which key:\n%s", page)
	}
	for _, tt := range []struct {
		row  Row
		want string
	}{
		{Row{Purpose: "tls", Ending: station.Pass}, ""},
		{Row{Purpose: "cose", Ending: station.Pass}, "COSE-Schlüssel"},
		{Row{Purpose: "cose", Ending: station.Reject, Reason: "store-io"}, "COSE: " + d.reason(station.Reject, "store-io")},
	} {
		if got := d.rowReason(tt.row); got != tt.want {
			t.Errorf("history says %q, want %q", got, tt.want)
		}
	}
}
