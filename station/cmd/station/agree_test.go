package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station/registry"
	"hallmark/station/report"
)

// A told is how a Run ended, as one of the outputs tells.
type told struct{ bay, board, purpose, ending, reason, outcome, serial string }

// Table, JSON lines, JUnit, registry and audit log tell the same of each Run, also after batches that
// were killed. A killed batch leaves JSON lines of a part of its Runs, and each of these lines is true.
func TestEveryOutputTellsTheSameOfEachRun(t *testing.T) {
	a := newAgreement(t)
	for n := range 5 {
		a.killed(3 * n) // two bays stop, so the batch has 14 lines
		a.agrees(a.lines())
	}
	a.acknowledges()
	before := a.recorded()
	code, table := a.batch("--junit", a.path("runs.xml"))
	if code != exitReject {
		t.Errorf("exit code %d\n%s", code, table)
	}
	lines := a.lines()
	a.agrees(lines)
	wants := multiset(slices.Collect(maps.Values(lines)))
	if got := multiset(fromTable(table)); !maps.Equal(got, wants) {
		t.Errorf("the table has %v, the JSON lines have %v", got, wants)
	}
	if got := multiset(a.fromJUnit()); !maps.Equal(got, wants) {
		t.Errorf("JUnit has %v, the JSON lines have %v", got, wants)
	}
	for id, run := range a.recorded() {
		if _, told := lines[id]; !told && before[id].ID == "" && run.Reason != "interrupted" {
			t.Errorf("Run %s is on record and in no JSON line: %+v", id, run)
		}
	}
	endings := map[string]int{}
	for _, run := range lines {
		endings[run.ending+" "+run.reason]++
	}
	if endings["pass "] < 10 || endings["reject clone"] != 1 || endings["reject dummy-identity"] != 1 {
		t.Errorf("the batch had %v", endings)
	}
}

// An agreement is a station whose bay posix-2 holds a clone, and posix-3 a board with a known identity.
type agreement struct {
	t                      *testing.T
	dir, program, firmware string
	outside                string // directory of the reports
}

