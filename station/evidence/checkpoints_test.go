package evidence

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/station/audit"
)

// manyCheckpoints is a record with a checkpoint behind each of its entries, and so many signatures of unknown witnesses behind
// each but the last one.
func manyCheckpoints(t *testing.T, count, signatures int) *memory {
	t.Helper()
	m := newMemory(t)
	for n := range count {
		m.add(audit.Entry{Type: "operator.login.ok"})
		m.checkpoint()
		for line := range signatures {
			if n == count-1 {
				break
			}
			octets := make([]byte, 400)
			octets[0], octets[1] = byte(n), byte(line)
			m.notes[n] = append(m.notes[n], "\u2014 witness.example/w "+base64.StdEncoding.EncodeToString(octets)+"\n"...)
		}
	}
	return m
}

// runScript runs check.py of a bundle with at most this much memory, in KiB.
func runScript(t *testing.T, root string, memory string) (string, error) {
	t.Helper()
	out, err := exec.Command("sh", "-c", `ulimit -v "$1" && exec python3 -I "$2"`, "sh", memory, filepath.Join(root, ScriptFile)).CombinedOutput()
	return string(out), err
}

// A station that runs for years has many checkpoints. Their file is longer than what is read as a whole, and longer than the memory that the
// script may have here.
func TestManyCheckpointsAreReadInPieces(t *testing.T) {
	m := manyCheckpoints(t, 1300, 95)
	root := m.writeReported("bundle")
	if info, err := os.Stat(filepath.Join(root, CheckpointsFile)); err != nil || info.Size() <= maxPiece {
		t.Fatalf("%v, %v", info, err)
	}
	if v := m.check(root, Options{Key: m.vkey}); !v.Good() {
		t.Errorf("got %v", v.Findings)
	}
	if out, err := runScript(t, root, "65536"); err != nil || !strings.HasPrefix(out, "OK: 1301 entries") {
		t.Errorf("the script says %v, %s", err, out)
	}
}

// A process for each checkpoint would take 20 ms. Each checkpoint is verified: one in the middle that is changed is found.
func TestTheScriptVerifiesManyCheckpointsAtOnce(t *testing.T) {
	m := manyCheckpoints(t, 600, 0)
	root := m.writeReported("bundle")
	begin := time.Now()
	if out, err := runScript(t, root, "262144"); err != nil || !strings.HasPrefix(out, "OK: 601 entries") {
		t.Fatalf("the script says %v, %s", err, out)
	}
	t.Logf("600 checkpoints: %v", time.Since(begin))
	// A signature that openssl takes, of another key: the arithmetic of the script must see the difference.
	forged, err := audit.Sign(origin, audit.Head{Size: 300, Root: [32]byte{1}}, newKey(t), rand.Reader)
	m.must(err)
	_, line, _ := bytes.Cut(forged, []byte("\n\n"))
	_, octets, _ := bytes.Cut(bytes.TrimSpace(line), []byte(origin+" "))
	signature, err := base64.StdEncoding.DecodeString(string(octets))
	m.must(err)
	text, own, _ := bytes.Cut(m.notes[298], []byte("\n\n"))
	_, octets, _ = bytes.Cut(bytes.TrimSpace(own), []byte(origin+" "))
	id, err := base64.StdEncoding.DecodeString(string(octets))
	m.must(err)
	signature = append(id[:4:4], signature[4:]...)
	edit(CheckpointsFile, func(all []byte) []byte {
		return bytes.Replace(all, m.notes[298], []byte(string(text)+"\n\n\u2014 "+origin+" "+base64.StdEncoding.EncodeToString(signature)+"\n"), 1)
	})(m, root)
	m.resum(root)
	if v := m.check(root, Options{Key: m.vkey}); len(v.Findings) != 1 || !strings.Contains(v.Findings[0].String(), "checkpoints.txt: checkpoint 299: checkpoint is not signed by the audit key") {
		t.Errorf("got %v", v.Findings)
	}
	if out, err := runScript(t, root, "262144"); err == nil || !strings.HasPrefix(out, "FAIL: checkpoints.txt: wrong signature") {
		t.Errorf("the script says %v, %s", err, out)
	}
}

// What is no list of checkpoints is a finding, and its size is no trouble.
func TestAListOfCheckpointsOfAnotherFormIsFound(t *testing.T) {
	m := knownRecord(t)
	for _, test := range []struct{ name, content, says string }{
		{"a line without an end", strings.Repeat("x", 2*maxNote), "checkpoint 1 has more than 65536 octets"},
		{"an empty line at the end", string(bytes.Join(m.notes, []byte("\n"))) + "\n", "there is more than checkpoints"},
		{"no empty line between two", string(bytes.Join(m.notes, nil)), "there is more than checkpoints"},
		{"an empty line at the wrong place", string(bytes.Join(slices.Concat([][]byte{slices.Concat(m.notes[0], m.notes[1])}, m.notes[2:]), []byte("\n"))) + "\n", "there is more than checkpoints"},
		{"text behind the last one", string(bytes.Join(m.notes, []byte("\n"))) + "all is well\n", "checkpoint 6: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := *m
			m.t = t
			root := m.writeReported("bundle")
			plant(CheckpointsFile, test.content)(&m, root)
			m.resum(root)
			if v := m.check(root, Options{Key: m.vkey}); v.Good() || !strings.Contains(v.Findings[0].String(), CheckpointsFile+": "+test.says) {
				t.Errorf("got %v", v.Findings)
			}
			if out, err := runScript(t, root, "262144"); err == nil || !strings.HasPrefix(out, "FAIL: checkpoints.txt: ") {
				t.Errorf("the script says %v, %s", err, out)
			}
		})
	}
}
