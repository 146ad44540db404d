package status

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/registry"
)

// The grammar of the text format 0.0.4, as narrow as this server writes it.
var (
	metricHelp   = regexp.MustCompile(`^# HELP ([a-z_]+) ((?:[^\\\n]|\\\\|\\n)+)$`)
	metricType   = regexp.MustCompile(`^# TYPE ([a-z_]+) (counter|gauge)$`)
	metricSample = regexp.MustCompile(`^([a-z_]+)(\{[a-z_]+="(?:[^"\\\n]|\\\\|\\"|\\n)*"(?:,[a-z_]+="(?:[^"\\\n]|\\\\|\\"|\\n)*")*\})? (-?[0-9]+)$`)
)

// readMetrics reads an answer strictly: each metric once, HELP and TYPE in front of its samples, no sample twice.
func readMetrics(t *testing.T, text string) map[string]int64 {
	t.Helper()
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line has no end")
	}
	samples, families, current, helped := map[string]int64{}, map[string]bool{}, "", ""
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if m := metricHelp.FindStringSubmatch(line); m != nil {
			helped = m[1]
		} else if m := metricType.FindStringSubmatch(line); m != nil {
			if current = m[1]; families[current] || helped != current || (m[2] == "counter") != strings.HasSuffix(current, "_total") {
				t.Errorf("%q", line)
			}
			families[current] = true
		} else if m := metricSample.FindStringSubmatch(line); m != nil {
			value, err := strconv.ParseInt(m[3], 10, 64)
			if _, twice := samples[m[1]+m[2]]; err != nil || twice || m[1] != current {
				t.Errorf("%q", line)
			}
			samples[m[1]+m[2]] = value
		} else {
			t.Errorf("%q is no line of the format", line)
		}
	}
	must(t, lines.Err())
	return samples
}

func (s *testServer) metrics(t *testing.T) map[string]int64 {
	t.Helper()
	status, kind, text := s.ask(t, http.MethodGet, s.secure+"/metrics", nil)
	if status != http.StatusOK || kind != "text/plain; version=0.0.4; charset=utf-8" {
		t.Fatalf("status %d, %s: %s", status, kind, text)
	}
	return readMetrics(t, string(text))
}

func TestMetricsSayWhatTheStationHas(t *testing.T) {
	s := newTestServer(t, 1000)
	first := s.metrics(t)
	opened := fixtures.Must(instance.Open(t.Context(), s.dir, instance.Options{}))(t)
	for key, want := range map[string]int64{
		"hallmark_registry_schema": 12, "hallmark_runs_open": 0, "hallmark_bays_stopped": 0, "hallmark_boards_held": 0,
		`hallmark_certificate_not_after_timestamp_seconds{certificate="root"}`:                                                                               opened.Root.NotAfter.Unix(),
		`hallmark_certificate_not_after_timestamp_seconds{certificate="issuing"}`:                                                                            opened.Issuing.NotAfter.Unix(),
		`hallmark_build_info{version="` + station.ThisBuild().Version + `",commit="` + station.ThisBuild().Commit + `",go="` + station.ThisBuild().Go + `"}`: 1,
	} {
		if got, there := first[key]; !there || got != want {
			t.Errorf("%s: %d, want %d", key, got, want)
		}
	}
	ocsp, verifier := first[`hallmark_certificate_not_after_timestamp_seconds{certificate="ocsp"}`], first[`hallmark_certificate_not_after_timestamp_seconds{certificate="verifier"}`]
	now := time.Now().Unix()
	if ocsp <= now || verifier <= now || first["hallmark_free_bytes"] <= 0 || first["hallmark_audit_entries"] < first["hallmark_audit_entries_covered"] || now-first["hallmark_checkpoint_timestamp_seconds"] > 3600 {
		t.Errorf("%v", first)
	}
	if _, there := first["hallmark_crl_next_update_timestamp_seconds"]; there {
		t.Error("a CRL that was never made")
	}
	// A CRL, and entries of the log, are seen a few seconds later; until then the answer is the same.
	_, err := opened.IssueCRL(t.Context(), 7, "ann")
	must(t, err)
	must(t, opened.Close())
	if again := s.metrics(t); again["hallmark_audit_entries"] != first["hallmark_audit_entries"] {
		t.Error("a scrape within the same second counts again")
	}
	s.later.Add(int64(metricsAge))
	next := s.metrics(t)
	if made := next["hallmark_crl_this_update_timestamp_seconds"]; next["hallmark_audit_entries"] <= first["hallmark_audit_entries"] || made < now-3600 || next["hallmark_crl_next_update_timestamp_seconds"]-made < 6*24*3600 {
		t.Errorf("%v", next)
	}
}

