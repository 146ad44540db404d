package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A memorySource is a registry with these active certificates, the oldest first.
type memorySource []registry.ActiveCertificate

func (m memorySource) EachActive(_ context.Context, only registry.ActiveFilter, visit func(registry.ActiveCertificate) error) error {
	for i, c := range m {
		if !only.BoardID.IsZero() && c.BoardID != only.BoardID {
			continue
		}
		c.Age = int64(len(m) - 1 - i)
		if err := visit(c); err != nil {
			return err
		}
	}
	return nil
}

func some(n int) (source memorySource) {
	for i := range n {
		source = append(source, registry.ActiveCertificate{BoardID: devices.BoardID{byte(i), byte(i >> 8), 1}, Purpose: devices.PurposeTLS, DER: []byte{byte(i), byte(i >> 8), 42}})
	}
	return source
}

func opened(t *testing.T, o Options) *Files {
	t.Helper()
	if o.Dir == "" {
		o.Dir = workdir.Dir(t.TempDir())
	}
	o.Issuing, o.Station = []byte("issuing"), "s"
	files, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCertificatesAreRebuiltFromTheRegistry(t *testing.T) {
	source := append(some(3*groupSize/2), registry.ActiveCertificate{BoardID: devices.BoardID{0, 0, 1}, Purpose: devices.PurposeCOSE, DER: []byte("cose")})
	dir := workdir.Dir(t.TempDir())
	c := Certificates{dir.Certificates(), []byte("issuing")}
	if made, err := c.Export(t.Context(), source, registry.ActiveFilter{}); err != nil || made != (Written{All: len(source), Now: len(source)}) {
		t.Fatal(made, err)
	}
	path := func(i int, end string) string { return filepath.Join(c.Folder, source[i].BoardID.String()+end) }
	for name, damage := range map[string]func() error{
		"a file of 0 octets, as a power cut leaves it": func() error { return os.Truncate(path(0, ".pem"), 0) },
		"a file that is missing, as a kill leaves it":  func() error { return os.Remove(path(5, ".pem")) },
		"a chain that is missing":                      func() error { return os.Remove(path(6, ".chain.pem")) },
		"a file that was cut":                          func() error { return os.Truncate(path(7, ".pem"), 20) },
		"the file of another board":                    func() error { return copyFile(path(9, ".pem"), path(8, ".pem")) },
		"a file that was begun, beside one that is missing": func() error {
			return errors.Join(os.Remove(path(3, ".pem")), os.WriteFile(filepath.Join(c.Folder, ".new-123"), nil, 0o600))
		},
		"the file of a COSE key": func() error { return os.Remove(path(0, ".cose.pem")) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			files := opened(t, Options{Dir: dir})
			files.Rebuild(t.Context(), source)
			if err := files.Close(); err != nil || files.mended != 1 {
				t.Errorf("%d mended, %v", files.mended, err)
			}
			wholeFiles(t, c, source)
		})
	}
	if err := os.RemoveAll(c.Folder); err != nil {
		t.Fatal(err)
	}
	files := opened(t, Options{Dir: dir})
	files.Rebuild(t.Context(), source)
	if err := files.Close(); err != nil || files.mended != len(source) {
		t.Errorf("the whole folder: %d mended, %v", files.mended, err)
	}
	wholeFiles(t, c, source)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// wholeFiles checks that the folder holds exactly the files of these certificates.
func wholeFiles(t *testing.T, c Certificates, source memorySource) {
	t.Helper()
	for _, one := range source {
		for _, file := range c.files(certificateKey{one.BoardID, one.Purpose}, one.DER) {
			if held, err := os.ReadFile(file.Path); err != nil || string(held) != string(file.Content) {
				t.Errorf("%s: %q, %v", file.Path, held, err)
			}
		}
	}
	if entries, err := os.ReadDir(c.Folder); err != nil || len(entries) != 2*len(source) {
		t.Errorf("%d files, want %d: %v", len(entries), 2*len(source), err)
	}
}

// Of many certificates only the newest are read. The others are compared by size.
func TestOldCertificatesAreComparedBySize(t *testing.T) {
	source := some(6)
	c := Certificates{t.TempDir(), []byte("issuing")}
	if _, err := c.Export(t.Context(), source, registry.ActiveFilter{}); err != nil {
		t.Fatal(err)
	}
	path := func(i int) string { return filepath.Join(c.Folder, source[i].BoardID.String()+".pem") }
	if err := errors.Join(copyFile(path(1), path(0)), os.Remove(path(2)), os.Truncate(path(3), 0), copyFile(path(1), path(4))); err != nil {
		t.Fatal(err)
	}
	e := export{Certificates: c, newest: 2}
	if err := errors.Join(source.EachActive(t.Context(), registry.ActiveFilter{}, e.add), e.flush()); err != nil || e.Written != (Written{6, 3, 2}) {
		t.Errorf("%+v, %v; want 2, 3 and 4, of which 2 is missing", e.Written, err)
	}
	if made, err := c.Export(t.Context(), source, registry.ActiveFilter{}); err != nil || made != (Written{6, 1, 1}) {
		t.Errorf("an export writes %+v, %v; want 0", made, err)
	}
	wholeFiles(t, c, source)
}

func TestOneBoardIsExported(t *testing.T) {
	source := some(4)
	c := Certificates{filepath.Join(t.TempDir(), "new", "folder"), nil}
	one := registry.ActiveFilter{BoardID: source[2].BoardID}
	if made, err := c.Export(t.Context(), source, one); err != nil || made != (Written{All: 1, Now: 1}) {
		t.Fatal(made, err)
	}
	wholeFiles(t, c, source[2:3])
	if made, err := c.Export(t.Context(), source, one); err != nil || made != (Written{All: 1}) {
		t.Errorf("again: %+v, %v", made, err)
	}
}

// pausing is a source that calls before between reading the certificates and visiting them.
type pausing struct {
	memorySource
	before func()
}

func (p pausing) EachActive(ctx context.Context, only registry.ActiveFilter, visit func(registry.ActiveCertificate) error) error {
	p.before()
	return p.memorySource.EachActive(ctx, only, visit)
}

func TestARebuildDoesNotReplaceTheCertificateOfARunByAnOlderOne(t *testing.T) {
	run := aRun(station.Pass, "")
	run.Certificate.DER = []byte("newer")
	old := registry.ActiveCertificate{BoardID: run.Identity.ID, Purpose: run.Purpose, DER: []byte("older")}
	dir := workdir.Dir(t.TempDir())
	files := opened(t, Options{Dir: dir})
	files.Rebuild(t.Context(), pausing{memorySource{old}, func() {
		files.Add([]*station.Run{run})
		files.writes.Wait()
	}})
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	old.DER = []byte("newer")
	wholeFiles(t, Certificates{dir.Certificates(), []byte("issuing")}, memorySource{old})
}

func TestARebuildThatCannotWriteSaysSo(t *testing.T) {
	dir := workdir.Dir(t.TempDir())
	if err := os.WriteFile(dir.Certificates(), nil, 0o600); err != nil { // a file in the place of the folder
		t.Fatal(err)
	}
	files := opened(t, Options{Dir: dir})
	files.Rebuild(t.Context(), some(1))
	if err := files.Close(); err == nil || !strings.HasPrefix(err.Error(), "rebuilding "+dir.Certificates()+": ") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	files = opened(t, Options{Dir: dir})
	files.Rebuild(ctx, pausing{memorySource: nil, before: func() {}})
	if err := files.Close(); err != nil {
		t.Errorf("a rebuild that the operator stopped: %v", err)
	}
}

// A JSON line promises the file of its certificate.
func TestTheCertificateIsWrittenBeforeTheJSONLine(t *testing.T) {
	dir := workdir.Dir(t.TempDir())
	run := aRun(station.Pass, "")
	read, write := io.Pipe()
	files := opened(t, Options{Dir: dir, JSONL: Standard, Stdout: write})
	files.Add([]*station.Run{run})
	if _, err := read.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir.Certificates(), run.Identity.ID.String()+".chain.pem")); err != nil {
		t.Error(err)
	}
	go io.Copy(io.Discard, read)
	if err := files.Close(); err != nil {
		t.Error(err)
	}
}

