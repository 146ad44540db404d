package verifier

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

// newRevoker makes a CA that may sign what is revoked.
func newRevoker(t *testing.T, name string, usage x509.KeyUsage) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatalIf(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now().Add(-time.Hour), NotAfter: now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: usage, SubjectKeyId: []byte{1, 2, 3}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	fatalIf(t, err)
	certificate, err := x509.ParseCertificate(der)
	fatalIf(t, err)
	return &authority{certificate, key}
}

const revoking = x509.KeyUsageCertSign | x509.KeyUsageCRLSign

func (a *authority) sign(digest [sha256.Size]byte) ([]byte, error) {
	return a.key.Sign(rand.Reader, digest[:], crypto.SHA256)
}

func headBy(a *authority, number uint64) BundleHead {
	return BundleHead{Number: number, Issued: now().Truncate(time.Second), NextUpdate: now().Add(time.Hour).Truncate(time.Second), Issuer: keyOf(a.certificate)}
}

// bundleBy makes the content of a bundle with some records in each status.
func bundleBy(t *testing.T, a *authority, head BundleHead, records int) []byte {
	t.Helper()
	w := &BundleWriter{}
	for n := range records {
		fatalIf(t, w.Add(serialAt(n), recordAt(n)))
	}
	octets, err := w.Finish(head, a.sign)
	fatalIf(t, err)
	return octets
}

// serialAt gives serial numbers in their order, of which several begin with the same octets.
func serialAt(n int) (serial [serialSize]byte) {
	binary.BigEndian.PutUint32(serial[:], 0x40000000+uint32(n)*0x2001)
	return serial
}

func recordAt(n int) station.Record {
	r := station.Record{Purpose: bundlePurposes[n%2], Status: bundleStatuses[n%len(bundleStatuses)], CertificateSHA256: sha256.Sum256([]byte{byte(n)})}
	binary.BigEndian.PutUint32(r.BoardID[:], uint32(n))
	return r
}

func written(t *testing.T, octets []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "status")
	fatalIf(t, os.WriteFile(path, octets, 0o600))
	return path
}

func TestABundleKnowsExactlyWhatWasWritten(t *testing.T) {
	ca := newRevoker(t, "issuing", revoking)
	for _, records := range []int{0, 1, 2, 1000} {
		head := headBy(ca, 7)
		b, err := ReadBundle(written(t, bundleBy(t, ca, head, records)), []*x509.Certificate{newRevoker(t, "other", revoking).certificate, ca.certificate})
		fatalIf(t, err)
		if b.Len() != records || b.Number != 7 || !b.Issued.Equal(head.Issued) || !b.NextUpdate.Equal(head.NextUpdate) {
			t.Errorf("%d records, head %+v", b.Len(), b.BundleHead)
		}
		for n := range records {
			got, err := b.Lookup(t.Context(), serialAt(n))
			if err != nil || got != recordAt(n) {
				t.Fatalf("record %d of %d: %+v, %v", n, records, got, err)
			}
			for _, step := range []byte{1, 255} {
				beside := serialAt(n)
				beside[15] += step
				if _, err := b.Lookup(t.Context(), beside); !errors.Is(err, station.ErrUnknownCertificate) {
					t.Fatalf("the number beside %d is known: %v", n, err)
				}
			}
		}
		for _, serial := range [][serialSize]byte{{}, {255, 255, 255}} {
			if _, err := b.Lookup(t.Context(), serial); !errors.Is(err, station.ErrUnknownCertificate) {
				t.Errorf("%x is known: %v", serial, err)
			}
		}
	}
}

// No octet of a bundle is free, and a bundle is refused that is cut at any place.
func TestEachOctetOfABundleCounts(t *testing.T) {
	ca := newRevoker(t, "issuing", revoking)
	whole := bundleBy(t, ca, headBy(ca, 7), 3)
	trusted := []*x509.Certificate{ca.certificate}
	path := written(t, whole)
	refused := func(what string, n int, octets []byte) {
		fatalIf(t, os.WriteFile(path, octets, 0o600))
		_, err := ReadBundle(path, trusted)
		if !errors.Is(err, ErrStatusDamaged) && !errors.Is(err, ErrStatusForged) && !errors.Is(err, ErrStatusForeign) {
			t.Errorf("%s at octet %d: %v", what, n, err)
		}
	}
	for n := range whole {
		changed := bytes.Clone(whole)
		changed[n] ^= 1
		refused("a change", n, changed)
		refused("a cut", n, whole[:n])
	}
	refused("an octet more", len(whole), append(bytes.Clone(whole), 0))
}