// A page has the numbers of each ending and status, and no text of a board breaks its form.
func TestAPageOfMetricsIsInItsForm(t *testing.T) {
	var p page
	p.counts(&registry.Counts{Runs: map[registry.RunKind]int64{{Ending: "pass"}: 7, {Ending: "reject", Reason: "foreign-certificate"}: 2, {Ending: "fault", Reason: "a\"b\\c\nd\xff"}: 1},
		Certificates: map[string]int64{"active": 6, "revoked": 1}})
	samples := readMetrics(t, p.String())
	for key, want := range map[string]int64{
		`hallmark_runs_total{ending="pass",reason=""}`: 7, `hallmark_runs_total{ending="reject",reason="foreign-certificate"}`: 2,
		`hallmark_runs_total{ending="fault",reason="a\"b\\c\nd` + "\ufffd" + `"}`: 1, `hallmark_certificates{status="active"}`: 6, `hallmark_certificates{status="revoked"}`: 1,
	} {
		if samples[key] != want {
			t.Errorf("%s: %d, want %d in %v", key, samples[key], want, samples)
		}
	}
}

func TestAServerIsReadyWhileItCanAnswer(t *testing.T) {
	s := newTestServer(t, 1000)
	ask := func() (int, Readiness) {
		status, _, answer := s.ask(t, http.MethodGet, s.secure+"/readyz", nil)
		var ready Readiness
		must(t, json.Unmarshal(answer, &ready))
		return status, ready
	}
	if status, ready := ask(); status != http.StatusOK || ready.Status != "ready" || len(ready.Faults) != 0 {
		t.Errorf("%d %+v", status, ready)
	}
	s.later.Store(int64(31 * 24 * time.Hour)) // its OCSP certificate has ended
	if status, ready := ask(); status != http.StatusServiceUnavailable || ready.Status != "not ready" || len(ready.Faults) != 1 {
		t.Errorf("%d %+v", status, ready)
	}
	s.later.Store(0)
	must(t, os.Rename(s.dir.Registry(), s.dir.Registry()+".old"))
	if status, ready := ask(); status != http.StatusServiceUnavailable || !strings.Contains(strings.Join(ready.Faults, ""), "the registry does not answer") {
		t.Errorf("%d %+v", status, ready)
	}
	must(t, os.Rename(s.dir.Registry()+".old", s.dir.Registry()))
	if err := <-s.ended; err == nil || !strings.Contains(err.Error(), registry.ErrNotFollowed.Error()) {
		t.Errorf("got %v", err)
	}
}

// A strange CRL is a fault of the answer, and the server goes on.
func TestMetricsWithoutAFileThatCanBeReadAreRefused(t *testing.T) {
	s := newTestServer(t, 1000)
	must(t, os.WriteFile(s.dir.CRL(), []byte("no CRL"), 0o600))
	if status, _, answer := s.ask(t, http.MethodGet, s.secure+"/metrics", nil); status != http.StatusServiceUnavailable || strings.Contains(string(answer), string(s.dir)) {
		t.Errorf("status %d: %s", status, answer)
	}
	must(t, os.Remove(s.dir.CRL()))
	s.metrics(t)
}

// The first count of a large registry takes long. Scrapes that wait for it leave the lookups to others.
func TestScrapesThatWaitHoldNoLookup(t *testing.T) {
	s := newTestServer(t, 1000)
	follower := fixtures.Must(registry.OpenFollower(t.Context(), s.dir.Registry()))(t)
	defer func() { must(t, follower.Close()) }()
	synctest.Test(t, func(t *testing.T) {
		server := NewServer(Config{Dir: s.dir, Registry: follower, PerSecond: 1000, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		release := fixtures.Must(take(t.Context(), server.gathered.turn))(t) // a scrape that counts all rows
		var scrapes sync.WaitGroup
		for range maxLookups {
			scrapes.Go(func() {
				answer := httptest.NewRecorder()
				server.metrics(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
				if answer.Code != http.StatusOK {
					t.Errorf("a scrape that waited: status %d", answer.Code)
				}
			})
		}
		synctest.Wait()
		answer, board := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/boards/id", nil)
		board.SetPathValue("id", devices.BoardID(uuid.New()).String())
		server.board(answer, board)
		if answer.Code != http.StatusNotFound {
			t.Errorf("a lookup while scrapes wait: status %d", answer.Code)
		}
		release()
		scrapes.Wait()
	})
}

// Scrapes are bounded as other requests are, and each costs one of them.
func TestScrapesAreLimited(t *testing.T) {
	s := newTestServer(t, 2)
	for n, want := range []int{200, 200, 429} {
		if status, _, _ := s.ask(t, http.MethodGet, s.secure+"/metrics", nil); status != want {
			t.Errorf("scrape %d: status %d", n, status)
		}
	}
}
