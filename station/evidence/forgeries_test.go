package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A forgery changes a bundle, and SHA256SUMS is made anew behind it: only what is signed can find the change.
type forgery struct {
	name   string
	change func(m *memory, root string)
	checks string // a part of the first finding of auditcheck
	script string // a part of what check.py says; "NOT CHECKED" in front: it holds, and says that it did not look there
}

// Files that check.py has nothing to compare with.
const (
	noViews = "NOT CHECKED: views/"
	noTexts = "NOT CHECKED: README.txt, check.py"
)

func edit(name string, change func([]byte) []byte) func(*memory, string) {
	return func(m *memory, root string) {
		m.t.Helper()
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(name)))
		m.must(err)
		before, err := os.ReadFile(files[0])
		m.must(err)
		after := change(bytes.Clone(before))
		if bytes.Equal(before, after) {
			m.t.Fatalf("%s is as it was", name)
		}
		m.must(os.WriteFile(files[0], after, 0o600))
	}
}

func swap(name, old, changed string) func(*memory, string) {
	return edit(name, func(text []byte) []byte { return bytes.Replace(text, []byte(old), []byte(changed), 1) })
}

// exchange gives two files of a folder each other's content.
func exchange(pattern string) func(*memory, string) {
	return func(m *memory, root string) {
		m.t.Helper()
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		m.must(err)
		one, err := os.ReadFile(files[0])
		m.must(err)
		other, err := os.ReadFile(files[1])
		m.must(err)
		m.must(os.WriteFile(files[0], other, 0o600))
		m.must(os.WriteFile(files[1], one, 0o600))
	}
}

// reordered has two entries that follow each other in each other's place.
func reordered(m *memory, root string) {
	edit("tile/entries/000.p/25", func([]byte) []byte {
		var text []byte
		order := slices.Clone(m.bodies[:25])
		order[7], order[8] = order[8], order[7]
		for _, body := range order {
			text = appendEntry(text, body)
		}
		return text
	})(m, root)
}

func lose(name string) func(*memory, string) {
	return func(m *memory, root string) {
		m.t.Helper()
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(name)))
		m.must(err)
		m.must(os.Remove(files[0]))
	}
}

func plant(name, content string) func(*memory, string) {
	return func(m *memory, root string) {
		m.t.Helper()
		path := filepath.Join(root, filepath.FromSlash(name))
		m.must(os.MkdirAll(filepath.Dir(path), 0o700))
		m.must(os.WriteFile(path, []byte(content), 0o600))
	}
}

// notes writes the checkpoints with these numbers.
func notes(numbers ...int) func(*memory, string) {
	return func(m *memory, root string) {
		some := make([][]byte, 0, len(numbers))
		for _, n := range numbers {
			some = append(some, m.notes[n])
		}
		edit(CheckpointsFile, func([]byte) []byte { return bytes.Join(some, []byte("\n")) })(m, root)
	}
}

var theEdition = fmt.Sprintf("Edition %d.", edition)

