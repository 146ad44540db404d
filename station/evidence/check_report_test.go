package evidence

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/station/evidence/html"
)

// writeReported writes a bundle with a report.
func (m *memory) writeReported(name string) string {
	m.t.Helper()
	report, err := html.New(html.Options{Language: "de", Checkpoint: m.notes[len(m.notes)-1]})
	m.must(err)
	path := filepath.Join(m.t.TempDir(), name)
	b := Bundle{Source: m, VerifierKey: m.vkey, Report: report, Authorities: []*x509.Certificate{m.ca}}
	_, err = b.Write(m.t.Context(), path)
	m.must(err)
	return path
}

// again is what auditcheck does.
func again(found, checkpoint []byte) Report {
	if report := html.Again(found, checkpoint); report != nil {
		return report
	}
	return nil
}

// forgeReport changes the report, and the digest of it.
func forgeReport(t *testing.T, bundle, old, changed string) {
	t.Helper()
	path := filepath.Join(bundle, ReportFile)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	after := bytes.Replace(before, []byte(old), []byte(changed), 1)
	if bytes.Equal(before, after) {
		t.Fatalf("%q is not in the report", old)
	}
	sums, err := os.ReadFile(filepath.Join(bundle, SumsFile))
	if err != nil {
		t.Fatal(err)
	}
	hexOf := func(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }
	forged := strings.Replace(string(sums), hexOf(before), hexOf(after), 1)
	for name, content := range map[string][]byte{path: after, filepath.Join(bundle, SumsFile): []byte(forged)} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheReportIsComparedWithTheEntries(t *testing.T) {
	m, _ := record(t, 5)
	o := Options{Key: m.vkey, Report: again}
	if v := m.check(m.writeReported("bundle.tar"), o); !v.Good() || v.Report != ReportSame {
		t.Errorf("%+v", v)
	}
	if v := m.check(m.write("none"), o); v.Good() || v.Findings[0].File != ReportFile || v.Report != ReportAbsent {
		t.Errorf("without a report: %+v", v)
	}
	forged := m.writeReported("forged")
	forgeReport(t, forged, "<h1>", "<h1>Alles gut: ")
	if v := m.check(forged, o); v.Good() || v.Findings[0].File != ReportFile {
		t.Errorf("a forged report: %+v", v)
	}
	if v := m.check(forged, Options{Key: m.vkey}); !v.Good() || v.Report != ReportOther {
		t.Errorf("nobody asked for the comparison: %+v", v)
	}
}
