package verifier

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"hallmark/devices"
	"hallmark/station"
)

// stationSays makes the content of a bundle in which the first records have these statuses.
func stationSays(t *testing.T, a *authority, number uint64, statuses ...station.Status) []byte {
	t.Helper()
	w := &BundleWriter{}
	for n, status := range statuses {
		if status != "" {
			fatalIf(t, w.Add(serialAt(n), station.Record{Purpose: devices.PurposeTLS, Status: status}))
		}
	}
	octets, err := w.Finish(headBy(a, number), a.sign)
	fatalIf(t, err)
	return octets
}

// twoStations opens the bundles of two stations, with a third CA that has none.
func twoStations(t *testing.T, state string, one, other *authority, bundles ...[]byte) (*Status, []string, error) {
	t.Helper()
	var paths []string
	for _, octets := range bundles {
		paths = append(paths, written(t, octets))
	}
	s, err := OpenStatus(StatusConfig{Bundles: paths, Authorities: []*x509.Certificate{one.certificate, other.certificate}, Stale: StaleRefuse,
		Memory: memoryAt(t, state), Now: now, Log: slog.New(slog.DiscardHandler)})
	return s, paths, err
}

// The bundle of the CA that issued a certificate decides. Nothing that another station says brings a certificate back.
func TestABundleSpeaksForTheCertificatesOfItsOwnCA(t *testing.T) {
	one, other, earlier := newRevoker(t, "one", revoking), newRevoker(t, "other", revoking), newRevoker(t, "earlier", revoking)
	const active, revoked = station.StatusActive, station.StatusRevoked
	// The other station claims that the certificates 0 to 2 of the first are active; of them the first has 2 revoked, and does not know 1.
	s, _, err := twoStations(t, "", one, other, stationSays(t, one, 1, active, "", revoked, active), stationSays(t, other, 1, active, active, active, "", active))
	fatalIf(t, err)
	for _, test := range []struct {
		issuer *authority
		n      int
		want   station.Status // empty: unknown
	}{
		{one, 0, active}, {one, 1, ""}, {one, 2, revoked}, {one, 3, active}, {one, 4, ""},
		{other, 2, active}, {other, 3, ""}, {other, 4, active},
		{earlier, 2, revoked}, {earlier, 3, active}, {earlier, 4, active}, {earlier, 9, ""},
	} {
		got, err := s.By(test.issuer.certificate).Lookup(t.Context(), serialAt(test.n))
		if got.Status != test.want || errors.Is(err, station.ErrUnknownCertificate) != (test.want == "") {
			t.Errorf("certificate %d of %q: %q, %v; want %q", test.n, test.issuer.certificate.Subject.CommonName, got.Status, err, test.want)
		}
	}
	if got := s.Describe(); len(got) != 3 || got[0] != "7 certificates known" {
		t.Errorf("%q", got)
	}
}

// A second bundle of a CA is refused, at the start and later, and each CA has a newest number of its own.
func TestEachCAHasOneBundle(t *testing.T) {
	one, other := newRevoker(t, "one", revoking), newRevoker(t, "other", revoking)
	if _, _, err := twoStations(t, "", one, other, stationSays(t, one, 1), stationSays(t, one, 2)); !errors.Is(err, ErrStatusTwice) {
		t.Errorf("two bundles of one CA: %v", err)
	}
	state := filepath.Join(t.TempDir(), "newest.json")
	s, paths, err := twoStations(t, state, one, other, stationSays(t, one, 9, station.StatusActive), stationSays(t, other, 5, "", station.StatusActive))
	fatalIf(t, err)
	fatalIf(t, os.WriteFile(paths[1]+".new", stationSays(t, one, 10, station.StatusRevoked), 0o600))
	fatalIf(t, os.Rename(paths[1]+".new", paths[1]))
	s.Reload()
	for n, issuer := range []*authority{one, other} {
		if _, err := s.By(issuer.certificate).Lookup(t.Context(), serialAt(n)); err != nil {
			t.Errorf("after a bundle of the first station got the name of the second: %v", err)
		}
	}
	if _, _, err = twoStations(t, state, one, other, stationSays(t, one, 9, station.StatusActive), stationSays(t, other, 4)); !errors.Is(err, ErrStatusOlder) {
		t.Errorf("an older bundle of the second station: %v", err)
	}
}

// A version of before noted one bundle without its CA. Its number still counts.
func TestTheMemoryOfOneBundleStillCounts(t *testing.T) {
	one, other := newRevoker(t, "one", revoking), newRevoker(t, "other", revoking)
	state := filepath.Join(t.TempDir(), "newest.json")
	fatalIf(t, os.WriteFile(state, fmt.Appendf(nil, `{"bundle":{"number":"6","sha256":"%064x"}}`, 1), 0o600))
	if _, _, err := twoStations(t, state, one, other, stationSays(t, one, 5)); !errors.Is(err, ErrStatusOlder) {
		t.Errorf("an older bundle: %v", err)
	}
	newer, second := stationSays(t, one, 7), stationSays(t, other, 3)
	for range 2 { // also after a restart
		_, _, err := twoStations(t, state, one, other, newer, second)
		fatalIf(t, err)
	}
}
