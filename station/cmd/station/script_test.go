package main

import (
	"context"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"hallmark/fixtures/jlink"
	"hallmark/fixtures/prerequisite"
	"hallmark/fixtures/usbtree"
	"hallmark/station/evidence"
	"hallmark/station/instance"
	"hallmark/station/report"
)

// The test binary is also the program under test.
func TestMain(m *testing.M) {
	testscript.Main(tidyMain{m}, map[string]func(){
		"station":   func() { main() },
		"jlink-run": func() { os.Exit(jlink.Command(os.Args[1:])) },
	})
}

// Scripts in which parts of the program work beside each other run with the race detector, if the tests have it.
func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", func(*testscript.Env) {})
}

// Scripts that start one command after another run the programs as users have them: a race is found in the tests of the packages,
// and these scripts start hundreds of programs.
func TestScriptsOfOneCommandAfterAnother(t *testing.T) {
	programs := plainPrograms(t)
	runScripts(t, "testdata/sequential", func(env *testscript.Env) {
		env.Setenv("PATH", programs+string(os.PathListSeparator)+env.Getenv("PATH"))
	})
}

func runScripts(t *testing.T, folder string, prepare func(*testscript.Env)) {
	t.Helper()
	firmware := firmwareFolder(t)
	testscript.Run(t, testscript.Params{
		Dir: folder,
		Setup: func(env *testscript.Env) error {
			prepare(env)
			env.Setenv("FIRMWARE", firmware)
			docs, err := filepath.Abs("../../../docs")
			env.Setenv("DOCS", docs)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"killed":  killed,
			"records": records,
			"openssl": opensslVerify,
			"private": allPrivate,
			"waitfor": waitfor,
			"sql":     alter,
			"machine": machine,
			"cut":     cut,
			"checked": checked,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// firmwareFolder returns the folder with the images of `make firmware`.
func firmwareFolder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../../../devices/firmware/build")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range instance.EmulatedKinds() {
		if kind.Zephyr {
			continue // the image exists only if Zephyr is installed
		}
		prerequisite.Firmware(t, filepath.Join(folder, kind.ImageFile()))
	}
	return folder
}

// machine FILE DIR: makes the directories sys and dev of a machine from a text (fixtures/usbtree).
func machine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: machine FILE DIR")
	}
	_, err := usbtree.Unfold(ts.MkAbs(args[1]), ts.ReadFile(args[0]))
	ts.Check(err)
}

// checked BUNDLE KEY [ANCHOR]: checks a bundle as auditcheck does.
func checked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: checked BUNDLE KEY [ANCHOR]")
	}
	options := evidence.Options{Key: strings.TrimSpace(ts.ReadFile(args[1]))}
	for _, anchor := range args[2:] {
		options.Anchors = append(options.Anchors, []byte(ts.ReadFile(anchor)))
	}
	files, err := evidence.OpenFiles(ts.MkAbs(args[0]))
	ts.Check(err)
	defer func() { ts.Check(files.Close()) }()
	verdict, err := evidence.Check(context.Background(), files, options)
	ts.Check(err)
	if !verdict.Good() {
		ts.Fatalf("%s: %v", args[0], verdict.Findings)
	}
}

// exits CODE station ARG...: checks that the command ends with this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE station ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// killed FILE SIGNAL[,SIGNAL] CODE station ARG...: starts the command, sends the signals
// when FILE holds a line, and checks that the command ends with CODE (-1: by the signal).
func killed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: killed FILE SIGNAL CODE station ARG...")
	}
	program, err := exec.LookPath(args[3])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args[4:]...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "FIRMWARE="+ts.Getenv("FIRMWARE"))
	cmd.Stderr = ts.Stderr()
	ts.Check(cmd.Start())
	waitForLine(ctx, ts, ts.MkAbs(args[0]))
	for name := range strings.SplitSeq(args[1], ",") {
		ts.Check(cmd.Process.Signal(unix.SignalNum("SIG" + name)))
		time.Sleep(20 * time.Millisecond) // the kernel would merge two signals at the same time
	}
	ended := cmd.Wait()
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[2] {
		ts.Fatalf("exit code %s (%v), want %s", got, ended, args[2])
	}
}

// waitfor FILE: waits until FILE holds a line.
func waitfor(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	waitForLine(ctx, ts, ts.MkAbs(args[0]))
}

// cut D BAY: waits until a board was admitted in the bay, and then ends the process of this emulated board, so
// that its UART and its debug port are gone at once.
func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut D BAY")
	}
	program, err := exec.LookPath("station")
	ts.Check(err)
	for deadline := time.Now().Add(5 * time.Minute); ; { // four boards are flashed first, on a machine that may be busy
		entries, err := exec.Command(program, "audit", "show", "--dir", ts.MkAbs(args[0]), "--bay", args[1], "--type", "board.admitted").Output() // standard error lists all types of the log
		if err == nil && strings.Contains(string(entries), "board.admitted") {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no board was admitted in bay %s within five minutes: %v\n%s", args[1], err, entries)
		}
	}
	all, err := filepath.Glob("/proc/[0-9]*/cwd")
	ts.Check(err)
	for _, link := range all {
		folder, err := os.Readlink(link) // an error means that the process has ended
		if err != nil || filepath.Dir(folder) != ts.MkAbs(filepath.Join(args[0], "bays", args[1])) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		ts.Check(err)
		ts.Check(unix.Kill(pid, unix.SIGKILL))
		return
	}
	ts.Fatalf("no board runs in bay %s", args[1])
}

