package evidence

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"mime/quotedprintable"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/mod/sumdb/note"

	"hallmark/station/audit"
)

// told adds the entry about the newest checkpoint, as a station writes it.
func (m *memory) told() {
	m.t.Helper()
	h, err := audit.OpenCheckpoint(m.notes[len(m.notes)-1], m.vkey)
	m.must(err)
	m.add(audit.Entry{Type: audit.TypeCheckpoint, Details: map[string]string{"size": strconv.FormatInt(h.Size, 10), "root": h.Root.String(), "notes": strconv.Itoa(len(m.notes))}})
}

// knownRecord is a record with four checkpoints, of which entries tell.
func knownRecord(t testing.TB) *memory {
	m := newMemory(t)
	for n := range 4 {
		m.enrol(n)
		m.checkpoint()
		m.told()
	}
	m.checkpoint()
	return m
}

func edited(path string, change func([]byte) []byte) {
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(content), 0o600)
	}
	if err != nil {
		panic(err)
	}
}

func TestTheOrderOfSHA256SUMSIsCompared(t *testing.T) {
	m := knownRecord(t)
	root := m.write("bundle")
	edited(filepath.Join(root, SumsFile), func(text []byte) []byte {
		lines := bytes.SplitAfter(text, []byte("\n"))
		lines[0], lines[1] = lines[1], lines[0]
		return bytes.Join(lines, nil)
	})
	if v := m.check(root, Options{Key: m.vkey}); !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.File == SumsFile }) {
		t.Errorf("got %v", v.Findings)
	}
}

// SHA256SUMS has a line for each certificate: that of many boards is longer than what is read as a whole. Here each certificate has a
// name of its own and no file, so nothing is found but the missing files.
func TestALongSHA256SUMSIsReadInPieces(t *testing.T) {
	m := knownRecord(t)
	root := m.write("bundle")
	sums, err := os.ReadFile(filepath.Join(root, SumsFile))
	m.must(err)
	file, err := os.OpenFile(filepath.Join(root, SumsFile), os.O_WRONLY|os.O_TRUNC, 0o600)
	m.must(err)
	out, written := bufio.NewWriter(file), 0
	line := func(text string) {
		n, err := out.WriteString(text)
		m.must(err)
		written += n
	}
	for text := range strings.Lines(string(sums)) {
		if strings.HasSuffix(text, "  "+ScriptFile+"\n") {
			for n := 0; written <= maxPiece; n++ {
				line(fmt.Sprintf("%064x  %s%064x.zzz\n", n, "certificatez/", n))
			}
		}
		line(text)
	}
	m.must(errors.Join(out.Flush(), file.Close()))
	v := m.check(root, Options{Key: m.vkey})
	if !v.More || len(v.Findings) != maxFindings || !strings.Contains(v.Findings[0].String(), "certificatez/") || !strings.Contains(v.Findings[0].Meaning, "the file is missing") {
		t.Errorf("got %v", v.Findings)
	}
}

func TestTheVerdictNamesWhatWasNotChecked(t *testing.T) {
	m := knownRecord(t)
	seed, _, err := note.GenerateKey(nil, "witness.example/w")
	m.must(err)
	signer, err := note.NewSigner(seed)
	m.must(err)
	text, _, _ := bytes.Cut(m.notes[4], []byte("\n\n"))
	line, err := note.Sign(&note.Note{Text: string(text) + "\n"}, signer)
	m.must(err)
	_, lines, _ := bytes.Cut(line, []byte("\n\n"))
	m.notes[4] = append(m.notes[4], lines...)
	root := m.write("bundle")
	m.must(os.WriteFile(filepath.Join(root, TimestampFile), []byte("stamp"), 0o600))
	m.resum(root)
	v := m.check(root, Options{Key: m.vkey})
	var skipped []string
	for _, one := range v.NotChecked {
		skipped = append(skipped, one.File)
	}
	if want := []string{CheckpointFile, TimestampFile, CheckpointsFile}; !v.Good() || strings.Join(skipped, " ") != strings.Join(want, " ") {
		t.Errorf("got %v and %v, want %v", v.Findings, skipped, want)
	}
}

// A part has too few entries for an older anchor. That is no finding, and the verdict says so.
func TestAnOlderAnchorSaysNothingAgainstAPart(t *testing.T) {
	m, older := record(t, 20)
	part := m.writePart("part")
	v := m.check(part, Options{Key: m.vkey, Anchors: [][]byte{older}})
	if !v.Good() || v.Anchors != 0 || !strings.Contains(v.NotChecked[0].Meaning, "anchor 1 is over 51 entries") {
		t.Errorf("got %+v", v)
	}
	m.enrol(20)
	if v := m.check(part, Options{Key: m.vkey, Anchors: [][]byte{m.checkpoint()}}); v.Good() || !strings.Contains(v.Findings[0].Meaning, "the part is older") {
		t.Errorf("a newer anchor: %+v", v)
	}
}

