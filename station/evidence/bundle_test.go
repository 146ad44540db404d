package evidence

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/station/audit"
)

func TestABundleHolds(t *testing.T) {
	m, older := record(t, 120)
	for _, name := range []string{"bundle", "bundle.tar"} {
		v := m.check(m.write(name), Options{Key: m.vkey, Anchors: [][]byte{older}})
		if !v.Good() || v.Size != 601 || v.Certificates != 120 || v.Anchors != 1 {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// Whatever octet changes, the check finds it, and does not crash.
func TestEachChangedOctetIsFound(t *testing.T) {
	m, _ := record(t, 4)
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for _, name := range []string{"bundle", "bundle.tar"} {
		path := m.write(name)
		files := []string{path}
		if !IsTar(path) {
			files = nil
			m.must(filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					files = append(files, file)
				}
				return err
			}))
		}
		for n := range len(files) + 500 { // each file once, then any
			file := files[random.IntN(len(files))]
			if n < len(files) {
				file = files[n]
			}
			content, err := os.ReadFile(file)
			m.must(err)
			changed := bytes.Clone(content)
			at := random.IntN(len(changed))
			changed[at] ^= byte(1 + random.IntN(255))
			m.must(os.WriteFile(file, changed, 0o600))
			if opened, err := OpenFiles(path); err == nil {
				v, err := Check(t.Context(), opened, Options{Key: m.vkey})
				if err == nil && v.Good() {
					t.Errorf("octet %d of %s was changed, and the bundle holds", at, file)
				}
				m.must(opened.Close())
			}
			m.must(os.WriteFile(file, content, 0o600))
		}
		if v := m.check(path, Options{Key: m.vkey}); !v.Good() {
			t.Errorf("in the end the bundle is whole: %v", v.Findings)
		}
	}
}

// resum writes SHA256SUMS anew.
func (m *memory) resum(root string) {
	m.t.Helper()
	w := &writer{root: root, sums: map[string]digest{}}
	files := &Files{root: root, parts: map[string]part{}}
	m.must(files.readDirectory())
	for _, name := range files.Names() {
		if name != SumsFile {
			content, err := files.Read(name)
			m.must(err)
			w.sums[name] = sha256.Sum256(content)
		}
	}
	m.must(os.Remove(filepath.Join(root, SumsFile)))
	m.must(w.writeSums())
}

func TestAnOlderOrRewrittenLogIsFoundWithAnAnchor(t *testing.T) {
	m, _ := record(t, 20)
	older := m.write("older")
	m.enrol(20)
	newer := m.checkpoint()
	v := m.check(older, Options{Key: m.vkey, Anchors: [][]byte{newer}})
	if v.Good() || !strings.Contains(v.Findings[0].Meaning, "the newest 6 entries are missing") {
		t.Errorf("an older bundle: %v", v.Findings)
	}
	// Somebody who can use the audit key writes the whole log anew.
	forged := newMemory(t)
	forged.key, forged.vkey = m.key, m.vkey
	forged.bodies, forged.tree = nil, tree{put: m.tree.put}
	forged.add(audit.Entry{Type: audit.TypeGenesis, Details: map[string]string{"vkey": m.vkey}})
	for n := range 30 {
		forged.enrol(n + 1000)
	}
	forged.checkpoint()
	v = forged.check(forged.write("forged"), Options{Key: m.vkey, Anchors: [][]byte{newer}})
	if v.Good() || !strings.Contains(v.Findings[0].Meaning, "rewritten") {
		t.Errorf("a rewritten log: %v", v.Findings)
	}
}

func TestAnAnchorFileFromAMailIsRead(t *testing.T) {
	m, older := record(t, 4)
	newest := m.notes[len(m.notes)-1]
	both := append(append([]byte("\xef\xbb\xbf"), older...), append([]byte("\n"), bytes.TrimSpace(newest)...)...)
	both = append(both, "\n\n\n   \n \u2588\u2580\u2584 \u2588 \n"...) // a QR code
	both = bytes.ReplaceAll(both, []byte("\n"), []byte(" \r\n"))
	anchors, err := audit.ParseAnchors(both)
	if err != nil || len(anchors) != 2 {
		t.Fatalf("got %d anchors, %v", len(anchors), err)
	}
	if v := m.check(m.write("bundle"), Options{Key: m.vkey, Anchors: anchors}); !v.Good() || v.Anchors != 2 {
		t.Errorf("got %+v", v)
	}
	for _, text := range []string{"", "text", "text\n\n", "text\n\n\u2014 who", "\x00"} {
		if _, err := audit.ParseAnchors([]byte(text)); err == nil {
			t.Errorf("%q is taken for a checkpoint", text)
		}
	}
}

