package operate

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// renewing makes a station whose certificates are valid for 30 days, and are renewed in the last 10.
func renewing(t *testing.T, days string) workdir.Dir {
	t.Helper()
	folder := t.TempDir()
	write := func(name, from, old, changed string) string {
		text := string(fixtures.Must(os.ReadFile("../../configs/" + from))(t))
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(strings.Replace(text, old, changed, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	profile := write("short.yaml", "profiles/linaro.yaml", "validity: forever", "validity: 30d")
	return fixtures.NewDirectoryFrom(t, write("station.yaml", "demo.yaml", "profile: linaro", "profile: "+profile+"\nrenew_days: "+days))
}

func TestABoardWhoseCertificateEndsSoonGetsANewOneForTheSameKey(t *testing.T) {
	dir := renewing(t, "10")
	day := 24 * time.Hour
	for _, want := range []struct {
		after   time.Duration
		outcome station.Outcome
	}{
		{0, station.Issued},
		{19 * day, station.Confirmed},
		{21 * day, station.Reworked},
		{40 * day, station.Confirmed},
		{60 * day, station.Reworked}, // the certificate has ended meanwhile
	} {
		t.Run(want.after.String(), func(t *testing.T) {
			l := closedStationWith(t, dir, "posix:1", instance.Options{Now: func() time.Time { return time.Now().Add(want.after) }})
			l.opens()
			l.starts(1, Start{})
			l.waits()
			l.last(1, station.Pass)
			row := l.rows()[0]
			detail := fixtures.Must(l.Detail(t.Context(), row.Run))(t)
			if row.Outcome != want.outcome || strings.HasPrefix(detail.Run.Rework, "renewal: ") != (want.outcome == station.Reworked) {
				t.Errorf("%s, rework %q; want %s", row.Outcome, detail.Run.Rework, want.outcome)
			}
		})
	}
	reader := fixtures.Must(registry.OpenReader(t.Context(), dir.Registry()))(t)
	defer reader.Close()
	all := fixtures.Must(reader.Certificates(t.Context(), registry.Filter{}))(t)
	keys, status := map[string]bool{}, map[string]int{}
	for _, c := range all {
		certificate := fixtures.Must(x509.ParseCertificate(c.DER))(t)
		keys[string(certificate.RawSubjectPublicKeyInfo)], status[c.Status] = true, status[c.Status]+1
	}
	if len(keys) != 1 || status["active"] != 1 || status["superseded"] != 2 {
		t.Errorf("%d keys, certificates %v; want 1 key, 1 active and 2 superseded certificates", len(keys), status)
	}
}

func TestARenewalWithEveryRunIsRefused(t *testing.T) {
	dir := renewing(t, "30")
	_, err := instance.OpenFiles(dir, instance.Options{})
	if err == nil || !strings.Contains(err.Error(), "renew_days: 30: want fewer days than the certificates of profile") {
		t.Error(err)
	}
}

// A person marks boards while the station works. The next Run of each board, by hand or in a batch, is the rework, and there is one of each.
func TestAMarkedBoardIsReworkedByItsNextRun(t *testing.T) {
	l := ready(t, "posix:1")
	act := func(name, why string) {
		t.Helper()
		marked := name == ActWithdraw
		which := registry.Which{BoardID: fixtures.Must(devices.ParseBoardID(l.rows()[0].BoardID))(t)}
		all := fixtures.Must(l.record.Registry.Reworkable(t.Context(), which, marked))(t)
		arguments := fixtures.Must(json.Marshal(StatusChange{Which: which, Seen: registry.SeenBoards(all), Reason: why, Operator: "lena"}))(t)
		fixtures.Must(Acts(l.record)[name](t.Context(), arguments))(t)
	}
	run := func(want station.Outcome, why string) {
		t.Helper()
		l.starts(1, Start{})
		l.waits()
		l.last(1, station.Pass)
		row := l.rows()[0]
		if detail := fixtures.Must(l.Detail(t.Context(), row.Run))(t); row.Outcome != want || detail.Run.Rework != why {
			t.Errorf("%s, rework %q; want %s, %q", row.Outcome, detail.Run.Rework, want, why)
		}
	}
	run(station.Issued, "")
	act(ActMark, "antenna replaced")
	run(station.Reworked, "antenna replaced")
	act(ActMark, "antenna replaced again")
	act(ActWithdraw, "mistake")
	run(station.Issued, "") // the emulated bay goes on with its next board
	act(ActMark, "flash replaced")
	l.starts(1, Start{Rework: "by hand"})
	l.waits()
	if detail := fixtures.Must(l.Detail(t.Context(), l.rows()[0].Run))(t); detail.Run.Rework != "by hand" {
		t.Errorf("a reason by hand comes before the mark: %q", detail.Run.Rework)
	}
	run(station.Issued, "") // the rework by hand has spent the mark
	if left := fixtures.Must(l.record.Registry.Boards(t.Context(), registry.Filter{Status: registry.StatusRework}))(t); len(left) != 0 {
		t.Errorf("%v waits for a rework", left)
	}
}
