package main

import (
	"bytes"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hallmark/fixtures/authority"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/evidence"
	"hallmark/station/witness"
)

// The way of the evidence out of the factory, with real processes: a witness cosigns, a fork is
// refused, a rolled-back station does not start, and the mirror has all after the station is gone.
func TestAWitnessOnAnotherPort(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	ok(t, "init", "--dir", dir)
	vkey := strings.TrimSpace(read(t, filepath.Join(dir, "pki", "audit.vkey")))
	hq := newHeadquarters(t, dir)
	hq.names(dir)
	batch := func(dir string) []string {
		return []string{"batch", "--dir", dir, "--boards", "posix:2", "--count", "4", "--firmware", firmware, "--progress", "none"}
	}

	// 1. Witness and mirror cosign the checkpoints.
	ok(t, batch(dir)...)
	if state := ok(t, "audit", "checkpoint", "--dir", dir, "--json"); strings.Count(state, `ed": true`) != 2 {
		t.Errorf("not cosigned or not mirrored:\n%s", state)
	}
	bundle := filepath.Join(t.TempDir(), "bundle")
	ok(t, "audit", "export", "--dir", dir, "--out", bundle)
	printed := ok(t, "audit", "checkpoint", "--dir", dir, "--qr")
	anchor := filepath.Join(t.TempDir(), "anchor")
	write(t, anchor, printed)
	hq.verified(bundle, vkey, false)
	ok(t, "audit", "verify", "--dir", dir, "--anchor", anchor)
	if doctor := ok(t, "doctor", "--dir", dir, "--ports", ""); !strings.Contains(doctor, "the witness hq has cosigned") {
		t.Errorf("doctor says:\n%s", doctor)
	}

	// 2. A copy of the whole directory, of which the station knows nothing newer, is refused with a way out.
	old := filepath.Join(t.TempDir(), "Old")
	copyDirectory(t, dir, old)
	for _, name := range []string{"registry.db-wal", "registry.db-shm"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Size() > 0 {
			t.Fatalf("%s is not empty", name)
		}
	}
	ok(t, batch(dir)...)
	seen := hq.status().Cosigned
	code, _, errs := do(t, batch(old)...)
	if code != exitFault || !strings.Contains(errs, "comparing with the witness hq: the audit log is older than a checkpoint that was kept elsewhere") ||
		!strings.Contains(errs, "next: put the newest registry.db back") {
		t.Errorf("a rolled-back station: exit code %d\n%s", code, errs)
	}
	if code, out, _ := do(t, "doctor", "--dir", old, "--ports", ""); code != exitFault || !strings.Contains(out, "FAIL  registry") {
		t.Errorf("doctor of a rolled-back station: exit code %d\n%s", code, out)
	}

	// 3. An operator goes on with it on record. The witness does not cosign that fork, and keeps it.
	ok(t, "accept-registry", "--dir", old, "--operator", "ann")
	out := ok(t, batch(old)...)
	ok(t, batch(old)...)
	if !strings.Contains(out, "warning: the audit log is not confirmed from outside by all: hq: ") {
		t.Errorf("the fork is not said:\n%s", out)
	}
	if now := hq.status(); now.Cosigned != seen || now.Refused == 0 {
		t.Errorf("the witness has %+v, had %d", now, seen)
	}
	if log := ok(t, "audit", "show", "--dir", old); !strings.Contains(log, `"reason":"witness-fork"`) || !strings.Contains(log, `"reason":"anchor-older"`) {
		t.Error("the fork and its acceptance are not on record")
	}

	// 4. The disk of the station is gone. The mirror holds each entry that was under a checkpoint.
	size := hq.status().Mirrored
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	hq.stop(syscall.SIGKILL)
	mirror := filepath.Join(hq.dir, "mirror", witness.OriginHash("hallmark/demo"))
	if verdict := hq.verified(mirror, vkey, true); verdict.Size != size || size < seen {
		t.Errorf("the mirror has %d entries, want %d", verdict.Size, size)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The directory of anchors refuses a rolled-back station, too; a witness that is away does not,
// unless it is required.
func TestAnchorsAtTheStart(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	ok(t, "init", "--dir", dir)
	hq := newHeadquarters(t, dir)
	hq.names(dir)
	enrol := func(dir string) (int, string, string) {
		return do(t, "enrol", "--dir", dir, "--firmware", firmware, "posix")
	}
	if code, _, errs := enrol(dir); code != exitPass {
		t.Fatal(errs)
	}
	old := filepath.Join(t.TempDir(), "Old")
	copyDirectory(t, dir, old)
	if code, _, errs := enrol(dir); code != exitPass {
		t.Fatal(errs)
	}
	// 1. The witness is away: the station starts, and says so.
	address := strings.TrimPrefix(hq.url, "http://")
	hq.stop(syscall.SIGTERM)
	if code, out, errs := enrol(dir); code != exitPass {
		t.Errorf("without its witness the station does not enrol: %s%s", out, errs)
	}
	if code, out, _ := do(t, "doctor", "--dir", dir, "--ports", ""); code != exitPass || !strings.Contains(out, "warn  witnesses") {
		t.Errorf("doctor: exit code %d\n%s", code, out)
	}
	if log := read(t, filepath.Join(dir, "log", "station.log")); !strings.Contains(log, "a witness does not confirm the audit log; the line goes on") {
		t.Error("the log does not say that the witness is away")
	}
	config := filepath.Join(dir, "station.yaml")
	before := read(t, config)
	write(t, config, before+"require_witness: true\n")
	if code, _, errs := enrol(dir); code != exitFault || !strings.Contains(errs, "no witness says what it has seen") {
		t.Errorf("a required witness is away: exit code %d\n%s", code, errs)
	}
	write(t, config, before)
	// 2. The witness is back: what is late is caught up.
	hq.serve(address)
	if code, _, errs := enrol(dir); code != exitPass {
		t.Fatal(errs)
	}
	if state := ok(t, "audit", "checkpoint", "--dir", dir, "--json"); strings.Count(state, `ed": true`) != 2 {
		t.Errorf("not caught up:\n%s", state)
	}
	// 3. Without any witness, a file with a checkpoint shows the rollback, as it came by mail.
	hq.stop(syscall.SIGTERM)
	anchors := filepath.Join(old, "anchors")
	write(t, filepath.Join(old, "station.yaml"), before+"anchors: anchors\n")
	if code, out, errs := enrol(old); code != exitPass || !strings.Contains(out, "the directory of anchors is not there, so the log is not compared with its checkpoints: "+anchors) {
		t.Fatalf("the directory of anchors is not there: %s%s", out, errs)
	}
	if code, out, _ := do(t, "doctor", "--dir", old, "--ports", ""); code != exitPass || !strings.Contains(out, "warn  witnesses") || !strings.Contains(out, anchors) {
		t.Errorf("doctor without the directory of anchors: exit code %d\n%s", code, out)
	}
	if err := os.Mkdir(anchors, 0o700); err != nil {
		t.Fatal(err)
	}
	mail := strings.ReplaceAll(ok(t, "audit", "checkpoint", "--dir", dir, "--qr"), "\n", "\r\n")
	write(t, filepath.Join(anchors, "november.txt"), "\xef\xbb\xbf"+mail)
	registry := read(t, filepath.Join(old, "registry.db"))
	if code, _, errs := enrol(old); code != exitFault || !strings.Contains(errs, "comparing with the anchor november.txt: the audit log is") || !strings.Contains(errs, "station accept-registry") {
		t.Errorf("a rolled-back station: exit code %d\n%s", code, errs)
	}
	if read(t, filepath.Join(old, "registry.db")) != registry {
		t.Error("a start that was refused changed the registry")
	}
	for text, says := range map[string]string{"hello": "not a checkpoint", strings.Replace(mail, "\u2014 hallmark/demo ", "\u2014 hallmark/demo AAAA", 1): "checkpoint is not signed by the audit key"} {
		write(t, filepath.Join(anchors, "november.txt"), text)
		if code, _, errs := enrol(old); code != exitFault || !strings.Contains(errs, "november.txt") || !strings.Contains(errs, says) {
			t.Errorf("want %q: exit code %d\n%s", says, code, errs)
		}
	}
	write(t, filepath.Join(anchors, "november.txt"), strings.ReplaceAll(mail, "hallmark/demo", "hallmark/other"))
	if code, _, errs := enrol(old); code != exitPass {
		t.Errorf("the checkpoint of another station: %s", errs)
	}
}

func TestCommandsOfAWitnessThatAreRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "W")
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "no key\n")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"witness"}, "no subcommand"},
		{[]string{"witness", "init"}, "--dir is missing"},
		{[]string{"witness", "init", "--dir", dir}, "name of a witness"},
		{[]string{"witness", "init", "--dir", dir, "--name", "two words"}, "name of a witness"},
		{[]string{"witness", "init", "--dir", dir, "--name", "w", "--log", file + "x"}, "--log"},
		{[]string{"witness", "init", "--dir", dir, "--name", "w", "--log", file}, "want one verifier key of a log a line"},
		{[]string{"witness", "init", "--dir", filepath.Dir(file), "--name", "w"}, "already in use"},
		{[]string{"witness", "serve", "--dir", dir}, "station witness init"},
		{[]string{"witness", "serve", "--dir", dir, "--listen", "0.0.0.0:0"}, "--tls-cert"},
		{[]string{"witness", "serve", "--dir", dir, "--listen", "here"}, "want address:port"},
		{[]string{"witness", "serve", "--dir", dir, "--tls-cert", file, "--tls-key", file}, "--tls-cert and --tls-key"},
		{[]string{"audit", "checkpoint", "--qr", "--json"}, "want one of them"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, strings.NewReader(""), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%v: exit code %d, want %q:\n%s", c.args, code, c.says, errs.String())
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused command made the directory")
	}
}