// wholeForgeries are of a bundle of the whole log: 26 entries, of which five are about checkpoints.
var wholeForgeries = []forgery{
	{"nothing", func(*memory, string) {}, "", ""},
	{"a certificate is missing", lose("certificates/*.der"), "the certificate that the entry issued is missing", "the certificates are not those"},
	{"a certificate that the log never issued", plant("certificates/"+strings.Repeat("0", 64)+".der", "x"), "does not belong", "the certificates are not those"},
	{"two certificates are exchanged", exchange("certificates/*.der"), "the certificate was changed", "was changed"},
	{"two lists are exchanged", exchange("views/events.*"), "does not follow from the entries", noViews},
	{"two entries are in each other's place", reordered, "", "entry 7 says it is entry 8"},
	{"a list of entries without one line", edit(EventsCSV, func(text []byte) []byte {
		lines := bytes.SplitAfter(text, []byte("\n"))
		return bytes.Join(append(lines[:5:5], lines[6:]...), nil)
	}), "does not follow from the entries", noViews},
	{"a list of boards without one row", edit(BoardsCSV, func(text []byte) []byte {
		lines := bytes.SplitAfter(text, []byte("\n"))
		return bytes.Join(lines[:len(lines)-2], nil)
	}), "the view does not follow from the entries", noViews},
	{"a list is missing", lose(BoardsCSV), "views/boards.csv: the file is missing", "views/boards.csv: No such file"},
	{"the last entry is cut", edit("tile/entries/000.p/25", func(text []byte) []byte { return text[:len(text)-10] }), "cut off", "is cut off"},
	{"the last entry is longer than its file", func(m *memory, root string) {
		edit("tile/entries/000.p/25", func(text []byte) []byte {
			text[len(text)-len(m.bodies[24])-2] ^= 0x40
			return text
		})(m, root)
	}, "cut off", "is cut off"},
	{"an entry is changed", swap("tile/entries/000.p/25", `"operator":"ann"`, `"operator":"bob"`), "", "root mismatch"},
	{"the key of another log", func(m *memory, root string) { plant(KeyFile, newMemory(m.t).vkey+"\n")(m, root) }, "another key", "log.vkey: another key"},
	{"a tile is changed", edit("tile/0/000.p/25", func(text []byte) []byte { text[100] ^= 1; return text }), "the tile does not follow", "is not of this log"},
	{"a tile too many", plant("tile/1/000", "x"), "tile/1/000: the file does not belong", "tile/1/000 does not belong"},
	{"the checkpoint of another log", func(m *memory, root string) { plant(CheckpointFile, string(knownRecord(m.t).notes[4]))(m, root) }, "not signed", "not signed by this key"},
	{"no checkpoint is left", edit(CheckpointsFile, func([]byte) []byte { return nil }), "checkpoints.txt: the last checkpoint here is not", "checkpoints.txt: the last checkpoint is not"},
	{"an older checkpoint is missing", notes(0, 2, 3, 4), "entry 12: checkpoints.txt: the checkpoint over 12 entries that the entry tells of is missing", "checkpoints.txt: the checkpoint that entry 12 tells of"},
	{"the newest checkpoint is missing", notes(0, 1, 2, 3), "checkpoints.txt: the last checkpoint here is not", "checkpoints.txt: the last checkpoint is not"},
	{"the checkpoints are out of order", notes(1, 0, 2, 3, 4), "checkpoint 2: it is over 6 entries, the one before over 12", "checkpoints.txt: the checkpoints are out of order"},
	{"an older checkpoint has another root", edit(CheckpointsFile, func(text []byte) []byte { text[len(origin)+5] ^= 1; return text }), "checkpoint 1: ", "checkpoints.txt: wrong signature"},
	{"a line between the checkpoints", swap(CheckpointsFile, "\n\n"+origin, "\n\n\n"+origin), "checkpoints.txt", "checkpoints.txt: there is more than checkpoints"},
	{"the readme is changed", edit(ReadmeFile, func(text []byte) []byte { return append(text, "Call +49 1234 for help.\n"...) }), "README.txt: the file was changed", noTexts},
	{"the readme is of an edition that never was", swap(ReadmeFile, theEdition, "Edition 0."), "README.txt: the file was changed", noTexts},
	{"the readme is of a later edition", swap(ReadmeFile, theEdition, "Edition 99."), "README.txt: it says that it is of edition 99", noTexts},
	{"the readme is missing", lose(ReadmeFile), "README.txt: the file is missing", "README.txt: No such file"},
	{"the report is missing", lose(ReportFile), "report.html: the file is missing", "report.html: No such file"},
	{"the report is changed", swap(ReportFile, "<h1>", "<h1>Alles gut: "), "report.html: the report does not follow", noViews},
	{"the report has no version", plant(ReportFile, "<h1>Alles gut</h1>"), "report.html: it names no version", noViews},
	{"the report is of an earlier version", swap(ReportFile, "hallmark report ", "hallmark report 0"), "report.html: it says that another version of the program made it", noViews},
	{"the report is of a later version", swap(ReportFile, "hallmark report ", "hallmark report 9"), "report.html: it says that another version of the program made it", noViews},
	{"the report has another language", swap(ReportFile, `<html lang="de">`, `<html lang="xx">`), "report.html: it says that another version of the program made it", noViews},
	{"only the report is signed", plant(ReportFile+SignatureSuffix, "x"), "SHA256SUMS.p7s: the file is missing", "SHA256SUMS.p7s: No such file"},
	{"an authority is there twice", edit(AuthoritiesFile, func(text []byte) []byte { return append(text, text...) }), "authorities.pem: the certificate of \"CN=Issuing\" is there twice", "NOT CHECKED: authorities.pem"},
	{"a file too many", plant("notes.txt", "All is well."), "notes.txt: the file does not belong", "notes.txt does not belong"},
	{"a module of Python beside the script", plant("hashlib.py", "print('OK: forged')\nimport os\nos._exit(0)\n"), "hashlib.py: the file does not belong", "hashlib.py does not belong"},
	{"a package of Python beside the script", plant("email/__init__.py", "print('OK: forged')\nimport os\nos._exit(0)\n"), "email/__init__.py: the file does not belong", "email/__init__.py does not belong"},
	{"an entry of a part in a whole bundle", plant("entries/3.json", "{}"), "entries/3.json: the file does not belong", "entries/3.json does not belong"},
}

