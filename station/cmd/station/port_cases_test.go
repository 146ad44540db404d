package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
)

// A portCase is what sits on a port, with how its Run ends: as Pass, or as a Fault with a reason and a text for the operator.
type portCase struct {
	name            string
	port            func(t *testing.T, link string) string // makes the port; link is the name by which the bay opens it
	reason          string                                 // empty: Pass
	heard           string                                 // in the message of the JSON line
	english, german string
}

func talks(talker fixtures.Talker) func(*testing.T, string) string {
	return func(t *testing.T, _ string) string { return fixtures.TalkerOnPort(t, talker) }
}

func disturbed(by fixtures.Disturbance) func(*testing.T, string) string {
	return func(t *testing.T, _ string) string { return fixtures.DisturbedBoard(t, posixImage(t), by) }
}

func posixImage(t *testing.T) string {
	return filepath.Join(firmwareFolder(t), "posix", "hallmark-posix")
}

func portCases() []portCase {
	const log = "[00:00:07.100] <inf> app: sample 4711\r\n"
	return []portCase{
		{"nothing", talks(fixtures.Silent), "no-answer", "asked 4 times; heard nothing", "board does not answer", "Platine antwortet nicht"},
		{"another baud rate", talks(fixtures.Garbage), "garbled", "00 f8 80 1e", "unreadable octets, baud rate? 00 f8 80 1e", "unlesbare Zeichen, Baudrate? 00 f8 80 1e"},
		{"a shell", talks(fixtures.Shell), "console-text", `a shell: "uart:~$"`, "text instead of answers: uart:~$", "Text statt Antworten: uart:~$"},
		{"a login", talks(fixtures.Login), "console-text", `a login: "board login:"`, "text instead of answers: board login:", "Text statt Antworten: board login:"},
		{"a boot loop", talks(fixtures.BootLoop), "console-text", "again and again", "text instead of answers: [00:00:00.002]", "Text statt Antworten: [00:00:00.002]"},
		{"a loop-back plug", talks(fixtures.LoopBack), "loop-back", "of the station", "loop-back: own octets come back", "Loopback: Eigenes kommt zurück"},
		{"MCUmgr without our group", talks(fixtures.MCUmgr), "other-smp-server", "rc 8", "no provisioning firmware", "keine Provisionierungs-Firmware"},
		{"MCUboot's recovery", talks(fixtures.MCUboot), "other-smp-server", "its other groups", "no provisioning firmware", "keine Provisionierungs-Firmware"},
		{"line ends that are translated", talks(fixtures.TranslatedLines), "damaged-frames", "CR LF", "frames arrive damaged: CR LF", "Rahmen kommen beschädigt an: CR LF"},
		{"logs in all frames", talks(fixtures.LogsInFrames), "damaged-frames", "sensor is late", "frames arrive damaged: [00:00:07.200]", "Rahmen kommen beschädigt an: [00:00:07.200]"},

		{"an answer takes 2 s", disturbed(fixtures.Disturbance{Takes: 2 * time.Second}), "", "", "", ""},
		{"an echo", disturbed(fixtures.Disturbance{Echo: true}), "", "", "", ""},
		{"logs between frames", disturbed(fixtures.Disturbance{Line: func(_ int, line string) string {
			if strings.HasPrefix(line, "\x06\x09") {
				return log + line
			}
			return line
		}}), "", "", "", ""},
		{"logs in some frames", disturbed(fixtures.Disturbance{Line: func(n int, line string) string {
			if n%11 == 10 { // a repeated answer is whole
				return line[:len(line)/2] + log + line[len(line)/2:]
			}
			return line
		}}), "", "", "", ""},
		{"a reset at each open", func(t *testing.T, _ string) string {
			return fixtures.RestartsOnOpen(t, posixImage(t), 1500*time.Millisecond).Port()
		}, "", "", "", ""},
		{"USB of its own", func(t *testing.T, link string) string {
			board := fixtures.RepluggableBoard(t, posixImage(t))
			board.OnRestart(sync.OnceFunc(func() {
				gone := os.Remove(link)
				board.Replug()
				time.Sleep(time.Second) // the board, not a wait of the test
				if err := os.Symlink(board.Port(), link); gone != nil || err != nil {
					t.Error(gone, err)
				}
			}))
			return board.Port()
		}, "", "", "", ""},
	}
}

// A plainLine is the program `station --plain` whose commands come through a pipe.
type plainLine struct {
	t          *testing.T
	cmd        *exec.Cmd
	types      io.WriteCloser
	said, errs bytes.Buffer // may be read when the program has ended
	report     string       // JSON lines
}

func startPlain(t *testing.T, dir, language string, ports []string) *plainLine {
	t.Helper()
	p := &plainLine{t: t, report: filepath.Join(t.TempDir(), "runs.jsonl")}
	p.cmd = exec.Command(racingProgram(t), "--plain", "--dir", dir, "--lang", language, "--operator", "OP-1", "--jsonl", p.report, "--boards", strings.Join(ports, ","))
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.errs
	p.types = fixtures.Must(p.cmd.StdinPipe())(t)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // it has ended before, unless the test failed
	})
	return p
}

// A reportedRun is what the test reads of a JSON line.
type reportedRun struct {
	Bay, Ending, Reason, Message string
	Steps                        []struct {
		Name string
		MS   float64
	}
}

