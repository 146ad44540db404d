package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/evidence/html"
)

// source is a log with one entry.
type source struct {
	body, note []byte
	vkey       string
}

func newSource(t *testing.T) *source {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	s := &source{}
	s.vkey, err = audit.VerifierKey("hallmark/test", key.Public())
	must(t, err)
	s.body, err = audit.Encode(audit.Entry{V: audit.Version, ID: "1", Actor: audit.Itself(), Category: audit.CategoryLog, Type: audit.TypeGenesis,
		Outcome: audit.Success, Station: "test", Time: audit.Time{Time: time.Unix(1_800_000_000, 0)}, Details: map[string]string{"vkey": s.vkey}})
	must(t, err)
	s.note, err = audit.Sign("hallmark/test", audit.Head{Size: 1, Root: tlog.RecordHash(s.body)}, key, rand.Reader)
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *source) LastCheckpoint(context.Context) ([]byte, error)                  { return s.note, nil }
func (s *source) EachCheckpoint(context.Context, int64, func([]byte) error) error { return nil }
func (s *source) EachBody(_ context.Context, _ int64, each func(int64, []byte) error) error {
	return each(0, s.body)
}
func (s *source) EachCertificate(context.Context, func([]byte) error) error { return nil }

func (s *source) bundle(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle")
	report, err := html.New(html.Options{Language: "en", Checkpoint: s.note})
	must(t, err)
	b := evidence.Bundle{Source: s, VerifierKey: s.vkey, Report: report}
	_, err = b.Write(t.Context(), path)
	must(t, err)
	return path
}

func written(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func fileOf(t *testing.T, bundle, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(bundle, name))
	must(t, err)
	return string(content)
}

// forge changes a file of a bundle, and its digest in SHA256SUMS.
func forge(t *testing.T, bundle, name, content string) {
	t.Helper()
	sums := fileOf(t, bundle, evidence.SumsFile)
	before, after := fmt.Sprintf("%x", sha256.Sum256([]byte(fileOf(t, bundle, name)))), fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	must(t, os.WriteFile(filepath.Join(bundle, name), []byte(content), 0o600))
	must(t, os.WriteFile(filepath.Join(bundle, evidence.SumsFile), []byte(strings.Replace(sums, before, after, 1)), 0o600))
}

// rootText is a root certificate in PEM.
func rootText(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Unix(4e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestAuditcheck(t *testing.T) {
	s, other := newSource(t), newSource(t)
	bundle := s.bundle(t)
	broken := s.bundle(t)
	must(t, os.WriteFile(filepath.Join(broken, evidence.EventsCSV), []byte("seq\n"), 0o600))
	changed := s.bundle(t)
	forge(t, changed, evidence.ScriptFile, "# Edition 99.\nprint('OK')")
	foreign := s.bundle(t)
	forge(t, foreign, evidence.ReportFile, strings.Replace(fileOf(t, foreign, evidence.ReportFile), "hallmark report ", "hallmark report 9", 1))
	for _, test := range []struct {
		name string
		args []string
		code int
		says string // in either output
	}{
		{"a script that says it is newer", []string{changed}, 1, "FINDING  check.py: it says that it is of edition 99"},
		{"a report of another version", []string{foreign}, 1, "FINDING  report.html: it says that another version of the program made it"},
		{"a report that nobody reads", []string{"--no-report", foreign}, 0, "NOT CHECKED  report.html: it was not compared"},
		{"a good bundle", []string{bundle}, 0, "The key came from the bundle itself"},
		{"with key and anchor", []string{"--key", written(t, s.vkey+"\n"), "--anchor", written(t, string(s.note)), bundle}, 0, "1 checkpoint from elsewhere"},
		{"flags behind the bundle", []string{bundle, "--key", written(t, s.vkey)}, 0, "OK"},
		{"two bundles", []string{bundle, bundle}, 3, "got 2 arguments"},
		{"with another key", []string{"--key", written(t, other.vkey), bundle}, 1, "another key"},
		{"a changed view", []string{broken}, 1, "FINDING  views/events.csv: the file was changed"},
		{"a policy without witnesses", []string{"--policy", written(t, "log "+s.vkey+"\nquorum none\n"), bundle}, 0, "OK"},
		{"a policy for another log", []string{"--policy", written(t, "log "+other.vkey+"\nquorum none\n"), bundle}, 1, "does not name this log"},
		{"a policy without a quorum", []string{"--policy", written(t, "# nothing\n"), bundle}, 3, "no quorum line"},
		{"a policy that is text", []string{"--policy", written(t, "trust everybody\n"), bundle}, 3, "line 1"},
		{"an anchor that is text", []string{"--anchor", written(t, "text"), bundle}, 3, "not a checkpoint"},
		{"a key that is not there", []string{"--key", "missing", bundle}, 3, "reading the key"},
		{"no bundle", nil, 3, "got 0 arguments"},
		{"a directory that is no bundle", []string{t.TempDir()}, 3, "not an evidence bundle"},
		{"a bundle that is not there", []string{"missing"}, 3, "opening the bundle"},
		{"an unknown flag", []string{"--fast", bundle}, 3, "auditcheck --help"},
		{"a root that the bundle does not have", []string{"--root", written(t, rootText(t)), bundle}, 1, "the root is not the one that you gave"},
		{"a bundle that is not signed", []string{"--signed", bundle}, 1, "the bundle is not signed, and you want a signature"},
		{"a root that is text", []string{"--root", written(t, "text"), bundle}, 3, "want a certificate in PEM or DER"},
		{"a root that is too long", []string{"--root", written(t, rootText(t)+strings.Repeat("#", 70_000)), bundle}, 3, "more than 65536 octets"},
		{"a root that is not there", []string{"--root", "missing", bundle}, 3, "reading the root"},
		{"the version", []string{"--version"}, 0, "auditcheck unknown, commit "},
		{"help", []string{"--help"}, 0, "Exit codes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), test.args, &out, &errs); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.Contains(out.String()+errs.String(), test.says) {
				t.Errorf("says %q and %q, want %q", out.String(), errs.String(), test.says)
			}
		})
	}
}