// The script inside of the bundle agrees with the checker.
func TestTheScriptOfTheBundleChecksIt(t *testing.T) {
	m, older := record(t, 120)
	root := m.writeReported("bundle")
	anchor := filepath.Join(t.TempDir(), "anchor")
	m.must(os.WriteFile(anchor, older, 0o600))
	run := func() (string, error) {
		text, err := exec.Command("python3", filepath.Join(root, ScriptFile), "--anchor", anchor).CombinedOutput()
		return string(text), err
	}
	if text, err := run(); err != nil || !strings.HasPrefix(text, "OK: 601 entries, 120 certificates") {
		t.Fatalf("%v: %s", err, text)
	}
	file := filepath.Join(root, "tile", "entries", "001")
	content, err := os.ReadFile(file)
	m.must(err)
	m.must(os.WriteFile(file, bytes.Replace(content, []byte(`"operator":"ann"`), []byte(`"operator":"bob"`), 1), 0o600))
	m.resum(root)
	if text, err := run(); err == nil || !strings.Contains(text, "FAIL: root mismatch") {
		t.Errorf("a changed entry: %v: %s", err, text)
	}
}

// A damaged file is a finding of the script, with exit code 1, and never a crash.
func TestTheScriptSurvivesADamagedBundle(t *testing.T) {
	m, _ := record(t, 4)
	for file, content := range map[string]string{
		KeyFile:                 "no key\n",
		"checkpoint":            "",
		"SHA256SUMS":            "\xff\xfe",
		"./SHA256SUMS":          strings.Repeat("0", 64) + "  ../secret\n",
		"tile/entries/000.p/21": "",
	} {
		root := m.writeReported("bundle")
		m.must(os.WriteFile(filepath.Join(root, file), []byte(content), 0o600))
		if !strings.HasSuffix(file, "SHA256SUMS") {
			m.resum(root)
		}
		text, err := exec.Command("python3", filepath.Join(root, ScriptFile)).CombinedOutput()
		failed := (*exec.ExitError)(nil)
		if !errors.As(err, &failed) || failed.ExitCode() != 1 || !strings.HasPrefix(string(text), "FAIL: ") {
			t.Errorf("%s: %v: %s", file, err, text)
		}
	}
}

// A board that was refused exists, so the list of boards has it. A refusal says nothing about a board that was admitted.
func TestTheListOfBoardsHasRefusedBoards(t *testing.T) {
	m := newMemory(t)
	m.refuse(7, "clone")
	m.enrol(1)
	m.refuse(1, "clone")
	m.refuse(2, "old-firmware")
	m.enrol(2)
	m.checkpoint()
	root := m.write("bundle")
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(BoardsCSV)))
	m.must(err)
	for _, want := range []string{"\n00000007-0000-4000-8000-000000000000,tls,hw-7,posix,1.0.0,", ",0,reject,clone\n", "\n00000001-0000-4000-8000-000000000000,tls,", ",1,pass,\n"} {
		if !strings.Contains(string(content), want) {
			t.Errorf("%q is not in %s", want, content)
		}
	}
	if n := bytes.Count(content, []byte("\n")); n != 4 {
		t.Errorf("%d lines: %s", n, content)
	}
	if v := m.check(root, Options{Key: m.vkey}); !v.Good() {
		t.Errorf("got %v", v.Findings)
	}
}

// The list of a bundle of an earlier edition has no refused boards.
func TestTheListOfBoardsOfAnEarlierEditionHolds(t *testing.T) {
	m := newMemory(t)
	m.enrol(1)
	m.refuse(7, "clone")
	m.checkpoint()
	root := m.write("bundle")
	edit(BoardsCSV, func(text []byte) []byte {
		lines := bytes.SplitAfter(text, []byte("\n"))
		return bytes.Join(lines[:len(lines)-2], nil)
	})(m, root)
	third, err := os.ReadFile(filepath.Join("testdata", "readme3.txt"))
	m.must(err)
	m.must(os.WriteFile(filepath.Join(root, ReadmeFile), third, 0o600))
	m.resum(root)
	if v := m.check(root, Options{Key: m.vkey}); !v.Good() {
		t.Errorf("got %v", v.Findings)
	}
}

func TestAMaliciousArchiveIsRefused(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{
		"a path that leaves the bundle": func(w io.Writer) error { return tarOf(w, "../evil", '0', "") },
		"an absolute path":              func(w io.Writer) error { return tarOf(w, "/etc/passwd", '0', "") },
		"a link":                        func(w io.Writer) error { return tarOf(w, "checkpoint", '2', "/etc/passwd") },
		"a device":                      func(w io.Writer) error { return tarOf(w, "checkpoint", '3', "") },
		"no tar file":                   func(w io.Writer) error { _, err := w.Write(bytes.Repeat([]byte("x"), 2000)); return err },
		"an empty file":                 func(io.Writer) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bundle.tar")
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := write(file); err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenFiles(path); err == nil {
				t.Error("it opens")
			}
		})
	}
}

func tarOf(w io.Writer, name string, kind byte, link string) error {
	out := tar.NewWriter(w)
	header := &tar.Header{Name: name, Typeflag: kind, Linkname: link, Mode: 0o644}
	return errors.Join(out.WriteHeader(header), out.Close())
}

func TestAnExportNeverLeavesAHalfBundle(t *testing.T) {
	m, _ := record(t, 4)
	m.certificates = m.certificates[:2] // the registry lacks two
	parent := t.TempDir()
	for _, name := range []string{"bundle", "bundle.tar"} {
		b := Bundle{Source: m, VerifierKey: m.vkey, Authorities: []*x509.Certificate{m.ca}}
		if _, err := b.Write(t.Context(), filepath.Join(parent, name)); err == nil {
			t.Errorf("%s: it is written", name)
		}
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