// starts starts bays, counted from 1, and returns their Runs when all have ended.
func (p *plainLine) starts(bays ...int) map[string]reportedRun {
	p.t.Helper()
	before := len(p.runs())
	for _, bay := range bays {
		p.command(fmt.Sprintf("%02d", bay))
	}
	for end := time.Now().Add(3 * time.Minute); len(p.runs()) < before+len(bays); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.fail(fmt.Sprintf("%d of %d Runs have ended", len(p.runs())-before, len(bays)))
		}
	}
	byBay := map[string]reportedRun{}
	for _, run := range p.runs()[before:] {
		byBay[run.Bay] = run
	}
	return byBay
}

func (p *plainLine) command(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.types, line+"\n"); err != nil {
		p.fail(fmt.Sprintf("the program has ended: %v", err))
	}
}

func (p *plainLine) fail(why string) {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // returns the kill as an error
	p.t.Fatalf("%s\n%s%s", why, p.said.String(), p.errs.String())
}

// runs are the whole JSON lines so far.
func (p *plainLine) runs() (all []reportedRun) {
	p.t.Helper()
	text, err := os.ReadFile(p.report)
	if err != nil && !os.IsNotExist(err) {
		p.t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var run reportedRun
		if json.Unmarshal(line, &run) == nil { // the last line may be half written
			all = append(all, run)
		}
	}
	return all
}

// quits ends the program, and returns what it has said.
func (p *plainLine) quits() string {
	p.t.Helper()
	p.command("quit")
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%v\n%s%s", err, p.said.String(), p.errs.String())
	}
	return p.said.String()
}

// plug gives a bay another board, as an operator does.
func plug(t *testing.T, link, port string) {
	t.Helper()
	next := link + ".next"
	if err := os.Symlink(port, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, link); err != nil {
		t.Fatal(err)
	}
}

// `station enrol` says within 8 s what keeps a port from its board: the terminal program that somebody left open, whoever runs it,
// silence, or another baud rate.
func TestEnrolNamesWhatIsOnThePort(t *testing.T) {
	needSoftHSM(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	picocom := prerequisite.Program(t, "picocom", "picocom")
	for who, user := range fixtures.Users() {
		port := fixtures.TalkerOnPort(t, fixtures.Silent)
		pid := fixtures.OnTerminal(t, user, picocom, "--quiet", port)
		fixtures.AwaitOpen(t, pid, port)
		want := fmt.Sprintf("port is in use by picocom (pid %d)", pid)
		if code, out, errs := do(t, "enrol", "--dir", dir, port); code != exitFault || !strings.Contains(errs, want) || !strings.Contains(out, "port-in-use") {
			t.Errorf("picocom %s: exit code %d, want %q\n%s%s", who, code, want, out, errs)
		}
	}
	for word, c := range map[string]struct {
		talker fixtures.Talker
		says   string
	}{"no-answer": {fixtures.Silent, "heard nothing"}, "garbled": {fixtures.Garbage, "compare the baud rate"}} {
		report := filepath.Join(t.TempDir(), "run.jsonl")
		code, out, errs := do(t, "enrol", "--dir", dir, "--jsonl", report, fixtures.TalkerOnPort(t, c.talker))
		runs := (&plainLine{t: t, report: report}).runs()
		if code != exitFault || !strings.Contains(out, word) || !strings.Contains(errs, c.says) || len(runs) != 1 || runs[0].Steps[0].MS > 8000 {
			t.Errorf("exit code %d, want %s with %q within 8 s: %+v\n%s%s", code, word, c.says, runs, out, errs)
		}
	}
}

// The real line with its default time-outs: what sits on each port is named with what was heard, in the operator's language, and the next
// good board in the same bay passes. A board that is only slow or disturbed passes itself.
func TestEachBoardOnAPortHasItsFindingAndTheNextOnePasses(t *testing.T) {
	needSoftHSM(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "badges.yaml"), []byte("OP-1: {id: anna, name: Anna Schmidt}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := portCases()
	var links []string
	var all, bad []int
	for i, c := range cases {
		link := filepath.Join(t.TempDir(), fmt.Sprintf("bay%d", i+1))
		plug(t, link, c.port(t, link))
		links, all = append(links, link), append(all, i+1)
		if c.reason != "" {
			bad = append(bad, i+1)
		}
	}
	german := startPlain(t, dir, "de", links)
	german.starts(bad...)
	germanText := german.quits()
	english := startPlain(t, dir, "en", links)
	runs := english.starts(all...)
	for _, link := range links {
		plug(t, link, fixtures.BoardOnPort(t, posixImage(t)))
	}
	next := english.starts(all...)
	englishText := english.quits()
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.check(t, runs[links[i]])
			for text, want := range map[string]string{englishText: c.english, germanText: c.german} {
				if c.reason != "" && !says(text, links[i], want) {
					t.Errorf("no line of the bay says %q:\n%s", want, text)
				}
			}
			if run := next[links[i]]; run.Ending != "pass" {
				t.Errorf("the next board: %+v", run)
			}
		})
	}
}

func (c *portCase) check(t *testing.T, run reportedRun) {
	t.Helper()
	want := "fault"
	if c.reason == "" {
		want = "pass"
	}
	const soon = 15_000 // ms; five seconds on a machine that does nothing else, and less than the time-out of the step, which would give the wrong name
	if want == "fault" && (len(run.Steps) != 1 || run.Steps[0].MS > soon) {
		t.Errorf("the finding took %+v", run.Steps)
	}
	if run.Ending != want || run.Reason != c.reason || !strings.Contains(run.Message, c.heard) {
		t.Errorf("%+v, want %s, %s with %q", run, want, c.reason, c.heard)
	}
}

// says reports whether a line about a bay has a text.
func says(text, bay, want string) bool {
	for line := range strings.Lines(text) {
		if strings.Contains(line, bay+":") && strings.Contains(line, want) {
			return true
		}
	}
	return false
}
