package status

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/station"
	"hallmark/station/ocsp"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// metricsAge is how old the numbers of /metrics may be: more scrapes cost nothing.
const metricsAge = 3 * time.Second

// A gatherer keeps the newest text of /metrics.
type gatherer struct {
	counter *registry.Counter
	turn    chan struct{} // holds one value while a request gathers, and uses the following fields

	text []byte
	at   time.Time
	crl  parsed
}

// A parsed CRL is read again only after its file has changed, because it can have 100,000 entries.
type parsed struct {
	file       fs.FileInfo
	this, next time.Time
}

// metrics answers GET /metrics in the text format of Prometheus, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	text, err := s.gather(r.Context())
	if s.found(w, r, err) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(text) // the client sees an answer that is cut off
	}
}

// gather gives the newest text. Requests take turns before they take a lookup: the first count of a large registry takes long, and
// the requests that wait for it must leave the lookups to others.
func (s *Server) gather(ctx context.Context) (text []byte, err error) {
	release, err := take(ctx, s.gathered.turn)
	if err != nil {
		return nil, err
	}
	defer release()
	err = s.query(ctx, func(ctx context.Context) error {
		text, err = s.newest(ctx)
		return err
	})
	return text, err
}

// newest gives the text that was gathered last, or gathers anew. The caller has the turn.
func (s *Server) newest(ctx context.Context) ([]byte, error) {
	g := &s.gathered
	if err := s.Registry.Follows(); err != nil {
		return nil, err
	}
	now := s.Now()
	if age := now.Sub(g.at); g.text != nil && age >= 0 && age < metricsAge {
		return g.text, nil
	}
	counts, err := g.counter.Counts(ctx)
	if err != nil {
		return nil, err
	}
	var page page
	page.counts(&counts)
	if err := page.files(s.Dir, &g.crl); err != nil {
		return nil, err
	}
	g.text, g.at = page.Bytes(), now
	return g.text, nil
}

// A page is the text of an answer.
type page struct{ bytes.Buffer }

// family begins a metric, whose samples follow. kind is counter or gauge.
func (p *page) family(name, kind, help string) {
	fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", name, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(help), name, kind)
}

var inLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes one number. labels are name, value, name, value ...
func (p *page) sample(name string, value int64, labels ...string) {
	p.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		p.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		fmt.Fprintf(p, `%s="%s"`, labels[i], inLabel.Replace(strings.ToValidUTF8(labels[i+1], "\ufffd")))
	}
	if len(labels) > 0 {
		p.WriteByte('}')
	}
	p.WriteByte(' ')
	p.WriteString(strconv.FormatInt(value, 10))
	p.WriteByte('\n')
}

func (p *page) one(name, kind, help string, value int64) {
	p.family(name, kind, help)
	p.sample(name, value)
}

func (p *page) counts(c *registry.Counts) {
	build := station.ThisBuild()
	p.family("hallmark_build_info", "gauge", "The program that answers.")
	p.sample("hallmark_build_info", 1, "version", build.Version, "commit", build.Commit, "go", build.Go)
	p.one("hallmark_registry_schema", "gauge", "Schema of the registry.", c.Schema)
	p.family("hallmark_runs_total", "counter", "Runs that have ended, by ending and reason.")
	kinds := slices.SortedFunc(maps.Keys(c.Runs), func(a, b registry.RunKind) int { return strings.Compare(a.Ending+" "+a.Reason, b.Ending+" "+b.Reason) })
	for _, kind := range kinds {
		p.sample("hallmark_runs_total", c.Runs[kind], "ending", kind.Ending, "reason", kind.Reason)
	}
	p.one("hallmark_runs_open", "gauge", "Runs that are under way, or that a crash has left open.", c.OpenRuns)
	p.family("hallmark_certificates", "gauge", "Certificates and serial numbers in the registry, by status.")
	for _, status := range slices.Sorted(maps.Keys(c.Certificates)) {
		p.sample("hallmark_certificates", c.Certificates[status], "status", status)
	}
	p.one("hallmark_bays_stopped", "gauge", "Bays that wait for an acknowledgement.", c.StoppedBays)
	p.one("hallmark_boards_held", "gauge", "Boards on hold.", c.HeldBoards)
	p.one("hallmark_audit_entries", "gauge", "Entries of the audit log.", c.Entries)
	p.one("hallmark_audit_entries_covered", "gauge", "Entries of the audit log under the newest checkpoint.", c.Covered)
	if !c.CoveredUntil.IsZero() {
		p.one("hallmark_checkpoint_timestamp_seconds", "gauge", "Time of the newest audit entry under a checkpoint.", c.CoveredUntil.Unix())
	}
}

// files writes what the files of the station say. A file that is not there has no sample.
func (p *page) files(dir workdir.Dir, crl *parsed) error {
	const ends = "hallmark_certificate_not_after_timestamp_seconds"
	p.family(ends, "gauge", "End of a certificate of the station itself.")
	for _, file := range []struct{ name, path string }{{"root", dir.Root()}, {"issuing", dir.Issuing()}, {"verifier", dir.Server()}, {"ocsp", dir.OCSP()}} {
		certificate, err := workdir.ReadCertificate(file.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		p.sample(ends, certificate.NotAfter.Unix(), "certificate", file.name)
	}
	if err := p.revocations(dir.CRL(), crl); err != nil {
		return err
	}
	free, err := dir.FreeMiB()
	if err != nil {
		return err
	}
	p.one("hallmark_free_bytes", "gauge", "Free space for the registry.", int64(free)<<20)
	return nil
}

func (p *page) revocations(path string, crl *parsed) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if crl.file == nil || !os.SameFile(crl.file, info) || !crl.file.ModTime().Equal(info.ModTime()) || crl.file.Size() != info.Size() {
		der, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		*crl = parsed{info, list.ThisUpdate, list.NextUpdate}
	}
	p.one("hallmark_crl_this_update_timestamp_seconds", "gauge", "When the newest CRL was made.", crl.this.Unix())
	p.one("hallmark_crl_next_update_timestamp_seconds", "gauge", "When clients stop to believe the newest CRL.", crl.next.Unix())
	return nil
}

// Readiness is the answer to GET /readyz.
type Readiness struct {
	Status string   `json:"status"` // ready, or not ready with the HTTP status 503
	Faults []string `json:"faults"`
}

// ready says whether the server can answer now: it signs, it follows the registry, and the registry answers in time.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	answer := Readiness{Status: "ready", Faults: []string{}}
	signer, err := s.Signer()
	if err == nil {
		err = ocsp.CheckExpiry(signer.Certificate, s.Now())
	}
	if err != nil && !errors.Is(err, ocsp.ErrEnding) {
		answer.Faults = append(answer.Faults, err.Error())
	}
	if err := s.query(r.Context(), s.Registry.Answers); err != nil {
		s.Log.Error("not ready", "error", err)
		answer.Faults = append(answer.Faults, "the registry does not answer; the log of this server says why")
	}
	status := http.StatusOK
	if len(answer.Faults) > 0 {
		answer.Status, status = "not ready", http.StatusServiceUnavailable
	}
	respond(w, status, answer)
}
