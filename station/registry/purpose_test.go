package registry

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

// cose admits a Run for the COSE key of the board of an older Run.
func (b *testRegistry) cose(older *station.Run, rework string) *station.Run {
	b.t.Helper()
	run := again(older, rework)
	run.Purpose = devices.PurposeCOSE
	b.must(b.Admit(b.t.Context(), run))
	return run
}

// attested is a handshake in which the board presented this certificate.
func attested(certificate *issuance.Certificate) *station.Presented {
	return &station.Presented{CertificateSHA256: certificate.SHA256, TLSVersion: 0x0304, CipherSuite: 0x1301}
}

// both enrols a board for both keys.
func (b *testRegistry) both() (tls, cose *station.Run) {
	b.t.Helper()
	tls = b.run()
	b.enrol(tls)
	cose = b.cose(tls, "")
	cose.Handshake = attested(tls.Certificate)
	b.enrol(cose)
	return tls, cose
}

// ends enrols a board up to read back, and gives the result of Activate.
func (b *testRegistry) ends(run *station.Run) error {
	b.t.Helper()
	b.issue(run)
	b.must(b.Delivered(b.t.Context(), proven(run)))
	return b.Activate(b.t.Context(), run)
}

func TestRefusalsForAnotherKey(t *testing.T) {
	cases := []struct {
		name string
		do   func(t *testing.T, b *testRegistry) error
		want error
	}{
		{"a second active certificate for the COSE key is refused (I3)", func(t *testing.T, b *testRegistry) error {
			_, cose := b.both()
			in := intent(b.cose(cose, ""))
			in.ProfileSHA256 = sha256.Sum256([]byte("another profile"))
			return b.intends(in)
		}, issuance.ErrAlreadyActive},
		{"another COSE key for a known board is refused, even at a rework (I4)", func(t *testing.T, b *testRegistry) error {
			_, cose := b.both()
			in := intent(b.cose(cose, "repair"))
			in.SPKISHA256 = sha256.Sum256([]byte("another key"))
			return b.intends(in)
		}, issuance.ErrKeyElsewhere},
		{"the board's own TLS key is refused as its COSE key (I4)", func(t *testing.T, b *testRegistry) error {
			tls := b.run()
			used := b.enrol(tls)
			in := intent(b.cose(tls, ""))
			in.SPKISHA256 = used.SPKISHA256
			return b.intends(in)
		}, issuance.ErrKeyElsewhere},
		{"the COSE key of one board is refused as the TLS key of another (I4)", func(t *testing.T, b *testRegistry) error {
			_, cose := b.both()
			in := intent(b.run())
			in.SPKISHA256 = intent(cose).SPKISHA256
			return b.intends(in)
		}, issuance.ErrKeyElsewhere},
		{"the same request for the COSE key again is answered from the registry (I9)", func(t *testing.T, b *testRegistry) error {
			_, cose := b.both()
			return b.intends(intent(b.cose(cose, "")))
		}, errAnswered},
		{"a revoked COSE certificate is replaced by a rework only", func(t *testing.T, b *testRegistry) error {
			_, cose := b.both()
			b.must(b.Revoke(t.Context(), cose.Certificate.Serial, "stolen", "ann"))
			return b.intends(intent(b.cose(cose, "")))
		}, issuance.ErrRevoked},
		{"a COSE certificate is not activated before it was delivered (I7)", func(t *testing.T, b *testRegistry) error {
			tls := b.run()
			b.enrol(tls)
			run := b.cose(tls, "")
			run.Handshake = attested(tls.Certificate)
			b.issue(run)
			return b.Activate(t.Context(), run)
		}, ErrWrongStatus},
		{"a COSE key is not certified before the TLS key", func(t *testing.T, b *testRegistry) error {
			run := newRun(b.run().Identity.ID, "hardware")
			run.Purpose = devices.PurposeCOSE
			b.must(b.Admit(t.Context(), run))
			return b.intends(intent(run))
		}, issuance.ErrTLSFirst},
		{"a TLS certificate that is only delivered does not attest another key (I7)", func(t *testing.T, b *testRegistry) error {
			tls := b.run()
			b.issue(tls)
			b.must(b.Delivered(t.Context(), proven(tls)))
			return b.intends(intent(b.cose(tls, "")))
		}, issuance.ErrTLSFirst},
		{"a revoked TLS certificate does not attest another key", func(t *testing.T, b *testRegistry) error {
			tls := b.run()
			in := b.enrol(tls)
			b.must(b.Revoke(t.Context(), in.Serial, "stolen", "ann"))
			return b.intends(intent(b.cose(tls, "")))
		}, issuance.ErrRevoked},
		{"a COSE certificate becomes active only after a handshake (I6)", func(t *testing.T, b *testRegistry) error {
			tls := b.run()
			b.enrol(tls)
			return b.ends(b.cose(tls, ""))
		}, ErrNotPresented},
		{"the handshake of another board does not attest the key (I6)", func(t *testing.T, b *testRegistry) error {
			tls, other := b.run(), b.run()
			b.enrol(tls)
			b.enrol(other)
			run := b.cose(tls, "")
			run.Handshake = attested(other.Certificate)
			return b.ends(run)
		}, issuance.ErrTLSFirst},
		{"a TLS certificate that was revoked meanwhile does not attest the key (I6)", func(t *testing.T, b *testRegistry) error {
			tls := b.run()
			in := b.enrol(tls)
			run := b.cose(tls, "")
			b.issue(run)
			b.must(b.Delivered(t.Context(), proven(run)))
			b.must(b.Revoke(t.Context(), in.Serial, "stolen", "ann"))
			run.Handshake = attested(tls.Certificate)
			return b.Activate(t.Context(), run)
		}, issuance.ErrRevoked},
		{"an intent for another key than the Run's is refused", func(t *testing.T, b *testRegistry) error {
			tls := b.run()
			b.enrol(tls)
			in := intent(b.cose(tls, ""))
			in.Purpose = devices.PurposeTLS
			return b.intends(in)
		}, ErrUnknownRun},
		{"a Run for one key does not deliver the certificate of another", func(t *testing.T, b *testRegistry) error {
			tls := b.run()
			b.enrol(tls)
			run := b.cose(tls, "")
			run.Certificate = tls.Certificate
			return b.Delivered(t.Context(), proven(run))
		}, station.ErrUnknownCertificate},
		{"a board has one Run at a time, for whichever key", func(t *testing.T, b *testRegistry) error {
			next := again(b.run(), "")
			next.Purpose, next.Bay = devices.PurposeCOSE, "bay-2"
			return b.Admit(t.Context(), next)
		}, station.ErrClone},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newTestRegistry(t)
			if err := c.do(t, b); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			b.verify()
		})
	}
}