// partForgeries are of the birth record of a board.
var partForgeries = []forgery{
	{"nothing", func(*memory, string) {}, "", ""},
	{"another entry", swap("entries/*", "ann", "bob"), "the proof does not hold", "the proof does not hold"},
	{"two entries are exchanged", exchange("entries/*"), "the proof does not hold", "the proof does not hold"},
	{"two proofs are exchanged", exchange("proofs/*"), "the proof does not hold", "is not of this entry"},
	{"an entry without its proof", lose("proofs/*"), "the file is missing", "the proofs are not those of the entries"},
	{"a proof without its entry", lose("entries/*"), "", "the proofs are not those of the entries"},
	{"the proof of another checkpoint", func(m *memory, root string) { plant(CheckpointFile, string(m.notes[0]))(m, root) }, "another checkpoint", "is not of this entry and this checkpoint"},
	{"text instead of a proof", edit("proofs/*", func([]byte) []byte { return []byte("proof") }), "the proof does not hold", "is not of this entry"},
	{"another number of boards", swap(QuestionFile, `"boards": 1`, `"boards": 2`), "the answer has 5 entries about 2 boards, and here are 5 about 1", "question.json: the answer has 5 entries about 2 boards, and here are 5 about 1"},
	{"another number of entries", swap(QuestionFile, `"entries": 5`, `"entries": 6`), "the answer has 6 entries about 1 board, and here are 5 about 1", "question.json: the answer has 6 entries about 1 board, and here are 5 about 1"},
	{"text instead of the question", plant(QuestionFile, "all"), "the file is no question", "question.json is no question"},
	{"no question", lose(QuestionFile), "the file is missing", "question.json: No such file"},
	{"an entry under a name that no station writes", func(m *memory, root string) {
		plant("entries/019.json", `{"forged":true}`)(m, root)
		plant("proofs/019.tlog-proof", "c2sp.org/tlog-proof@v1\n")(m, root)
	}, "", "entries/019.json does not belong"},
	{"a changed certificate", edit("certificates/*", func(der []byte) []byte { der[len(der)/2] ^= 1; return der }), "the certificate was changed", "was changed"},
	{"no certificate", lose("certificates/*"), "is missing", "the certificates are not those"},
	{"a list of boards that names another", swap(BoardsCSV, "00000003", "00000004"), "the view does not follow from the entries", noViews},
	{"the key of another log", func(m *memory, root string) { plant(KeyFile, newMemory(m.t).vkey+"\n")(m, root) }, "another key", "log.vkey: another key"},
	{"a report", plant(ReportFile, "<h1>Alles gut</h1>"), "report.html: the file does not belong", "report.html does not belong"},
	{"the checkpoints of a whole bundle", plant(CheckpointsFile, ""), "checkpoints.txt: the file does not belong", "checkpoints.txt does not belong"},
	{"a file too many", plant("notes.txt", "All is well."), "notes.txt: the file does not belong", "notes.txt does not belong"},
	{"a module of Python beside the script", plant("hashlib.py", "print('OK: forged')\nimport os\nos._exit(0)\n"), "hashlib.py: the file does not belong", "hashlib.py does not belong"},
}

