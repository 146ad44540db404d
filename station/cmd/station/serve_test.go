package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures/prerequisite"
	"hallmark/station/verifier"
	"hallmark/station/workdir"
)

// do runs the program in this process.
func do(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// needSoftHSM ends the test with an explanation if SoftHSM is not installed.
func needSoftHSM(t *testing.T) {
	t.Helper()
	prerequisite.Program(t, "softhsm2-util", "softhsm2")
}

func TestVerifierAloneRefusesAStrangerAndSaysWhyInTheLog(t *testing.T) {
	needSoftHSM(t)
	dir := filepath.Join(t.TempDir(), "D")
	if code, _, errs := do(t, "init", "--dir", dir); code != exitPass {
		t.Fatal(errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"verifier", "--dir", dir, "--listen", "127.0.0.1:0"}, strings.NewReader(""), writer, io.Discard)
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSpace(line[strings.LastIndex(line, " "):])
	connectAsStranger(t, dir, address)
	cancel()
	if code := <-ended; code != exitPass {
		t.Errorf("exit code %d", code)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log", "station.log"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "x509: certificate signed by unknown authority"; !strings.Contains(string(log), want) {
		t.Errorf("the log does not say %q:\n%s", want, log)
	}
}

// connectAsStranger presents a self-signed certificate, and checks that the verifier refuses it.
func connectAsStranger(t *testing.T, dir, address string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := workdir.ReadCertificate(filepath.Join(dir, "pki", "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	conn, err := tls.Dial("tcp", address, &tls.Config{
		RootCAs: pool, ServerName: "verifier",
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	if err == nil { // in TLS 1.3, the client sees the refusal at its first read
		defer conn.Close()
		_, err = io.ReadAll(conn)
	}
	if err == nil {
		t.Error("a stranger was not refused")
	}
}

// A verifier on another host reads the output of `boards --known`.
func TestKnownCertificatesReachAVerifierElsewhere(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := filepath.Join(t.TempDir(), "D")
	for _, args := range [][]string{
		{"init", "--dir", dir},
		{"enrol", "--dir", dir, "--firmware", firmware, "posix"},
		{"enrol", "--dir", dir, "--firmware", firmware, "--rework", "test", "posix"},
	} {
		if code, out, errs := do(t, args...); code != exitPass {
			t.Fatalf("%v: %s%s", args, out, errs)
		}
	}
	code, out, errs := do(t, "boards", "--dir", dir, "--known")
	if code != exitPass {
		t.Fatal(errs)
	}
	list, err := verifier.ReadList(strings.NewReader(out))
	if err != nil || list.Len() != 2 {
		t.Errorf("%v, %v in:\n%s", list, err, out)
	}
	if !strings.Contains(out, `"status":"active"`) || !strings.Contains(out, `"status":"superseded"`) {
		t.Errorf("want one active and one superseded certificate:\n%s", out)
	}
}

// If init is killed, the station directory is either complete, or no command takes it for a station
// and the same init makes it complete.
func TestInitKilledAtAnyMomentLeavesNothingThatLooksFinished(t *testing.T) {
	needSoftHSM(t)
	for delay := time.Duration(0); delay < 300*time.Millisecond; delay += 20 * time.Millisecond {
		dir := filepath.Join(t.TempDir(), "D")
		cmd := exec.Command(stationProgram(t), "init", "--dir", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delay)
		cmd.Process.Signal(syscall.SIGKILL)
		cmd.Wait()
		code, out, errs := do(t, "audit", "verify", "--dir", dir)
		switch code {
		case exitPass:
		case exitUsage:
			if code, out, errs = do(t, "init", "--dir", dir); code != exitPass {
				t.Errorf("the second init after %v: code %d, %s%s", delay, code, out, errs)
			}
		default:
			t.Errorf("after %v: code %d, %s%s", delay, code, out, errs)
		}
		if code, out, errs := do(t, "doctor", "--dir", dir, "--ports", ""); code != exitPass {
			t.Errorf("after %v:\n%s%s", delay, out, errs)
		}
	}
}

// racingProgram returns a path under which this test binary runs as `station`, with the race detector if the tests have it.
func racingProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "station")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	return program
}

// Several errors are printed as several lines. Each line begins with the name of the program.
func TestEachLineOfAnErrorNamesTheProgram(t *testing.T) {
	config := filepath.Join(t.TempDir(), "wrong.yaml")
	text := "hsm: {module: softhsm2, token_label: t, sessions: 1}\nauthority: {verifier_days: -1}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := do(t, "init", "--dir", filepath.Join(t.TempDir(), "D"), "--config", config)
	if code != exitUsage || strings.Count(errs, "\n") != 2 {
		t.Fatalf("exit code %d, want two errors:\n%s", code, errs)
	}
	for line := range strings.Lines(errs) {
		if !strings.HasPrefix(line, "station: ") {
			t.Errorf("%q does not say who speaks", line)
		}
	}
}