func TestARunForAKeyThatNobodyKnowsIsNotAdmitted(t *testing.T) {
	b := newTestRegistry(t)
	run := again(b.run(), "")
	run.Purpose = "email"
	if err := b.Admit(t.Context(), run); !refusedByRow(err) {
		t.Errorf("got %v", err)
	}
	b.verify()
}

func TestABoardHasACertificateForEachKey(t *testing.T) {
	b := newTestRegistry(t)
	tls, cose := b.both()
	for _, run := range []*station.Run{tls, cose} {
		record, err := b.Lookup(t.Context(), run.Certificate.Serial)
		if err != nil || record.Status != station.StatusActive || record.Purpose != run.Purpose || record.Handshakes() != (run == tls) {
			t.Errorf("%s: %+v, %v", run.Purpose, record, err)
		}
		if der := b.answer(intent(run).Key, false); !bytes.Equal(der, run.Certificate.DER) {
			t.Errorf("%s: stored is %q", run.Purpose, der)
		}
	}
	rows, err := b.Boards(t.Context(), Filter{})
	b.must(err)
	var purposes []string
	for _, row := range rows {
		purposes = append(purposes, row.Purpose.String()+" "+row.Status)
	}
	if want := []string{"tls active", "cose active"}; !slices.Equal(purposes, want) || rows[0].BoardID != rows[1].BoardID || rows[0].Runs != 2 {
		t.Errorf("the list says %v: %+v", purposes, rows)
	}
	b.reopen()
	b.verify()
}

// A rework of one key supersedes the certificate of that key only.
func TestAReworkOfOneKeyLeavesTheOther(t *testing.T) {
	for _, purpose := range []devices.Purpose{devices.PurposeTLS, devices.PurposeCOSE} {
		b := newTestRegistry(t)
		tls, cose := b.both()
		runs := map[devices.Purpose]*station.Run{devices.PurposeTLS: tls, devices.PurposeCOSE: cose}
		next := again(tls, "antenna replaced")
		next.Purpose, next.Handshake = purpose, attested(tls.Certificate)
		b.must(b.Admit(t.Context(), next))
		b.enrol(next)
		for key, run := range runs {
			want := station.StatusActive
			if key == purpose {
				want = station.StatusRevoked
			}
			if record, err := b.Lookup(t.Context(), run.Certificate.Serial); err != nil || record.Status != want {
				t.Errorf("rework of %s: the certificate of %s is %s, %v", purpose, key, record.Status, err)
			}
		}
		b.verify()
	}
}