// What a forger changes in a bundle is found by auditcheck. The script of the bundle finds it, or says that it did not look there.
func TestBothVerifiersFindEachForgery(t *testing.T) {
	whole, part := knownRecord(t), knownRecord(t)
	for _, kind := range []struct {
		name      string
		m         *memory
		write     func(string) string
		forgeries []forgery
	}{{"whole", whole, whole.writeReported, wholeForgeries}, {"part", part, part.writePart, partForgeries}} {
		for _, test := range kind.forgeries {
			t.Run(kind.name+": "+test.name, func(t *testing.T) {
				m := *kind.m
				m.t = t
				root := kind.write("bundle")
				test.change(&m, root)
				m.resum(root)
				m.compareVerdicts(root, test)
			})
		}
	}
}

// compareVerdicts runs both verifiers over a forged bundle.
func (m *memory) compareVerdicts(root string, test forgery) {
	m.t.Helper()
	good := test.name == "nothing"
	v := m.check(root, Options{Key: m.vkey, Report: again})
	switch {
	case v.Good() != good:
		m.t.Fatalf("auditcheck finds %v", v.Findings)
	case test.checks != "" && !strings.Contains(v.Findings[0].String(), test.checks):
		m.t.Errorf("auditcheck finds %v, want %q", v.Findings, test.checks)
	}
	key := filepath.Join(m.t.TempDir(), "key")
	m.must(os.WriteFile(key, []byte(m.vkey+"\n"), 0o600))
	out, err := exec.Command("python3", filepath.Join(root, ScriptFile), "--key", key).CombinedOutput()
	wanted, holds := test.script, good || strings.HasPrefix(test.script, "NOT CHECKED")
	switch {
	case holds && (err != nil || !strings.HasPrefix(string(out), "OK: ")):
		m.t.Errorf("the script ends with %v and says %s", err, out)
	case !holds && (err == nil || !strings.HasPrefix(string(out), "FAIL: ")):
		m.t.Errorf("the script ends with %v and says %s", err, out)
	case !strings.Contains(string(out), wanted):
		m.t.Errorf("the script says %s, want %q", out, wanted)
	}
}

// A report of another version is taken only from a bundle that the audit key has signed.
func TestAReportOfAnotherVersionCountsOnlyIfItIsSigned(t *testing.T) {
	m, _ := record(t, 4)
	certificate := m.certify(m.ca, m.caKey)
	root := m.signedWith("bundle", certificate, otherReport{})
	v := m.check(root, Options{Key: m.vkey, Report: again})
	skipped := func() bool {
		text, err := json.Marshal(v.NotChecked)
		m.must(err)
		return bytes.Contains(text, []byte(ReportFile))
	}
	if !v.Good() || v.Report != ReportOther || !skipped() {
		t.Errorf("signed: %+v", v)
	}
	for _, name := range signedFiles {
		m.must(os.Remove(filepath.Join(root, name+SignatureSuffix)))
	}
	m.resum(root)
	v = m.check(root, Options{Key: m.vkey, Report: again})
	if len(v.Findings) != 1 || !strings.Contains(fmt.Sprint(v.Findings), "another version") || v.Report != ReportOther {
		t.Errorf("not signed: %+v", v)
	}
}
