package evidence

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (m *memory) writePart(name string) string {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), name)
	b := Bundle{VerifierKey: m.vkey, Authorities: []*x509.Certificate{m.ca}}
	if n, _, err := b.WritePart(m.t.Context(), m, path); err != nil || n != 5 {
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

func TestAForgedPartIsFound(t *testing.T) {
	m, older := record(t, 20)
	for _, test := range []struct {
		name   string
		change func(root string)
		saying string
	}{
		{"another entry", func(root string) {
			files, err := filepath.Glob(filepath.Join(root, "entries", "*.json"))
			m.must(err)
			content, err := os.ReadFile(files[0])
			m.must(err)
			m.must(os.WriteFile(files[0], bytes.Replace(content, []byte("ann"), []byte("bob"), 1), 0o600))
		}, "the proof does not hold"},
		{"an entry without its proof", func(root string) {
			files, err := filepath.Glob(filepath.Join(root, "proofs", "*"))
			m.must(err)
			m.must(os.Remove(files[0]))
		}, "the file is missing"},
		{"the proof of another checkpoint", func(root string) {
			m.must(os.WriteFile(filepath.Join(root, CheckpointFile), older, 0o600))
		}, "another checkpoint"},
		{"text instead of a proof", func(root string) {
			files, err := filepath.Glob(filepath.Join(root, "proofs", "*"))
			m.must(err)
			m.must(os.WriteFile(files[0], []byte("proof"), 0o600))
		}, "the proof does not hold"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := m.writePart("part")
			test.change(root)
			m.resum(root)
			v := m.check(root, Options{Key: m.vkey})
			if v.Good() || !strings.Contains(v.Findings[0].Meaning, test.saying) {
				t.Errorf("got %v", v.Findings)
			}
		})
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