// The second certificate of a board does not count for the order. If its signature fails,
// the board still counts for the first certificate.
func TestABoardCountsOnceForItsOrder(t *testing.T) {
	b := newTestRegistry(t)
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 1}, "ann"))
	tls := newRun([16]byte{1}, "hw")
	tls.Order = "WO-1"
	b.must(b.Admit(t.Context(), tls))
	b.enrol(tls)
	for _, end := range []func(*station.Run) error{
		func(run *station.Run) error { return b.Failed(t.Context(), intentOf(b, run), issuance.ErrNotSigned) },
		func(run *station.Run) error { run.Handshake = attested(tls.Certificate); return b.ends(run) },
	} {
		run := again(tls, "")
		run.Purpose, run.Order = devices.PurposeCOSE, "WO-1"
		b.must(b.Admit(t.Context(), run))
		b.must(end(run))
		if order, err := b.Order(t.Context(), "WO-1"); err != nil || order.Counted != 1 {
			t.Errorf("%d boards count, want 1: %v", order.Counted, err)
		}
		run.Ending = station.Fault
		b.must(b.closeRun(t.Context(), run))
	}
	b.verify()
}

// intentOf writes an intent and gives its serial number.
func intentOf(b *testRegistry, run *station.Run) [16]byte {
	b.t.Helper()
	in := intent(run)
	b.must(b.intends(in))
	return in.Serial
}

// The next start closes an open intent for one key as unresolved (I10), and does not change
// the certificate of the other key.
func TestAnIntentForOneKeyThatWasLeftOpenIsUnresolved(t *testing.T) {
	b := newTestRegistry(t)
	tls := b.run()
	b.enrol(tls)
	serial := intentOf(b, b.cose(tls, ""))
	b.reopen()
	if record, err := b.Lookup(t.Context(), serial); err != nil || record.Status != station.StatusUnresolved {
		t.Errorf("got %+v, %v", record, err)
	}
	if record, err := b.Lookup(t.Context(), tls.Certificate.Serial); err != nil || record.Status != station.StatusActive {
		t.Errorf("got %+v, %v", record, err)
	}
	next := b.cose(tls, "")
	next.Handshake = attested(tls.Certificate)
	b.enrol(next)
	b.verify()
}

// Every entry about a certificate or a Run has the purpose of its key. The entry that makes
// a COSE certificate active also has the TLS certificate of the handshake.
func TestTheLogNamesThePurpose(t *testing.T) {
	b := newTestRegistry(t)
	tls, _ := b.both()
	counts := map[string]int{}
	_, err := b.VerifyEach(t.Context(), b.vkey, func(e audit.Entry) error {
		if e.Cert != nil {
			counts[e.Type+" "+e.Cert.Purpose]++
		} else if e.Run != nil {
			counts[e.Type+" "+e.Run.Purpose]++
		}
		if e.Type == "cert.activated" && e.Cert.Purpose == "cose" && e.Details["presented_sha256"] != fmt.Sprintf("%x", tls.Certificate.SHA256) {
			t.Errorf("it says %v", e.Details)
		}
		return nil
	})
	b.must(err)
	for _, kind := range []string{"board.admitted", "cert.issue.intent", "cert.issued", "cert.delivered", "cert.activated", "run.pass"} {
		if counts[kind+" tls"] != 1 || counts[kind+" cose"] != 1 {
			t.Errorf("%s: %v", kind, counts)
		}
	}
}

// The file of an earlier version, whose Runs had no purpose, is refused and not changed.
func TestARegistryOfAnEarlierVersionIsRefused(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	b.must(b.write(t.Context(), func(w *work) error { return w.exec("PRAGMA user_version = 1") }))
	b.must(b.Shutdown())
	before, err := os.ReadFile(b.path)
	b.must(err)
	if _, err := Open(t.Context(), b.config()); !errors.Is(err, ErrSchema) {
		t.Errorf("opening: %v", err)
	}
	if _, err := OpenReader(t.Context(), b.path); !errors.Is(err, ErrSchema) {
		t.Errorf("reading: %v", err)
	}
	if after, err := os.ReadFile(b.path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}
