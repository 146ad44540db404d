package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A witness that has cosigned the log and shows no checkpoint of it says nothing about the log: it lost what it knew,
// or another one answers in its place. Such an answer is not the one that require_witness wants.
func TestAWitnessThatLostItsMemoryIsNoAnswer(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	ok(t, "init", "--dir", dir)
	hq := newHeadquarters(t, dir)
	hq.names(dir)
	config := filepath.Join(dir, "station.yaml")
	before := read(t, config)
	write(t, config, before+"require_witness: true\n")
	enrol := []string{"enrol", "--dir", dir, "--firmware", firmware, "posix"}
	ok(t, enrol...) // the first answer is "nothing seen", and that is true

	hq.stop(syscall.SIGTERM)
	for _, name := range []string{"logs", "mirror"} {
		if err := os.RemoveAll(filepath.Join(hq.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	hq.serve(strings.TrimPrefix(hq.url, "http://"))
	if code, _, errs := do(t, enrol...); code != exitFault || !strings.Contains(errs, "no witness says what it has seen") ||
		!strings.Contains(errs, "the witness hq: the witness has cosigned this log before, and now shows no checkpoint of it") {
		t.Errorf("a witness that lost its memory: exit code %d\n%s", code, errs)
	}
	write(t, config, before)
	if _, out, _ := do(t, "doctor", "--dir", dir, "--ports", ""); !strings.Contains(out, "now shows no checkpoint of it") {
		t.Errorf("doctor says\n%s", out)
	}
	ok(t, enrol...) // and the witness learns the log anew
	write(t, config, before+"require_witness: true\n")
	ok(t, enrol...)
	if log := ok(t, "audit", "show", "--dir", dir); !strings.Contains(log, `"reason":"witness-lost"`) {
		t.Error("the loss is not on record")
	}
}

// A witness that takes the connection and says nothing is named at the end of the shortest batch, and in the log.
func TestAWitnessThatHangsIsNamed(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	ok(t, "init", "--dir", dir)
	hq := newHeadquarters(t, dir)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	hq.stop(syscall.SIGTERM)
	hq.url = "http://" + silent.Addr().String()
	hq.names(dir)
	out := ok(t, "enrol", "--dir", dir, "--firmware", firmware, "posix")
	if !strings.Contains(out, "confirmed from outside by all: hq: the witness did not answer in time") {
		t.Errorf("the table says\n%s", out)
	}
	if log := ok(t, "audit", "show", "--dir", dir); strings.Count(log, `"type":"witness.failed"`) != 1 {
		t.Error("it is not on record, or more than once")
	}
}
