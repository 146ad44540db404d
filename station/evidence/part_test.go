package evidence

import (
	"bytes"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/station/audit"
)

func (m *memory) writePart(name string) string {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), name)
	b := Bundle{VerifierKey: m.vkey, Authorities: []*x509.Certificate{m.ca}, Question: Question{Command: "station audit proof", Flags: map[string]string{"board": "3"}}}
	if n, _, err := b.WritePart(m.t.Context(), m, path); err != nil || n < 5 {
		m.t.Fatalf("%d entries, %v", n, err)
	}
	return path
}

func TestTheBirthRecordOfABoardHoldsAlone(t *testing.T) {
	m, _ := record(t, 20)
	newest := m.notes[len(m.notes)-1]
	for _, name := range []string{"part", "part.tar"} {
		v := m.check(m.writePart(name), Options{Key: m.vkey, Anchors: [][]byte{newest}})
		if !v.Good() || !v.Part || v.Selected != 5 || v.Certificates != 1 || v.Anchors != 1 {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// A part that an older station made has neither question nor script.
func TestAPartOfAnEarlierEditionHolds(t *testing.T) {
	m, _ := record(t, 20)
	root := m.writePart("part")
	m.must(os.Remove(filepath.Join(root, QuestionFile)))
	m.must(os.Remove(filepath.Join(root, ScriptFile)))
	third, err := os.ReadFile(filepath.Join("testdata", "readme3.txt"))
	m.must(err)
	m.must(os.WriteFile(filepath.Join(root, ReadmeFile), third, 0o600))
	m.resum(root)
	if v := m.check(root, Options{Key: m.vkey}); !v.Good() || v.Question != nil {
		t.Errorf("got %+v", v)
	}
}

// The script checks a part with Python and openssl alone.
func TestTheScriptChecksAPart(t *testing.T) {
	m, older := record(t, 20)
	newest := m.notes[len(m.notes)-1]
	run := func(root string, anchor []byte) (string, error) {
		key, kept := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "kept")
		m.must(os.WriteFile(key, []byte(m.vkey), 0o600))
		m.must(os.WriteFile(kept, anchor, 0o600))
		out, err := exec.Command("python3", filepath.Join(root, ScriptFile), "--key", key, "--anchor", kept).CombinedOutput()
		return string(out), err
	}
	root := m.writePart("part")
	out, err := run(root, newest)
	for _, want := range []string{"OK: 5 of 101 entries, 1 certificate, root ", "1 checkpoint from elsewhere", `"command": "station audit proof"`} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %s; want %s", err, out, want)
		}
	}
	if out, err := run(root, older); err != nil || !strings.Contains(out, "NOT CHECKED: anchor 1 is older") || !strings.Contains(out, "0 checkpoints from elsewhere") {
		t.Errorf("an older anchor: %v: %s", err, out)
	}
	m.enrol(20)
	if out, err := run(root, m.checkpoint()); err == nil || !strings.Contains(out, "the part is older") {
		t.Errorf("a newer anchor: %v: %s", err, out)
	}
	m.notes = m.notes[:len(m.notes)-1]
	for name, test := range map[string]struct{ file, saying string }{
		"an entry":       {"entries/[0-9]*", "the proof does not hold"},
		"a certificate":  {"certificates/*", "was changed"},
		"a checkpoint":   {CheckpointFile, "FAIL: checkpoint"},
		"a proof":        {"proofs/*", "proof"},
		"no proof":       {"-proofs/*", "the proofs are not those of the entries"},
		"no certificate": {"-certificates/*", "the certificates are not those"},
	} {
		root := m.writePart("part")
		pattern, remove := strings.CutPrefix(test.file, "-")
		files, err := filepath.Glob(filepath.Join(root, pattern))
		m.must(err)
		if remove {
			m.must(os.Remove(files[0]))
		} else {
			edited(files[0], func(text []byte) []byte { text[len(text)/2] ^= 1; return text })
		}
		m.resum(root)
		if out, err := run(root, newest); err == nil || !strings.HasPrefix(out, "FAIL: ") || !strings.Contains(out, test.saying) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

func TestTheScriptProvesEachEntryOfEachSize(t *testing.T) {
	for size := 2; size < 18; size++ {
		m := newMemory(t)
		for n := 1; n < size; n++ {
			m.add(audit.Entry{Type: "log.startup", Board: &audit.Board{ID: "00000003-0000-4000-8000-000000000000"}})
		}
		m.checkpoint()
		root := filepath.Join(t.TempDir(), "part")
		b := Bundle{VerifierKey: m.vkey, Authorities: []*x509.Certificate{m.ca}, Question: Question{Command: "all"}}
		_, _, err := b.WritePart(t.Context(), m, root)
		m.must(err)
		if out, err := exec.Command("python3", filepath.Join(root, ScriptFile)).CombinedOutput(); err != nil {
			t.Errorf("%d entries: %v: %s", size, err, out)
		}
	}
}

func FuzzAProofNeverPanics(f *testing.F) {
	m, _ := record(f, 3)
	proof, err := NewProof(2, m.tree.size-1, m.Hashes(f.Context()), m.notes[1])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(proof)
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, proof []byte) {
		if _, _, err := CheckProof(proof, m.bodies[2], m.vkey); err == nil && !bytes.Contains(proof, []byte("index 2\n")) {
			t.Errorf("%q proves entry 2", proof)
		}
	})
}