func newAgreement(t *testing.T) *agreement {
	needSoftHSM(t)
	outside := t.TempDir()
	a := &agreement{t, filepath.Join(outside, "D"), stationProgram(t), firmwareFolder(t), outside}
	if code, _, errs := do(t, "init", "--dir", a.dir); code != exitPass {
		t.Fatal(errs)
	}
	if code, _, errs := do(t, "enrol", "--dir", a.dir, "--firmware", a.firmware, "posix"); code != exitPass {
		t.Fatal(errs)
	}
	known := fixtures.Must(os.ReadFile(filepath.Join(a.dir, "bays", "posix-1", "1", "fuses.bin")))(t)
	dummy := bytes.Repeat([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, 3) // the dummy HUK of TF-M
	for bay, fuses := range map[string][]byte{"posix-2": append(slices.Clone(known[:32]), "0123456789abcdef"...), "posix-3": dummy} {
		folder := filepath.Join(a.dir, "bays", bay, "1")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "fuses.bin"), fuses, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (a *agreement) path(name string) string { return filepath.Join(a.outside, name) }

func (a *agreement) command(args ...string) *exec.Cmd {
	return exec.Command(a.program, append([]string{"batch", "--dir", a.dir, "--firmware", a.firmware, "--boards", "posix:4",
		"--count", "24", "--progress", "none", "--jsonl", a.path("runs.jsonl")}, args...)...)
}

// killed kills a batch with SIGKILL when so many JSON lines are written.
func (a *agreement) killed(lines int) {
	a.t.Helper()
	a.acknowledges()
	cmd := a.command()
	if err := os.RemoveAll(a.path("runs.jsonl")); err != nil {
		a.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(a.path("runs.jsonl"))
		if err == nil && bytes.Count(text, []byte("\n")) >= lines {
			break
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("no %d lines within a minute", lines)
		}
	}
	_ = cmd.Process.Signal(syscall.SIGKILL) // fails if the process has already ended
	_ = cmd.Wait()
}

// batch does a whole batch, and returns its exit code and its table.
func (a *agreement) batch(args ...string) (code int, table string) {
	a.t.Helper()
	cmd := a.command(args...)
	out, _ := cmd.Output() // the exit code tells
	return cmd.ProcessState.ExitCode(), string(out)
}

// acknowledges lets the bays go on that the clone and the known identity stopped.
func (a *agreement) acknowledges() {
	a.t.Helper()
	reader := fixtures.Must(registry.OpenReader(a.t.Context(), filepath.Join(a.dir, "registry.db")))(a.t)
	stopped := fixtures.Must(reader.StoppedBays(a.t.Context()))(a.t)
	if err := reader.Close(); err != nil {
		a.t.Fatal(err)
	}
	for _, bay := range stopped {
		if code, _, errs := do(a.t, "bays", "acknowledge", bay.Name, "--operator", "ann", "--dir", a.dir); code != exitPass {
			a.t.Fatal(errs)
		}
	}
}

// lines are the JSON lines by Run. A line that a kill cut off does not count.
func (a *agreement) lines() map[string]told {
	a.t.Helper()
	all := map[string]told{}
	text := fixtures.Must(os.ReadFile(a.path("runs.jsonl")))(a.t)
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		var r report.Record
		if err := json.Unmarshal(line, &r); err != nil {
			a.t.Fatal(err)
		}
		all[r.Run] = told{r.Bay, r.BoardID, r.Purpose, r.Ending, r.Reason, r.Outcome, r.SerialNumber}
	}
	return all
}

func (a *agreement) recorded() map[string]registry.FoundRun {
	a.t.Helper()
	reader := fixtures.Must(registry.OpenReader(a.t.Context(), filepath.Join(a.dir, "registry.db")))(a.t)
	defer reader.Close()
	all := map[string]registry.FoundRun{}
	for _, run := range fixtures.Must(reader.SearchRuns(a.t.Context(), registry.Search{}))(a.t) {
		all[run.ID] = run
	}
	return all
}

// agrees compares JSON lines with the registry and with the audit log.
func (a *agreement) agrees(lines map[string]told) {
	a.t.Helper()
	if code, _, errs := do(a.t, "audit", "verify", "--dir", a.dir); code != exitPass {
		a.t.Fatal(errs)
	}
	reader := fixtures.Must(registry.OpenReader(a.t.Context(), filepath.Join(a.dir, "registry.db")))(a.t)
	defer reader.Close()
	rows := a.recorded()
	for id, line := range lines {
		row, known := rows[id]
		if got := (told{row.Bay, row.BoardID.String(), row.Purpose.String(), string(row.Ending), row.Reason, string(row.Outcome), line.serial}); !known || got != line {
			a.t.Errorf("the registry says %+v, the JSON line %+v", got, line)
		}
		ends := 0
		for _, e := range fixtures.Must(reader.EntriesOf(a.t.Context(), id))(a.t) {
			if e.Type == "run."+line.ending && e.Reason == line.reason && e.Run.Outcome == line.outcome && e.Board.ID == line.board {
				ends++
			}
		}
		if ends != 1 {
			a.t.Errorf("the audit log ends Run %s %d times as %+v", id, ends, line)
		}
	}
}

// fromTable reads the rows of the table. A column has no two spaces.
func fromTable(text string) (all []told) {
	for line := range strings.Lines(text) {
		columns := strings.FieldsFunc(strings.ReplaceAll(strings.TrimSpace(line), "  ", "\t"), func(r rune) bool { return r == '\t' })
		if len(columns) != 7 || columns[0] == "BAY" {
			continue
		}
		for i, column := range columns {
			if columns[i] = strings.TrimSpace(column); columns[i] == "-" {
				columns[i] = ""
			}
		}
		ending, outcome, _ := strings.Cut(columns[3], ", ")
		all = append(all, told{columns[0], columns[1], columns[2], ending, columns[4], outcome, columns[5]})
	}
	return all
}

func (a *agreement) fromJUnit() (all []told) {
	a.t.Helper()
	type message struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	}
	var suite struct {
		Cases []struct {
			Name       string `xml:"name,attr"`
			Properties []struct {
				Name  string `xml:"name,attr"`
				Value string `xml:"value,attr"`
			} `xml:"properties>property"`
			Failure *message  `xml:"failure"`
			Error   *message  `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(fixtures.Must(os.ReadFile(a.path("runs.xml")))(a.t), &suite); err != nil {
		a.t.Fatal(err)
	}
	for _, one := range suite.Cases {
		if one.Skipped != nil || one.Name == "batch" { // boards that were not begun, and why
			continue
		}
		run := told{purpose: "tls", ending: "pass"}
		run.bay, _, _ = strings.Cut(one.Name, "/")
		for _, property := range one.Properties {
			switch property.Name {
			case "board_id":
				run.board = property.Value
			case "serial_number":
				run.serial = property.Value
			case "outcome":
				run.outcome = property.Value
			}
		}
		for _, m := range []*message{one.Failure, one.Error} {
			if m != nil {
				run.reason = m.Type
				run.ending, _, _ = strings.Cut(m.Text, ":")
			}
		}
		all = append(all, run)
	}
	return all
}

func multiset(all []told) map[told]int {
	counts := map[told]int{}
	for _, one := range all {
		counts[one]++
	}
	return counts
}