// The digests of an edition never change: whoever changes a text raises the edition, and keeps
// these digests in earlier.
func TestATextHasTheDigestOfItsEdition(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "editions"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{ReadmeFile: readme, ScriptFile: script} {
		sum := sha256.Sum256(text)
		line := strconv.Itoa(edition) + " " + name + " " + hex.EncodeToString(sum[:]) + "\n"
		if !strings.Contains(string(content), line) {
			t.Errorf("%s was changed: raise edition, keep the old digests in earlier, and add to testdata/editions\n%s", name, line)
		}
		if found := editionOf.FindSubmatch(text[:200]); found == nil || string(found[1]) != strconv.Itoa(edition) {
			t.Errorf("%s says %q, and the edition is %d", name, found, edition)
		}
		for number := 1; number < edition; number++ {
			if line := fmt.Sprintf("%d %s %v\n", number, name, earlier[name][number]); !strings.Contains(string(content), line) {
				t.Errorf("earlier has another digest than testdata/editions: %s", line)
			}
		}
	}
}

// The script reads a file of checkpoints as auditcheck does.
func TestTheScriptReadsAnAnchorOutOfAMail(t *testing.T) {
	m, older := record(t, 20)
	root := m.writeReported("bundle")
	newest := m.notes[len(m.notes)-1]
	head := "From: bench <bench@factory.example>\nDate: " + time.Unix(1_800_000_000, 0).UTC().Format(time.RFC1123Z) + "\nSubject: checkpoint\n\nGood morning,\n\n"
	quoted := "> " + strings.ReplaceAll(string(older), "\n", "\n> ")
	run := func(text string) (string, error) {
		anchor := filepath.Join(t.TempDir(), "mail")
		m.must(os.WriteFile(anchor, []byte(text), 0o600))
		out, err := exec.Command("python3", filepath.Join(root, ScriptFile), "--anchor", anchor).CombinedOutput()
		return string(out), err
	}
	for name, text := range map[string]string{
		"the header of a mail":  head + string(older),
		"a quotation, CRLF":     strings.ReplaceAll(head+quoted+"\n\n\u2014 Ann Smithson\n", "\n", "\r\n"),
		"a byte order mark":     "\ufeff" + string(older),
		"no newline at the end": strings.TrimSpace(string(older)),
	} {
		if out, err := run(text); err != nil || !strings.Contains(out, "1 checkpoint from elsewhere") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if anchors, err := audit.ParseAnchors([]byte(text)); err != nil || len(anchors) != 1 {
			t.Errorf("%s: auditcheck finds %d, %v", name, len(anchors), err)
		}
	}
	if out, err := run(head + string(older) + "\n" + string(newest) + " \u2588\u2580\n"); err != nil || !strings.Contains(out, "2 checkpoints from elsewhere") {
		t.Errorf("two checkpoints: %v: %s", err, out)
	}
	for name, text := range encodings(head+string(older), newest) {
		if out, err := run(text); err != nil || !strings.Contains(out, "from elsewhere") || strings.Contains(out, " 0 checkpoints") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if anchors, err := audit.ParseAnchors([]byte(text)); err != nil || len(anchors) == 0 {
			t.Errorf("%s: auditcheck finds %d, %v", name, len(anchors), err)
		}
	}
	unsigned, _, _ := strings.Cut(string(older), "\u2014")
	if out, err := run(unsigned); err == nil || !strings.HasPrefix(out, "FAIL: anchor 1: not a checkpoint") {
		t.Errorf("a checkpoint without a signature: %v: %s", err, out)
	}
	for name, text := range map[string]string{
		"no checkpoint":        head,
		"a damaged checkpoint": head + strings.Replace(string(older), "51\n", "\n", 1),
		"another root":         strings.Replace(string(older), "\n51\n", "\n52\n", 1),
	} {
		if out, err := run(text); err == nil || !strings.HasPrefix(out, "FAIL: anchor 1") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// encodings gives a mail, and a checkpoint in the middle of one, as mail programs and Windows store them.
func encodings(mail string, note []byte) map[string]string {
	head, body, _ := strings.Cut(mail, "\n\n")
	var quoted bytes.Buffer
	out := quotedprintable.NewWriter(&quoted)
	_, _ = out.Write([]byte(body)) // a buffer takes everything
	_ = out.Close()
	folded := func(text []byte) string {
		return regexp.MustCompile(`.{76}`).ReplaceAllString(base64.StdEncoding.EncodeToString(text), "$0\r\n")
	}
	wide := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(strings.ReplaceAll(string(note), "\n", "\r\n"))) {
		wide = binary.LittleEndian.AppendUint16(wide, unit)
	}
	part := func(kind, encoding, text string) string {
		return "--b\r\nContent-Type: " + kind + "\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + text + "\r\n"
	}
	mixed := "\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	return map[string]string{
		"quoted-printable":          head + "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + quoted.String(),
		"base64":                    head + "\nContent-Transfer-Encoding: base64\n\n" + folded([]byte(body)),
		"UTF-16":                    string(wide),
		"Windows-1252":              strings.ReplaceAll(string(note), "\u2014", "\x97"),
		"an attachment":             head + mixed + part("text/plain", "7bit", "see there") + part("application/octet-stream", "base64", folded(note)) + "--b--\r\n",
		"an attachment in UTF-16":   head + mixed + part("text/plain", "7bit", "see there") + part("text/plain", "base64", folded(wide)) + "--b--\r\n",
		"text and HTML of one mail": head + mixed + part("text/plain", "quoted-printable", quoted.String()) + part("text/html", "base64", folded([]byte("<pre>"+body))) + "--b--\r\n",
	}
}
