package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/instance"
	"hallmark/station/workdir"
)

// longTime is long enough for an emulated board on a busy machine.
const longTime = 2 * time.Minute

// Registry, CRL, status bundle, openssl and both verifiers say the same of a certificate, before and after its revocation. A bundle also
// tells of a hold, and of its end.
func TestARevocationReachesEveryVerifier(t *testing.T) {
	needSoftHSM(t)
	prerequisite.Program(t, "qemu-system-arm", "qemu-system-arm")
	prerequisite.Program(t, "openssl", "openssl")
	e := newElsewhere(t)
	here, there := e.serves(e.station, "verifier", "--dir", e.dir, "--listen", "127.0.0.1:0"), e.serves(e.verifier()...)
	e.says("active", "crl_check: ok")
	for _, address := range []string{here.address(), there.address()} {
		if err := e.handshake(address); err != nil {
			t.Errorf("before the revocation the board says %v\n%s", err, there)
		}
	}
	e.holds(here, there)
	e.does("revoke", "--board", e.board, "--reason", "keyCompromise")
	if err := e.handshake(here.address()); !errors.Is(err, devices.ErrServerRefuses) {
		t.Errorf("at the station's verifier the revoked board says %v", err)
	}
	waitForText(t, "msg=refused .*it is revoked", func() string { return string(fixtures.Must(os.ReadFile(workdir.Dir(e.dir).LogFile()))(t)) })
	e.exports()
	there.reloaded(3)
	if err := e.handshake(there.address()); !errors.Is(err, devices.ErrServerRefuses) {
		t.Errorf("at the verifier elsewhere the revoked board says %v", err)
	}
	there.waitFor("msg=refused .*is on the CRL|msg=refused .*it is revoked")
	e.says("revoked", "certificate revoked")
	e.does("audit", "verify")
	e.replacesTheRegistry(here)
	for _, kind := range []string{"status.export.intent", "status.exported"} {
		if got := e.does("audit", "show", "--type", kind); strings.Count(got, `"type":"`+kind+`"`) != 4 || !strings.Contains(got, `"id":"ann"`) {
			t.Errorf("entries %s:\n%s", kind, got)
		}
	}
}

// holds has the board put on hold and released. Both verifiers refuse it meanwhile.
func (e *elsewhere) holds(here, there *program) {
	e.t.Helper()
	e.does("hold", "--board", e.board, "--reason", "crack")
	e.exports()
	there.reloaded(1)
	for _, program := range []*program{here, there} {
		if err := e.handshake(program.address()); !errors.Is(err, devices.ErrServerRefuses) {
			e.t.Errorf("the board on hold says %v\n%s", err, program)
		}
	}
	there.waitFor(`msg=refused .*board is on hold`)
	waitForText(e.t, `msg=refused .*board is on hold`, func() string { return string(fixtures.Must(os.ReadFile(workdir.Dir(e.dir).LogFile()))(e.t)) })
	e.does("release", "--board", e.board, "--reason", "no crack")
	e.exports()
	there.reloaded(2)
	for _, program := range []*program{here, there} {
		if err := e.handshake(program.address()); err != nil {
			e.t.Errorf("the released board says %v\n%s", err, program)
		}
	}
}

// reloaded waits until the verifier has read a new bundle and a new CRL this often.
func (p *program) reloaded(times int) {
	p.t.Helper()
	for _, what := range []string{"status bundle", "CRL"} {
		p.waitFor(fmt.Sprintf("(?s)(?:msg=reloaded [^\n]*%s.*){%d}", what, times))
	}
}

// A verifier that reads a registry which lies under its name no more would miss revocations, so it ends.
func (e *elsewhere) replacesTheRegistry(here *program) {
	e.t.Helper()
	path := workdir.Dir(e.dir).Registry()
	if err := workdir.WriteFile(path, fixtures.Must(os.ReadFile(path))(e.t)); err != nil {
		e.t.Fatal(err)
	}
	if err := e.handshake(here.address()); err == nil {
		e.t.Error("the board is accepted")
	}
	var exit *exec.ExitError
	if err := here.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFault {
		e.t.Errorf("the verifier ends with %v", err)
	}
	here.waitFor("is not seen here: registry.db was replaced\nstation: next: ")
}

// An elsewhere is a station with one QEMU board that passed, and the folder of a verifier on another host.
type elsewhere struct {
	t                    *testing.T
	dir, folder, station string
	board                string
	client               *devices.Client
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{t: t, dir: filepath.Join(t.TempDir(), "D"), folder: t.TempDir(), station: stationProgram(t)}
	firmware := firmwareFolder(t)
	e.does("init")
	e.does("enrol", "--firmware", firmware, "qemu")
	for _, file := range []string{"root.pem", "issuing.pem", "verifier.pem", "verifier.key"} {
		e.copy(filepath.Join(e.dir, "pki", file), file)
	}
	e.exports()
	files := fixtures.Must(filepath.Glob(filepath.Join(e.dir, "certificates", "*.pem")))(t)
	for _, path := range files {
		if !strings.Contains(path, ".chain.") {
			e.board = strings.TrimSuffix(filepath.Base(path), ".pem")
			e.copy(path, "board.pem")
		}
	}
	e.powerOn(firmware)
	return e
}