func TestABundleIsRefusedForItsReason(t *testing.T) {
	ca, other := newRevoker(t, "issuing", revoking), newRevoker(t, "issuing", revoking)
	weak := newRevoker(t, "issuing", x509.KeyUsageCertSign)
	disordered := &BundleWriter{}
	fatalIf(t, disordered.Add(serialAt(2), recordAt(2)))
	fatalIf(t, disordered.Add(serialAt(1), recordAt(1)))
	twice := &BundleWriter{}
	fatalIf(t, twice.Add(serialAt(1), recordAt(1)))
	fatalIf(t, twice.Add(serialAt(1), recordAt(2)))
	finish := func(w *BundleWriter) []byte {
		octets, err := w.Finish(headBy(ca, 1), ca.sign)
		fatalIf(t, err)
		return octets
	}
	unknown := finish(&BundleWriter{append(bytes.Repeat([]byte{1}, recordSize-1), 99)})
	good := bundleBy(t, ca, headBy(ca, 1), 1)
	version := bytes.Clone(good)
	version[19] = 2
	huge := bytes.Clone(good)
	binary.BigEndian.PutUint32(huge[20:], 1<<31)
	for _, test := range []struct {
		name   string
		octets []byte
		want   error
		text   string
	}{
		{"of another CA with the same name", bundleBy(t, other, headBy(other, 1), 1), ErrStatusForeign, "it names the CA key"},
		{"of a CA that may not sign revocations", bundleBy(t, weak, headBy(weak, 1), 1), ErrStatusForeign, ""},
		{"of another CA in the name of ours", bundleBy(t, other, headBy(ca, 1), 1), ErrStatusForged, ""},
		{"cut", good[:len(good)-100], ErrStatusDamaged, "which does not fit 1 records"},
		{"empty", nil, ErrStatusDamaged, "it ends in its head"},
		{"another file", bytes.Repeat([]byte("x"), 500), ErrStatusDamaged, "does not begin as a status bundle"},
		{"of a later version", version, ErrStatusDamaged, "version 2, want 1"},
		{"with a number of records that takes no memory", huge, ErrStatusDamaged, "does not fit"},
		{"not in order", finish(disordered), ErrStatusDamaged, "record 1 is not in order"},
		{"with a serial number twice", finish(twice), ErrStatusDamaged, "record 1 is not in order"},
		{"with a status that this version does not know", unknown, ErrStatusDamaged, "the status 99"},
	} {
		_, err := ReadBundle(written(t, test.octets), []*x509.Certificate{ca.certificate, weak.certificate})
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if err := CheckBundle(good, ca.certificate); err != nil {
		t.Error(err)
	}
	if err := (&BundleWriter{}).Add(serialAt(1), station.Record{Purpose: devices.PurposeTLS, Status: "golden"}); err == nil {
		t.Error("a status that nobody knows is written")
	}
}

// A followed is a status whose files and clock a test changes.
type followed struct {
	*Status
	t      *testing.T
	ca     *authority
	path   string
	config StatusConfig
	now    time.Time
	log    *safeBuffer
}

func newFollowed(t *testing.T, stale StalePolicy, state string) *followed {
	t.Helper()
	ca := newRevoker(t, "issuing", revoking)
	f := &followed{t: t, ca: ca, path: filepath.Join(t.TempDir(), "status"), now: now(), log: &safeBuffer{}}
	f.config = StatusConfig{Bundles: []string{f.path}, Authorities: []*x509.Certificate{ca.certificate}, Stale: stale, Memory: memoryAt(t, state),
		Now: func() time.Time { return f.now }, Log: slog.New(slog.NewTextHandler(f.log, nil))}
	return f
}

func memoryAt(t *testing.T, path string) *Memory {
	t.Helper()
	memory, err := OpenMemory(path)
	fatalIf(t, err)
	return memory
}

// replace gives another bundle the name of the file, as mv does.
func (f *followed) replace(octets []byte) {
	f.t.Helper()
	fatalIf(f.t, os.WriteFile(f.path+".new", octets, 0o600))
	fatalIf(f.t, os.Rename(f.path+".new", f.path))
}

func (f *followed) open() (err error) {
	f.Status, err = OpenStatus(f.config)
	return err
}

func (f *followed) number() uint64 { return (*f.bundles[0].current.Load()).Number }

func (f *followed) lookup(n int) error {
	_, err := f.Lookup(context.Background(), serialAt(n))
	return err
}

func TestANewBundleIsUsedAndABadOneLeavesTheOldOne(t *testing.T) {
	f := newFollowed(t, StaleRefuse, "")
	f.replace(bundleBy(t, f.ca, headBy(f.ca, 5), 1))
	fatalIf(t, f.open())
	f.replace(bundleBy(t, f.ca, headBy(f.ca, 6), 2))
	f.Reload()
	if f.number() != 6 || f.lookup(1) != nil {
		t.Fatalf("bundle %d, %v", f.number(), f.lookup(1))
	}
	stale := headBy(f.ca, 9)
	stale.NextUpdate = now()
	early := headBy(f.ca, 9)
	early.Issued = now().Add(clockTolerance + time.Second)
	other := newRevoker(t, "issuing", revoking)
	for want, octets := range map[string][]byte{
		ErrStatusDamaged.Error():                        bundleBy(t, f.ca, headBy(f.ca, 7), 3)[:100],
		ErrStatusForged.Error():                         bundleBy(t, other, headBy(f.ca, 7), 3),
		ErrStatusForeign.Error():                        bundleBy(t, other, headBy(other, 7), 3),
		"its number is 5, and a file with the number 6": bundleBy(t, f.ca, headBy(f.ca, 5), 1),
		"its number is 6, and a file with the number 6": bundleBy(t, f.ca, headBy(f.ca, 6), 1),
		"its next update was due at":                    bundleBy(t, f.ca, stale, 3),
		"which is later than the clock":                 bundleBy(t, f.ca, early, 3),
	} {
		f.replace(octets)
		f.Reload()
		waitFor(t, f.log, want)
		if f.number() != 6 || f.lookup(1) != nil || !errors.Is(f.lookup(2), station.ErrUnknownCertificate) {
			t.Errorf("%s: bundle %d, %v", want, f.number(), f.lookup(1))
		}
	}
	fatalIf(t, os.Remove(f.path))
	f.Reload()
	f.Reload()
	if n := strings.Count(f.log.String(), "no such file"); n != 1 || f.lookup(1) != nil {
		t.Errorf("a file that is gone is logged %d times, %v", n, f.lookup(1))
	}
	f.replace(bundleBy(t, f.ca, headBy(f.ca, 10), 3))
	f.Reload()
	if f.number() != 10 {
		t.Errorf("bundle %d", f.number())
	}
}

func TestAStaleBundleIsRefusedOrAWarning(t *testing.T) {
	for _, policy := range []StalePolicy{StaleRefuse, StaleWarn} {
		f := newFollowed(t, policy, "")
		f.replace(bundleBy(t, f.ca, headBy(f.ca, 5), 1))
		fatalIf(t, f.open())
		f.now = now().Add(time.Hour - time.Second)
		fatalIf(t, f.lookup(0))
		f.now = now().Add(time.Hour)
		refuses := policy == StaleRefuse
		for range 2 {
			if err := f.lookup(0); errors.Is(err, ErrStatusStale) != refuses || !refuses && err != nil {
				t.Errorf("%s: %v", policy, err)
			}
		}
		if err := f.open(); errors.Is(err, ErrStatusStale) != refuses {
			t.Errorf("%s, at the start: %v", policy, err)
		}
		if n := strings.Count(f.log.String(), "using a stale status file"); !refuses && n != 2 { // once of each open
			t.Errorf("%d warnings\n%s", n, f.log)
		}
	}
}

func TestAnOlderBundleIsRefusedAlsoAfterARestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "newest.json")
	f := newFollowed(t, StaleRefuse, state)
	older, newer := bundleBy(t, f.ca, headBy(f.ca, 5), 1), bundleBy(t, f.ca, headBy(f.ca, 6), 1)
	f.replace(newer)
	fatalIf(t, f.open())
	f.config.Memory = memoryAt(t, state)
	fatalIf(t, f.open()) // the same file again
	f.replace(older)
	f.config.Memory = memoryAt(t, state)
	if err := f.open(); !errors.Is(err, ErrStatusOlder) {
		t.Errorf("got %v", err)
	}
	f.config.Memory = memoryAt(t, "")
	fatalIf(t, f.open()) // without a memory nobody can know
	for _, text := range []string{"", "[]", "null", `{"bundle":{"number":"x"}}`, `{"bundle":{"number":"1","more":1}}`, `{}{}`} {
		fatalIf(t, os.WriteFile(state, []byte(text), 0o600))
		if _, err := OpenMemory(state); !errors.Is(err, ErrState) {
			t.Errorf("%q: %v", text, err)
		}
	}
	fatalIf(t, os.Remove(state))
	fatalIf(t, os.Mkdir(state, 0o700))
	f.config.Memory = &Memory{path: state, newest: map[string]version{}}
	if err := f.open(); !errors.Is(err, ErrState) {
		t.Errorf("a memory that cannot be written: %v", err)
	}
	if len(f.config.Memory.newest) != 0 {
		t.Error("what is not on the disk is remembered")
	}
}
