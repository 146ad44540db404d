package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hallmark/station/evidence"
	"hallmark/station/witness/serve"
)

// A headquarters is a witness at headquarters: a process of the real program.
type headquarters struct {
	t                 *testing.T
	dir, program, url string
	key, mirrorKey    string
	process           *exec.Cmd
}

// newHeadquarters makes a witness that knows the log of a station.
func newHeadquarters(t *testing.T, station string) *headquarters {
	t.Helper()
	o := &headquarters{t: t, dir: filepath.Join(t.TempDir(), "W"), program: stationProgram(t)}
	code, out, errs := do(t, "witness", "init", "--dir", o.dir, "--name", "hq.example/w1", "--log", filepath.Join(station, "pki", "audit.vkey"))
	if code != exitPass {
		t.Fatal(errs)
	}
	lines := strings.Split(out, "\n")
	o.key, o.mirrorKey = strings.TrimPrefix(lines[0], "key: "), strings.TrimPrefix(lines[1], "mirror_key: ")
	o.serve("127.0.0.1:0")
	t.Cleanup(func() { o.stop(syscall.SIGTERM) })
	return o
}

// serve starts the process.
func (o *headquarters) serve(listen string) {
	o.t.Helper()
	o.process = exec.Command(o.program, "witness", "serve", "--dir", o.dir, "--listen", listen)
	out, err := o.process.StdoutPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.process.Start(); err != nil {
		o.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		o.t.Fatal(err)
	}
	o.url = "http://" + strings.TrimSpace(line[strings.LastIndex(line, " "):])
}

// stop ends the process, if there is one, and waits for it.
func (o *headquarters) stop(by syscall.Signal) {
	if o.process == nil {
		return
	}
	if err := o.process.Process.Signal(by); err != nil {
		o.t.Error(err)
	}
	if err := o.process.Wait(); err != nil && by != syscall.SIGKILL {
		o.t.Error(err)
	}
	o.process = nil
}

// names writes the witness into the configuration of a station.
func (o *headquarters) names(station string) {
	o.t.Helper()
	file, err := os.OpenFile(filepath.Join(station, "station.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("witnesses:\n  - {name: hq, url: \"" + o.url + "\", key: " + o.key + ", mirror_key: " + o.mirrorKey + "}\n"); err != nil {
		o.t.Fatal(err)
	}
}

func (o *headquarters) status() serve.LogStatus {
	o.t.Helper()
	response, err := http.Get(o.url + "/status")
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	var status serve.Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil || len(status.Logs) != 1 {
		o.t.Fatal(status, err)
	}
	return status.Logs[0]
}

// verified checks files as auditcheck does: the witness and the mirror must have cosigned.
func (o *headquarters) verified(dir, vkey string, asMirror bool, anchors ...[]byte) *evidence.Verdict {
	o.t.Helper()
	text := "log " + vkey + "\nwitness m " + o.mirrorKey + "\nquorum m\n"
	check := evidence.CheckMirror
	if !asMirror {
		text = "log " + vkey + "\nwitness w " + o.key + "\nwitness m " + o.mirrorKey + "\ngroup g all w m\nquorum g\n"
		check = evidence.Check
	}
	policy, err := evidence.ParsePolicy([]byte(text))
	if err != nil {
		o.t.Fatal(err)
	}
	files, err := evidence.OpenFiles(dir)
	if err != nil {
		o.t.Fatal(err)
	}
	verdict, err := check(o.t.Context(), files, evidence.Options{Key: vkey, Policy: policy, Anchors: anchors})
	if err != nil || !verdict.Good() {
		o.t.Errorf("%s: %v %v", dir, verdict.Findings, err)
	}
	if err := files.Close(); err != nil {
		o.t.Error(err)
	}
	return verdict
}

func ok(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := do(t, args...)
	if code != exitPass {
		t.Fatalf("%v: exit code %d\n%s%s", args, code, out, errs)
	}
	return out
}

func copyDirectory(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}
