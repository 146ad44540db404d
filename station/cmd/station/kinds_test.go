package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station/reason"
)

// kindBoards is the number of boards in each batch below.
const kindBoards = 16

// The same station on each kind of token that nobody of this project wrote.
func TestAStationOnEachKindOfToken(t *testing.T) {
	for _, kind := range fixtures.TokenKinds() {
		t.Run(kind.Name, func(t *testing.T) {
			k := newKindStation(t, kind.New(t))
			k.refusesSoftware(t)
			k.run(t, exitPass, "init", "--config", k.write(t, "station.yaml", true, k.pin), "--dir", k.dir)
			k.run(t, exitPass, k.batch()...)
			k.run(t, exitPass, "doctor", "--dir", k.dir, "--ports", "")
			k.run(t, exitPass, "audit", "verify", "--dir", k.dir)
			k.restart(t)
			k.refusesAWrongPIN(t)
			k.run(t, exitPass, "audit", "verify", "--dir", k.dir)
		})
	}
}

// A kindStation is a station in processes of its own, with the environment of the token.
type kindStation struct {
	token                       *fixtures.RealToken
	program, dir, pin, firmware string
	env                         []string
}

func newKindStation(t *testing.T, token *fixtures.RealToken) *kindStation {
	t.Helper()
	k := &kindStation{token: token, program: stationProgram(t), dir: filepath.Join(t.TempDir(), "D"), firmware: firmwareFolder(t), env: os.Environ()}
	for name, value := range token.Config.Environment {
		k.env = append(k.env, name+"="+value)
	}
	k.pin = filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(k.pin, []byte(fixtures.TestPIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// write writes a configuration for the token, which only its URI names.
func (k *kindStation) write(t *testing.T, name string, software bool, pin string) string {
	t.Helper()
	uri := hsm.URI{Token: k.token.Config.TokenLabel, ModulePath: k.token.Config.Module, PINSource: "file:" + pin}
	text := fmt.Sprintf("station: kinds\nhsm:\n  token_uri: %q\n  allow_software_token: %t\n  timeout: 10s\nboards: {allow_emulated: true}\n", uri, software)
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (k *kindStation) command(args ...string) *exec.Cmd {
	cmd := exec.Command(k.program, args...)
	cmd.Env = k.env
	return cmd
}

// run runs a command of the station and returns its output.
func (k *kindStation) run(t *testing.T, want int, args ...string) string {
	t.Helper()
	cmd := k.command(args...)
	output, _ := cmd.CombinedOutput() // the exit code says the same
	if code := cmd.ProcessState.ExitCode(); code != want {
		t.Fatalf("station %s: exit code %d, want %d\n%s", args[0], code, want, output)
	}
	return string(output)
}

func (k *kindStation) batch(more ...string) []string {
	return append([]string{"batch", "--dir", k.dir, "--boards", "posix:4", "--count", fmt.Sprint(kindBoards), "--firmware", k.firmware, "--progress", "none"}, more...)
}

// refusesSoftware: a hardware station refuses each of these tokens before it makes anything.
func (k *kindStation) refusesSoftware(t *testing.T) {
	t.Helper()
	place := filepath.Join(t.TempDir(), "D")
	if text := k.run(t, exitFault, "init", "--config", k.write(t, "hardware.yaml", false, k.pin), "--dir", place); !strings.Contains(text, "software token not allowed") {
		t.Errorf("says %q", text)
	}
	if _, err := os.Stat(place); !os.IsNotExist(err) {
		t.Errorf("something was made: %v", err)
	}
}

// restart restarts the token's daemon in the middle of a batch. Each board passes.
func (k *kindStation) restart(t *testing.T) {
	t.Helper()
	if k.token.Stop == nil {
		return // the token lives in the process of the station
	}
	lines := filepath.Join(t.TempDir(), "runs.jsonl")
	passes := func() int {
		text, _ := os.ReadFile(lines) // the batch has not made the file yet
		return strings.Count(string(text), `"ending":"pass"`)
	}
	cmd := k.command(k.batch("--jsonl", lines)...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	for end := time.Now().Add(time.Minute); passes() < 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("no board passed before the restart")
			break
		}
	}
	k.token.Stop(t)
	k.token.Start(t)
	_ = cmd.Wait() // the exit code says the same
	if code, n := cmd.ProcessState.ExitCode(), passes(); code != exitPass || n != kindBoards {
		t.Errorf("exit code %d, %d of %d boards passed\n%s", code, n, kindBoards, output.String())
	}
}

// refusesAWrongPIN: one try, an exit code of its own, and no PIN in any text.
func (k *kindStation) refusesAWrongPIN(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(k.pin, []byte("wrong-pin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := k.run(t, int(reason.ExitPIN), k.batch()...)
	if !strings.Contains(text, "PIN refused by the token") || strings.Contains(text, "wrong-pin") {
		t.Errorf("says %q", text)
	}
	if err := os.WriteFile(k.pin, []byte(fixtures.TestPIN+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