// keepsWholeLines fills a small disk with JSON lines, and adds a line when there is space again:
// each line of the file is JSON.
func keepsWholeLines(t *testing.T) {
	disk := prerequisite.SmallDisk(t, "64k")
	path, junit := filepath.Join(disk, "runs.jsonl"), filepath.Join(disk, "runs.xml")
	files := opened(t, Options{JSONL: path, JUnit: junit})
	var runs []*station.Run
	for range 1000 {
		runs = append(runs, aRun(station.Fault, "line"))
	}
	files.Add(runs)
	suite := Suite{Name: "s", Profiles: []*issuance.Profile{fixtures.Profile(t)}, Bays: []string{"qemu-1"}, Count: len(runs)}
	if err := files.Finish(suite, runs); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), " of 1000 lines are missing") {
		t.Errorf("a full disk: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) < 32<<10 {
		t.Fatalf("%d octets, %v", len(text), err)
	}
	for line := range bytes.Lines(append(text, "{}\n"...)) {
		if !json.Valid(line) {
			t.Errorf("no JSON: %q", line)
		}
	}
	if text, err := os.ReadFile(junit); err != nil || len(text) > 0 {
		t.Errorf("half a JUnit report: %d octets, %v", len(text), err)
	}
}

func TestJSONLinesThatAreLostAreNamed(t *testing.T) {
	directory, pipe := t.TempDir(), filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"a directory", directory, "--jsonl: open " + directory + ": is a directory"},
		{"a pipe that nobody reads", pipe, "--jsonl: " + pipe + ": nobody has opened this pipe for reading; start its reader first"},
		{"a directory that is missing", directory + "/no/x", "--jsonl: " + directory + "/no/x: the directory " + directory + "/no does not exist; make it, or name another path"},
	} {
		t.Run(test.name+" is refused before the first Run", func(t *testing.T) {
			_, err := Open(Options{Dir: workdir.Dir(t.TempDir()), JSONL: test.path})
			if err == nil || err.Error() != test.want || reason.ExitOf(err) != reason.ExitUsage {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	runs := []*station.Run{aRun(station.Reject, "sealed"), aRun(station.Fault, "line")}
	t.Run("a full device", func(t *testing.T) {
		var said bytes.Buffer
		files := opened(t, Options{JSONL: "/dev/full", Log: slog.New(slog.NewTextHandler(&said, nil))})
		if err := files.Trouble(); err != nil {
			t.Error(err)
		}
		files.Add(runs)
		for end := time.Now().Add(time.Minute); files.Trouble() == nil && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if err := files.Trouble(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("while the shift goes on, the trouble is %v", err)
		}
		files.Add(runs[1:])
		files.writes.Wait()
		if n := strings.Count(said.String(), "JSON lines are lost"); n != 1 {
			t.Errorf("the log says it %d times: %s", n, said.String())
		}
		if err := files.Close(); !errors.Is(err, syscall.ENOSPC) || err.Error() != "--jsonl: writing to /dev/full: no space left on device; 3 of 3 lines are missing" {
			t.Error(err)
		}
	})
	t.Run("a disk that fills in the middle of a line", func(t *testing.T) { keepsWholeLines(t) })
	t.Run("a pipe whose reader has gone", func(t *testing.T) {
		reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		files := opened(t, Options{JSONL: pipe})
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
		files.Add(runs)
		if err := files.Close(); !Closed(err) || err.Error() != "--jsonl: writing to "+pipe+": broken pipe; 2 of 2 lines are missing" {
			t.Error(err)
		}
	})
	t.Run("standard output that is full", func(t *testing.T) {
		files := opened(t, Options{JSONL: Standard, Stdout: &brokenWriter{0, syscall.ENOSPC}})
		files.Add(runs)
		if err := files.Close(); err == nil || err.Error() != "--jsonl: writing to standard output: no space left on device; 2 of 2 lines are missing" {
			t.Error(err)
		}
	})
	t.Run("a JUnit report on a full device", func(t *testing.T) {
		files := opened(t, Options{JUnit: "/dev/full"})
		if err := files.Finish(Suite{}, nil); !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "--junit: writing to /dev/full: ") {
			t.Error(err)
		}
	})
	t.Run("JUnit on standard output", func(t *testing.T) {
		if _, err := Open(Options{Dir: workdir.Dir(t.TempDir()), JUnit: Standard}); !errors.Is(err, errStandard) || reason.ExitOf(err) != reason.ExitUsage {
			t.Error(err)
		}
	})
}

func TestABatchThatBeganNothingReplacesTheReportsUnlessItsCallWasAMistake(t *testing.T) {
	for name, test := range map[string]struct {
		why  error
		kept bool
	}{
		"code 1, the registry does not open":    {errors.New("opening the registry: no"), false},
		"code 2, a Reject before the first Run": {station.ErrHeld, false},
		"code 3, a mistake in the call":         {reason.Usage(errors.New("--order: not open")), true},
		"code 4, a signal":                      {context.Canceled, false},
		"code 5, a wrong PIN":                   {hsm.ErrPINWrong, false},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			o := Options{Dir: workdir.Dir(t.TempDir()), Station: "s", JSONL: filepath.Join(folder, "runs.jsonl"), JUnit: filepath.Join(folder, "runs.xml")}
			for _, path := range []string{o.JSONL, o.JUnit} {
				if err := os.WriteFile(path, []byte("earlier\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := NoneBegun(o, Suite{Name: "s", Profiles: []*issuance.Profile{fixtures.Profile(t)}, Bays: []string{"posix-1", "posix-2"}, Count: 3, Short: test.why}); err != nil {
				t.Fatal(err)
			}
			lines, junit := held(t, o.JSONL), held(t, o.JUnit)
			if test.kept {
				if lines != "earlier\n" || junit != "earlier\n" {
					t.Errorf("lines %q, JUnit %q", lines, junit)
				}
				return
			}
			if lines != "" || strings.Contains(junit, "earlier") || !strings.Contains(junit, `tests="4" failures="0" errors="1" skipped="3"`) || !strings.Contains(junit, `name="posix-1/2"`) || !strings.Contains(junit, reason.OneLine(test.why)) {
				t.Errorf("lines %q, JUnit %s", lines, junit)
			}
		})
	}
}

func TestAReportThatAnotherBatchWritesIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	first := opened(t, Options{JSONL: path})
	first.Add([]*station.Run{aRun(station.Reject, "sealed")})
	err := NoneBegun(Options{Dir: workdir.Dir(t.TempDir()), JSONL: path}, Suite{Short: errors.New("another station has this registry open")})
	if !errors.Is(err, errWritten) {
		t.Errorf("got %v", err)
	}
	if err := first.Close(); err != nil || !strings.Contains(held(t, path), "sealed") {
		t.Errorf("%v, lines %q", err, held(t, path))
	}
}

func held(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheLinesOfAShiftFollowThoseOfItsEarlierScreens(t *testing.T) {
	line := `{"run":"1","ending":"pass"}` + "\n"
	for _, test := range []struct {
		name, before, after string
		want                error
	}{
		{"a new file", "", "NEW", nil},
		{"whole lines stay", line + line, line + line + "NEW", nil},
		{"half a line, as a power cut leaves it, is cut off", line + line[:12], line + "NEW", nil},
		{"the first octets of a line are cut off", line + line[:3], line + "NEW", nil},
		{"half a line alone", line[:20], "NEW", nil},
		{"lines of another format are refused and stay", "my\nnotes\n", "my\nnotes\n", errNoLines},
		{"another text is refused and stays", "my notes", "my notes", errNoLines},
		{"a long line that has no end is no line of ours", strings.Repeat("x", unfinished+9), strings.Repeat("x", unfinished+9), errNoLines},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "runs.jsonl")
			if err := os.WriteFile(path, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
			files, err := Open(Options{Dir: workdir.Dir(t.TempDir()), Station: "s", JSONL: path, Follow: true})
			if !errors.Is(err, test.want) {
				t.Fatal(err)
			}
			if err == nil {
				files.Add([]*station.Run{{Ending: station.Fault}})
				if err := files.Close(); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			rest, found := strings.CutPrefix(string(text), strings.TrimSuffix(test.after, "NEW"))
			if wantsNew := strings.HasSuffix(test.after, "NEW"); !found || (rest != "") != wantsNew || wantsNew && (!strings.HasPrefix(rest, lineBegin) || strings.Count(rest, "\n") != 1) {
				t.Errorf("the file has %.200q", text)
			}
		})
	}
}

// A disk that is full in the middle of a line costs that line, and none of an earlier screen.
func TestHalfALineIsCutBehindEarlierLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.jsonl")
	line := `{"run":"1"}` + "\n"
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openSink(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.follow(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.file.Write([]byte(line + line[:4])); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.file.cut(), s.file.Close()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != line+line {
		t.Errorf("%q, %v", text, err)
	}
}