// sql DIR STATEMENT: changes the registry's database as an attacker with access to the disk
// could do it, after the triggers were dropped.
func alter(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite3", ts.MkAbs(filepath.Join(args[0], "registry.db")))
	ts.Check(err)
	defer func() { ts.Check(db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, trigger := range []string{"audit_entry_stays", "audit_entry_fixed", "audit_checkpoint_stays", "certificate_der_fixed"} {
		var again string
		ts.Check(db.QueryRow("SELECT sql FROM sqlite_schema WHERE name = ?", trigger).Scan(&again))
		_, err := db.Exec("DROP TRIGGER " + trigger)
		ts.Check(err)
		defer func() { // as an attacker would, so that the schema does not show the change
			_, err := db.Exec(again)
			ts.Check(err)
		}()
	}
	result, err := db.Exec(args[1])
	ts.Check(err)
	if n, err := result.RowsAffected(); err != nil || n == 0 && !strings.HasPrefix(args[1], "DROP") {
		ts.Fatalf("%s changed %d rows, %v", args[1], n, err)
	}
}

// waitForLine waits until the file holds a line.
func waitForLine(ctx context.Context, ts *testscript.TestScript, path string) {
	for {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), "\n") {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s holds no line in time", path)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// recordKeys are all keys of a JSON line.
var recordKeys = []string{"bay", "board_id", "certificate_sha256", "ending", "finished", "firmware", "flash", "hardware_id", "hsm_exceptions", "image_sha256", "lock", "lock_key", "lock_recipe_sha256", "message", "operator", "order", "outcome",
	"probe", "purpose", "reason", "run", "serial_number", "started", "station", "steps", "target", "wire_rx", "wire_tx"}

// records FILE COUNT ENDING: checks that FILE holds COUNT JSON lines with exactly the keys
// that README.md names. All lines have this ending, and no board and no serial number occurs
// twice.
func records(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: records FILE COUNT ENDING")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	if strconv.Itoa(len(lines)) != args[1] {
		ts.Fatalf("%d lines, want %s", len(lines), args[1])
	}
	seen := map[string]bool{}
	for _, line := range lines {
		var keys map[string]json.RawMessage
		ts.Check(json.Unmarshal([]byte(line), &keys))
		if got := sortedKeys(keys); !slices.Equal(got, recordKeys) {
			ts.Fatalf("keys %v, want %v", got, recordKeys)
		}
		var r report.Record
		ts.Check(json.Unmarshal([]byte(line), &r))
		if r.Ending != args[2] {
			ts.Fatalf("ending %s (%s), want %s", r.Ending, r.Reason, args[2])
		}
		if r.Ending == "pass" && (len(r.SerialNumber) != 32 || len(r.CertificateSHA256) != 64 || r.WireTx == 0 || r.WireRx == 0 || r.Finished.Before(r.Started) || len(r.Steps) < 9 ||
			r.Station == "" || r.Operator == "" || len(r.HardwareID) != 32 || r.Firmware == "" || r.Message != "") {
			ts.Fatalf("incomplete: %s", line)
		}
		for _, once := range []string{r.Run, r.BoardID + r.Purpose, r.SerialNumber} {
			if once != "" && seen[once] {
				ts.Fatalf("%s twice", once)
			}
			seen[once] = true
		}
	}
}

func sortedKeys(keys map[string]json.RawMessage) []string {
	var names []string
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// openssl DIR COUNT: checks that DIR holds COUNT certificates and that openssl verifies them.
func opensslVerify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: openssl DIR COUNT [any-usage]")
	}
	anyUsage := len(args) == 3 // the profile of the TLS keys has no extended key usage
	dir := ts.MkAbs(args[0])
	all, err := filepath.Glob(filepath.Join(dir, "certificates", "*.pem"))
	ts.Check(err)
	leaves := slices.DeleteFunc(all, func(path string) bool { return strings.HasSuffix(path, ".chain.pem") })
	if strconv.Itoa(len(leaves)) != args[1] {
		ts.Fatalf("%d certificates, want %s", len(leaves), args[1])
	}
	for _, leaf := range leaves {
		verify := []string{"verify", "-x509_strict", "-CAfile", filepath.Join(dir, "pki", "root.pem"), "-untrusted", filepath.Join(dir, "pki", "issuing.pem")}
		certificate, cose := parsed(ts, leaf), strings.HasSuffix(leaf, ".cose.pem")
		if (cose || anyUsage) != (len(certificate.ExtKeyUsage) == 0) {
			ts.Fatalf("%s has the extended key usage %v", leaf, certificate.ExtKeyUsage)
		}
		if !cose {
			verify = append(verify, "-purpose", "sslclient")
		}
		ts.Check(ts.Exec("openssl", append(verify, leaf)...))
	}
}

func parsed(ts *testscript.TestScript, path string) *x509.Certificate {
	block, _ := pem.Decode([]byte(ts.ReadFile(path)))
	if block == nil {
		ts.Fatalf("%s holds no PEM", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	ts.Check(err)
	return certificate
}

// private DIR: checks that other users can read nothing below DIR.
func allPrivate(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && info.Mode()&os.ModeSymlink == 0 {
			ts.Fatalf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
}
