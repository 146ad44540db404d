package main

import (
	"bytes"
	"crypto/x509"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// cuts is how many batches the next test kills, and how many times it cuts the power: `make cuts` does 50 of each.
var cuts = flag.Int("cuts", 2, "batches that are killed, and batches whose disk loses its power")

// A batch is killed, or its disk loses its power, at any moment. Each board that was told as Pass has its certificate in the registry at
// once, and after the next start its whole file in certificates/. Every output tells the same of each Run.
func TestWhatWasToldSurvivesKillsAndPowerCuts(t *testing.T) {
	for name, disk := range map[string]func(*testing.T) *fixtures.Disk{
		"kills":      func(*testing.T) *fixtures.Disk { return nil },
		"power cuts": func(t *testing.T) *fixtures.Disk { return fixtures.NewDisk(t, 1024) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSurvival(t, disk(t))
			for n := range *cuts {
				s.interrupted(n)
			}
			s.whole()
			t.Logf("%d %s: %d batches began a Run, %d JSON lines were told, %d of them Pass; certificates/ lacked %d files or octets before the next start, and none after",
				*cuts, name, s.begun, s.tells, len(s.passed), s.damaged)
		})
	}
}

// A survival is a station whose boards are new in each batch. Reports and boards lie on a disk that keeps its power.
type survival struct {
	*agreement
	disk                  *fixtures.Disk // nil: batches are killed, and no power is cut
	passed                map[string]told
	begun, tells, damaged int
}

func newSurvival(t *testing.T, disk *fixtures.Disk) *survival {
	needSoftHSM(t)
	outside := t.TempDir()
	s := &survival{&agreement{t, filepath.Join(outside, "D"), stationProgram(t), firmwareFolder(t), outside}, disk, map[string]told{}, 0, 0, 0}
	if disk != nil {
		s.dir = filepath.Join(disk.Path(), "D")
	}
	if code, _, errs := do(t, "init", "--dir", s.dir); code != exitPass {
		t.Fatal(errs)
	}
	boards := s.path("boards")
	if err := os.Mkdir(boards, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(boards, filepath.Join(s.dir, "bays")); err != nil {
		t.Fatal(err)
	}
	if disk != nil { // the station directory itself is older than the cut
		syscall.Sync()
	}
	return s
}

// interrupted begins a batch and interrupts it: at the start, during the Runs, or at the end.
func (s *survival) interrupted(n int) {
	s.t.Helper()
	s.newBoards()
	cmd := s.command("--junit", s.path("runs.xml"))
	var table bytes.Buffer
	cmd.Stdout, cmd.Stderr = &table, &table
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// The moment is that of a JSON line, and then some milliseconds later; without a line it is a moment of the start.
	for end := time.Now().Add(time.Minute); n%4 > 0 && s.told() < n%25; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("no %d JSON lines within a minute\n%s", n%25, &table)
		}
	}
	time.Sleep(time.Duration(n*37%(8+400*max(0, 1-n%4))) * time.Millisecond)
	left := false
	if s.disk != nil {
		s.disk.Cut()
		left = n%2 == 1 // the program lives on, and tells nothing that it could not write
	}
	if !left {
		_ = cmd.Process.Kill() // fails if the process has already ended
	}
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		_ = cmd.Process.Signal(syscall.SIGQUIT)
		<-ended
		s.t.Fatalf("the batch does not end without its disk\n%s", &table)
	}
	if s.disk != nil {
		s.disk.PowerOn()
	}
	lines := s.collect()
	if left && len(lines) > 0 {
		s.alike(lines, table.String())
	}
	// A Run that ended because nothing could be written any more is told as such, and is not on record.
	maps.DeleteFunc(lines, func(_ string, line told) bool { return line.reason == station.ErrRegistry.Word() })
	s.agrees(lines)
	s.holds(fmt.Sprintf("after interruption %d", n+1))
}

// newBoards takes the boards of the batch before out of the bays.
func (s *survival) newBoards() {
	s.t.Helper()
	for _, path := range []string{s.path("boards"), s.path("runs.jsonl"), s.path("runs.xml")} {
		if err := os.RemoveAll(path); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.Mkdir(s.path("boards"), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

// told gives the number of JSON lines so far.
func (s *survival) told() int {
	text, _ := os.ReadFile(s.path("runs.jsonl")) // it appears when the batch begins
	return bytes.Count(text, []byte("\n"))
}

// collect gives the JSON lines by Run, and keeps those of boards that passed.
func (s *survival) collect() map[string]told {
	s.t.Helper()
	if _, err := os.Stat(s.path("runs.jsonl")); err != nil {
		return nil
	}
	lines := s.agreement.lines()
	for id, line := range lines {
		if line.ending == string(station.Pass) {
			s.passed[id] = line
		}
	}
	s.tells += len(lines)
	if len(lines) > 0 {
		s.begun++
	}
	return lines
}

// holds checks each board that was ever told as Pass: first as the interruption left the station, and then after a start.
func (s *survival) holds(when string) {
	s.t.Helper()
	missing := s.active(when)
	if code, out, errs := do(s.t, "enrol", "--dir", s.dir, "--firmware", s.firmware, "posix"); code != exitPass {
		s.t.Fatalf("%s: exit code %d\n%s%s", when, code, out, errs)
	}
	s.damaged += missing
	if missing := s.active(when); missing > 0 {
		s.t.Errorf("%s and a start: %d certificate files are missing or damaged", when, missing)
	}
}

// active checks that the registry has the certificate of each board that was told as Pass, and counts those without a whole file.
func (s *survival) active(when string) (missing int) {
	s.t.Helper()
	reader := fixtures.Must(registry.OpenReader(s.t.Context(), filepath.Join(s.dir, "registry.db")))(s.t)
	defer reader.Close()
	held := map[string]string{} // serial numbers by board
	err := reader.EachActive(s.t.Context(), registry.ActiveFilter{}, func(c registry.ActiveCertificate) error {
		certificate, err := x509.ParseCertificate(c.DER)
		if err != nil {
			return err
		}
		held[c.BoardID.String()] = fmt.Sprintf("%032x", certificate.SerialNumber)
		path := filepath.Join(s.dir, "certificates", c.BoardID.String()+".pem")
		if content, err := os.ReadFile(path); err != nil || !bytes.Equal(content, workdir.CertificatePEM(c.DER)) {
			missing++
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for id, line := range s.passed {
		if held[line.board] != line.serial {
			s.t.Errorf("%s: Run %s was told as Pass of board %s with certificate %s, and the registry has %q", when, id, line.board, line.serial, held[line.board])
		}
	}
	return missing
}

// alike compares table, JUnit and JSON lines of one batch.
func (s *survival) alike(lines map[string]told, table string) {
	s.t.Helper()
	wants := multiset(slices.Collect(maps.Values(lines)))
	if got := multiset(fromTable(table)); !maps.Equal(got, wants) {
		s.t.Errorf("the table has %v, the JSON lines have %v", got, wants)
	}
	if got := multiset(s.fromJUnit()); !maps.Equal(got, wants) {
		s.t.Errorf("JUnit has %v, the JSON lines have %v", got, wants)
	}
}

// whole does a batch that nothing interrupts.
func (s *survival) whole() {
	s.t.Helper()
	s.newBoards()
	code, table := s.batch("--junit", s.path("runs.xml"))
	if code != exitPass {
		s.t.Errorf("exit code %d\n%s", code, table)
	}
	lines := s.collect()
	s.agrees(lines)
	s.alike(lines, table)
	s.holds("after the whole batch")
}