// A time stamping authority says when the checkpoint existed. openssl agrees, and an authority that
// is away stops nothing.
func TestACheckpointIsStamped(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	tsa := authority.New(t, "rsa:2048")
	dir := filepath.Join(t.TempDir(), "D")
	ok(t, "init", "--dir", dir)
	config := filepath.Join(dir, "station.yaml")
	before := read(t, config)
	write(t, config, before+"timestamp: {url: \""+tsa.URL+"\", ca: "+tsa.CA+"}\n")
	enrol := []string{"enrol", "--dir", dir, "--firmware", firmware, "posix"}
	ok(t, enrol...)
	whole, part := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "part")
	ok(t, "audit", "export", "--dir", dir, "--out", whole)
	ok(t, "audit", "export", "--dir", dir, "--out", part, "--since", "2000-01-01")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(read(t, tsa.CA)))
	for _, bundle := range []string{whole, part} {
		if v := verdict(t, bundle, evidence.Options{TSA: pool}); !v.Good() || v.Timestamp == "" {
			t.Errorf("%s: %+v", bundle, v)
		}
	}
	other := x509.NewCertPool()
	other.AppendCertsFromPEM([]byte(read(t, authority.New(t, "ec").CA)))
	if v := verdict(t, whole, evidence.Options{TSA: other}); v.Good() || v.Findings[0].File != "checkpoint.tsr" {
		t.Errorf("another authority: %+v", v)
	}
	text, _, _ := strings.Cut(read(t, filepath.Join(whole, "checkpoint")), "\n\n")
	signed := filepath.Join(t.TempDir(), "text")
	write(t, signed, text+"\n")
	for _, args := range [][]string{{"openssl", "ts", "-verify", "-data", signed, "-in", "checkpoint.tsr", "-CAfile", tsa.CA}, {"python3", "check.py"}} {
		command := exec.CommandContext(t.Context(), prerequisite.Program(t, args[0], args[0]), args[1:]...)
		command.Dir = whole
		if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "OK") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	write(t, config, before+"timestamp: {url: \"http://127.0.0.1:1/\", ca: "+tsa.CA+"}\n")
	ok(t, enrol...)
	if log := ok(t, "audit", "show", "--dir", dir); !strings.Contains(log, `"reason":"timestamp-missing"`) {
		t.Error("it is not on record that the authority is away")
	}
	ok(t, "audit", "verify", "--dir", dir)
	later := filepath.Join(t.TempDir(), "later")
	ok(t, "audit", "export", "--dir", dir, "--out", later)
	if v := verdict(t, later, evidence.Options{TSA: pool}); v.Good() || !strings.Contains(v.Findings[0].Meaning, "missing") {
		t.Errorf("a bundle without a time stamp: %+v", v)
	}
}

func verdict(t *testing.T, bundle string, options evidence.Options) *evidence.Verdict {
	t.Helper()
	files, err := evidence.OpenFiles(bundle)
	if err != nil {
		t.Fatal(err)
	}
	v, err := evidence.Check(t.Context(), files, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
	return v
}