// A reader must not take a part for the whole log.
func TestTheResultOfAPartSaysThatItIsAPart(t *testing.T) {
	var out bytes.Buffer
	must(t, (&arguments{}).print(&out, &evidence.Verdict{Origin: "hallmark/demo", Size: 1215, Root: "r", Part: true, Selected: 6, KeyGiven: true}))
	for _, want := range []string{"OK: log hallmark/demo, 6 of 1215 entries, root r", "The bundle is a part of the log: it does not show that no other entry belongs to it."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %s", out.String(), want)
		}
	}
}

// The key of a policy that names the log comes from elsewhere, as that of --key does.
func TestTheKeyOfAPolicyIsNotThatOfTheBundle(t *testing.T) {
	s := newSource(t)
	for policy, own := range map[string]bool{"log " + s.vkey + "\nquorum none\n": false, "quorum none\n": true} {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"--policy", written(t, policy), s.bundle(t)}, &out, &errs)
		if says := strings.Contains(out.String(), "The key came from the bundle itself"); code != 0 || says != own {
			t.Errorf("%q: exit code %d, %s%s", policy, code, out.String(), errs.String())
		}
	}
}

// A mirror has no README.txt.
func TestTheResultOfAMirrorSpeaksOfNoReadme(t *testing.T) {
	var out bytes.Buffer
	must(t, (&arguments{mirror: true}).print(&out, &evidence.Verdict{Origin: "hallmark/demo", Size: 4, Root: "r", KeyGiven: true}))
	if strings.Contains(out.String(), "README.txt") || !strings.Contains(out.String(), "--anchor") {
		t.Errorf("got %s", out.String())
	}
}

func TestTheResultAsJSON(t *testing.T) {
	s := newSource(t)
	broken := s.bundle(t)
	must(t, os.Remove(filepath.Join(broken, "tile", "entries", "000.p", "1")))
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"--json", broken}, &out, &errs); code != 1 {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	var verdict evidence.Verdict
	must(t, json.Unmarshal(out.Bytes(), &verdict))
	if verdict.Good() || verdict.Findings[0].File != "tile/entries/000.p/1" {
		t.Errorf("got %+v", verdict)
	}
}

// A bundle cannot write to the terminal of the auditor.
func TestAFindingIsPrintable(t *testing.T) {
	bundle := newSource(t).bundle(t)
	must(t, os.WriteFile(filepath.Join(bundle, "\x1b[2J\x9a\u202e"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(bundle, evidence.CheckpointFile), []byte("\x1b[2J\x9a\u202e"), 0o600))
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{bundle}, &out, &errs); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if text := out.String(); !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\u202e") {
		t.Errorf("it prints %q", text)
	}
}

// A pipe whose reader has gone decides no exit code.
func TestAReaderThatHasGoneDecidesNothing(t *testing.T) {
	good, broken := newSource(t).bundle(t), newSource(t).bundle(t)
	must(t, os.Remove(filepath.Join(broken, evidence.EventsCSV)))
	for bundle, want := range map[string]int{good: 0, broken: 1} {
		r, w, err := os.Pipe()
		must(t, err)
		must(t, r.Close())
		program := exec.Command(os.Args[0], bundle)
		program.Env = append(os.Environ(), "AUDITCHECK_TEST_IS_AUDITCHECK=1")
		program.Stdout = w
		err = program.Run()
		must(t, w.Close())
		if got := program.ProcessState.ExitCode(); got != want {
			t.Errorf("exit code %d (%v), want %d", got, err, want)
		}
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("AUDITCHECK_TEST_IS_AUDITCHECK") != "" {
		main()
	}
	os.Exit(m.Run())
}

// What a mirror does not hold is not checked in silence.
func TestAMirrorIsAskedOnlyForWhatItHolds(t *testing.T) {
	for _, args := range [][]string{{"--tsa", "x.pem"}, {"--root", "x.pem"}, {"--signed"}, {"--no-report"}} {
		_, err := parse(append([]string{"--mirror", "--key", "x.vkey", "mirror"}, args...))
		if err == nil || !strings.HasPrefix(err.Error(), args[0]+": a mirror has no ") {
			t.Errorf("%s: %v", args[0], err)
		}
	}
}