// powerOn starts the board that the station enrolled.
func (e *elsewhere) powerOn(firmware string) {
	e.t.Helper()
	kind := instance.EmulatedKinds()[0]
	for _, one := range instance.EmulatedKinds() {
		if one.Name == "qemu" {
			kind = one
		}
	}
	board := fixtures.Must(emulated.Start(e.t.Context(), emulated.Config{Kind: emulated.QEMU, Machine: "mps2-an385",
		Image: filepath.Join(firmware, kind.ImageFile()), Dir: filepath.Join(e.dir, "bays", "qemu-1", "1")}))(e.t)
	e.client = devices.NewClient(board.Transport(), devices.Options{Timeout: longTime, ServerTimeout: longTime})
	e.t.Cleanup(func() {
		if err := errors.Join(e.client.Close(), board.Close()); err != nil {
			e.t.Error(err)
		}
	})
}

// does runs a command of the station, which must succeed, and gives its output.
func (e *elsewhere) does(args ...string) string {
	e.t.Helper()
	code, out, errs := do(e.t, append(args, "--dir", e.dir)...)
	if code != exitPass {
		e.t.Fatalf("station %v: exit code %d\n%s%s", args, code, out, errs)
	}
	return out
}

// copy brings a file to the other host in one step.
func (e *elsewhere) copy(from, name string) {
	e.t.Helper()
	if err := workdir.WriteFile(filepath.Join(e.folder, name), fixtures.Must(os.ReadFile(from))(e.t)); err != nil {
		e.t.Fatal(err)
	}
}

// exports makes a bundle and a CRL, and brings both to the other host.
func (e *elsewhere) exports() {
	e.t.Helper()
	made := filepath.Join(e.t.TempDir(), "status")
	if got := e.does("status", "export", "--out", made, "--operator", "ann"); !regexp.MustCompile(`: status bundle \d+ with 1 certificate, next update .*Z, sha256 [0-9a-f]{64}\n`).MatchString(got) {
		e.t.Errorf("status export says %q", got)
	}
	e.does("crl")
	e.copy(made, "status")
	e.copy(filepath.Join(e.dir, "pki", "issuing.crl"), "crl")
}

// verifier gives the command line of the program on the other host.
func (e *elsewhere) verifier() []string {
	e.t.Helper()
	program := filepath.Join(plainPrograms(e.t), "verifier")
	in := func(name string) string { return filepath.Join(e.folder, name) }
	return []string{program, "--listen", "127.0.0.1:0", "--certificate", in("verifier.pem"), "--key", in("verifier.key"), "--root", in("root.pem"),
		"--intermediate", in("issuing.pem"), "--status", in("status"), "--crl", in("crl"), "--state", in("newest.json")}
}

// says asks the registry and openssl about the certificate.
func (e *elsewhere) says(status, openssl string) {
	e.t.Helper()
	if got := e.does("certificates", "list", "--json"); !strings.Contains(got, `"status":"`+status+`"`) {
		e.t.Errorf("the registry says\n%s", got)
	}
	script := `cd "$1" && openssl crl -inform DER -in crl -out crl.pem && openssl crl -in crl.pem -CAfile issuing.pem -noout -text 2>&1
		serial=$(openssl x509 -in board.pem -noout -serial | cut -d= -f2)
		echo "on the list: $(openssl crl -in crl.pem -noout -text | grep -c "Serial Number: $serial")"
		openssl verify -crl_check -CAfile root.pem -untrusted issuing.pem -CRLfile crl.pem board.pem 2>&1 && echo crl_check: ok
		size=$(($(wc -c <status))) count=$(($(od -An -tu1 -j20 -N4 status | awk '{print (($1*256+$2)*256+$3)*256+$4}')))
		signed=$((80 + 66 * count))
		head -c $signed status >signed && tail -c +$((signed + 1)) status >signature
		openssl x509 -in issuing.pem -noout -pubkey >issuing.pub && openssl dgst -sha256 -verify issuing.pub -signature signature signed`
	out, err := exec.CommandContext(e.t.Context(), "sh", "-c", script, "sh", e.folder).CombinedOutput()
	text := string(out)
	onList := map[string]string{"active": "on the list: 0", "revoked": "on the list: 1"}[status]
	for _, want := range []string{"verify OK", onList, openssl, "Verified OK"} {
		if !strings.Contains(text, want) {
			e.t.Errorf("openssl does not say %q (%v):\n%s", want, err, text)
		}
	}
}

// handshake has the board do a handshake with the verifier at an address.
func (e *elsewhere) handshake(address string) error {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), longTime)
	defer cancel()
	conn := fixtures.Must((&net.Dialer{}).DialContext(ctx, "tcp", address))(e.t)
	defer conn.Close()
	_, err := e.client.Handshake(ctx, conn, "verifier")
	return err
}

// A program is a server that runs beside the test.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *program) Write(octets []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(octets)
}

func (p *program) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// serves starts a server, which ends with the test.
func (e *elsewhere) serves(args ...string) *program {
	e.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	p := &program{t: e.t, cmd: cmd}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if cmd.ProcessState != nil {
			return // it has ended by itself
		}
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			e.t.Errorf("%v: %v\n%s", args[:2], err, p)
		}
	})
	return p
}

func (p *program) address() string { return p.waitFor(`listen(?:s|ing) on ([0-9.:]+)`)[1] }

// waitFor waits until the server says a text, and gives the match.
func (p *program) waitFor(expression string) []string {
	p.t.Helper()
	return waitForText(p.t, expression, p.String)
}

// waitForText waits until a text matches, and gives the match.
func waitForText(t *testing.T, expression string, text func() string) []string {
	t.Helper()
	for deadline := time.Now().Add(longTime); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found := regexp.MustCompile(expression).FindStringSubmatch(text()); found != nil {
			return found
		}
	}
	t.Fatalf("no %q in\n%s", expression, text())
	return nil
}
