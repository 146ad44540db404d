package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/fixtures"
	"hallmark/fixtures/pty"
	"hallmark/station/workdir"
)

// The command prompts for the PIN on a terminal. Nothing may draw over the prompt. After
// Ctrl-C at the prompt, the command ends and the terminal has its old settings.
func TestThePINPromptStaysVisibleAndCtrlCThereLeavesTheTerminalAsItWas(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	fixtures.Configure(t, workdir.Dir(dir), "create_token: true", "create_token: false", "file:hsm/pin", "prompt")
	program := stationProgram(t)
	for name, args := range map[string][]string{
		"batch":  {"batch", "--dir", dir, "--boards", "posix:1", "--firmware", firmware, "--progress", "auto"},
		"enrol":  {"enrol", "--dir", dir, "--firmware", firmware, "--progress", "auto", "posix"},
		"doctor": {"doctor", "--dir", dir, "--ports", ""},
	} {
		t.Run(name, func(t *testing.T) {
			person := startAtTerminal(t, exec.Command(program, args...), filepath.Join(dir, "hsm", "softhsm2.conf"))
			person.readUntil("HSM PIN")
			time.Sleep(300 * time.Millisecond) // three times the interval of the progress line
			if drawn := person.readUntil(""); strings.Contains(drawn, "\x1b[K") {
				t.Errorf("drawn over the prompt: %q", drawn)
			}
			person.types("\x03")
			if code := person.leave(); code != exitAborted {
				t.Errorf("exit code %d, want %d", code, exitAborted)
			}
			if !person.echoes() {
				t.Error("the terminal was left without echo")
			}
		})
	}
}

// A person is the user at the terminal of a command.
type person struct {
	t           *testing.T
	cmd         *exec.Cmd
	screen, tty *os.File // the two ends of the pseudo terminal
}

func startAtTerminal(t *testing.T, cmd *exec.Cmd, softHSM string) *person {
	t.Helper()
	screen, tty, err := pty.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close(); tty.Close() })
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+softHSM)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &person{t: t, cmd: cmd, screen: screen, tty: tty}
}

// readUntil reads until the word appears. Without a word it reads the output that is there now.
func (p *person) readUntil(word string) string {
	p.t.Helper()
	var seen string
	buffer := make([]byte, 4096)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(p.screen.Fd()), Events: unix.POLLIN}}, 20)
		if ready == 0 || err != nil {
			if word == "" {
				return seen
			}
			continue
		}
		n, err := p.screen.Read(buffer)
		seen += string(buffer[:n])
		if err != nil || word != "" && strings.Contains(seen, word) {
			return seen
		}
	}
	p.t.Fatalf("never saw %q: %q", word, seen)
	return ""
}

// handPause is the time between two keys of a person. The program takes faster characters for those of a scanner.
const handPause = 120 * time.Millisecond

// types waits as a person does, and types.
func (p *person) types(text string) {
	p.t.Helper()
	time.Sleep(handPause)
	if _, err := p.screen.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// commands types a command of --plain, waits for the question, and presses Ctrl-G.
func (p *person) commands(line, question string) {
	p.t.Helper()
	p.types(line + "\r")
	p.readUntil(question)
	time.Sleep(time.Second) // the operator, not a wait of the test: a faster Ctrl-G counts as a scanner's
	p.types("\a")
}

// leave waits for the end of the command and returns its exit code, -1 after a signal.
func (p *person) leave() int {
	p.t.Helper()
	kill := time.AfterFunc(15*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait() // the caller gets the exit code
	p.readUntil("")
	return p.cmd.ProcessState.ExitCode()
}

func (p *person) echoes() bool {
	p.t.Helper()
	modes, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return modes.Lflag&unix.ECHO != 0
}
