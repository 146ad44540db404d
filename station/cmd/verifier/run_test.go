package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hallmark/fixtures/prerequisite"
)

const boardID = "0b0a3b2c-6a43-4a2f-9d0e-3f1d52c7f001"

// A buffer holds the output of the program. The program and the test use it at the same time.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// waitFor waits for a text and returns the first match.
func (b *buffer) waitFor(t *testing.T, expression string) []string {
	t.Helper()
	re := regexp.MustCompile(expression)
	for range 2000 {
		if found := re.FindStringSubmatch(b.String()); found != nil {
			return found
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("no %q in:\n%s", expression, b)
	return nil
}

// A filesByOpenSSL is a directory with keys and certificates that openssl made.
type filesByOpenSSL struct {
	t   *testing.T
	dir string
}

func newFiles(t *testing.T) *filesByOpenSSL {
	t.Helper()
	prerequisite.Program(t, "openssl", "openssl")
	b := &filesByOpenSSL{t, t.TempDir()}
	ca := []string{"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"}
	b.make("root", "/O=Test/CN=Root", "", ca...)
	b.make("issuing", "/O=Test/CN=Issuing", "root", ca...)
	b.make("server", "/CN=verifier.test", "root", "-addext", "subjectAltName=DNS:verifier.test", "-addext", "extendedKeyUsage=serverAuth")
	b.make("good", "/O=Test/CN="+boardID+"/OU=Boards", "issuing", board...)
	b.make("selfsigned", "/O=Test/CN="+boardID+"/OU=Boards", "", board...)
	b.write("known", b.line("good", "active"))
	return b
}

var board = []string{
	"-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature",
	"-addext", "extendedKeyUsage=clientAuth",
}

func (b *filesByOpenSSL) path(name string) string { return filepath.Join(b.dir, name) }

func (b *filesByOpenSSL) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// make has openssl make a P-256 key and a certificate. Without an issuer the certificate is self-signed.
func (b *filesByOpenSSL) make(name, subject, issuer string, extra ...string) {
	b.t.Helper()
	b.makeKey([]string{"ec", "-pkeyopt", "ec_paramgen_curve:P-256"}, name, subject, issuer, extra...)
}

// makeKey is make for a key of another kind.
func (b *filesByOpenSSL) makeKey(kind []string, name, subject, issuer string, extra ...string) {
	b.t.Helper()
	args := append(append([]string{"req", "-x509", "-newkey"}, kind...), "-noenc", "-sha256", "-days", "2",
		"-config", "/dev/null", "-subj", subject, "-set_serial", serialOf(name), "-keyout", b.path(name+".key"), "-out", b.path(name+".pem"))
	if issuer != "" {
		args = append(args, "-CA", b.path(issuer+".pem"), "-CAkey", b.path(issuer+".key"))
	}
	if out, err := exec.CommandContext(b.t.Context(), "openssl", append(args, extra...)...).CombinedOutput(); err != nil {
		b.t.Fatalf("openssl %s: %v\n%s", name, err, out)
	}
}

// serialOf returns a serial number of 16 octets for a name.
func serialOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("0x40%x", sum[:15])
}

// line returns a line for the list of known certificates.
func (b *filesByOpenSSL) line(name, status string) string {
	b.t.Helper()
	text, err := os.ReadFile(b.path(name + ".pem"))
	if err != nil {
		b.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf(`{"serial":"%x","board_id":"%s","purpose":"tls","certificate_sha256":"%x","status":"%s"}`+"\n",
		parsed.SerialNumber, parsed.Subject.CommonName, sha256.Sum256(block.Bytes), status)
}

func (b *filesByOpenSSL) flags(extra ...string) []string {
	return append([]string{"--listen", "127.0.0.1:0", "--certificate", b.path("server.pem"), "--key", b.path("server.key"),
		"--root", b.path("root.pem"), "--intermediate", b.path("issuing.pem"), "--known", b.path("known")}, extra...)
}

// start runs the program, and returns its address and its log.
func (b *filesByOpenSSL) start(extra ...string) (address string, log *buffer) {
	b.t.Helper()
	return b.startWith("1 certificate known", b.flags(extra...)...)
}

// startWith is start with other flags. says is what the program says that it knows.
func (b *filesByOpenSSL) startWith(says string, flags ...string) (address string, log *buffer) {
	b.t.Helper()
	stdout, log := &buffer{}, &buffer{}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- run(ctx, flags, strings.NewReader(""), stdout, log) }()
	b.t.Cleanup(func() {
		cancel()
		if got := <-code; got != exitOK {
			b.t.Errorf("exit code %d\n%s", got, log)
		}
	})
	return stdout.waitFor(b.t, `listening on (\S+), server name verifier.test, `+says)[1], log
}

// client runs openssl s_client as the named board, and returns the output of s_client.
func (b *filesByOpenSSL) client(address, name string, extra ...string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	args := []string{"s_client", "-connect", address, "-servername", "verifier.test", "-verify_hostname", "verifier.test",
		"-CAfile", b.path("root.pem"), "-verify_return_error", "-quiet", "-ign_eof",
		"-cert", b.path(name + ".pem"), "-key", b.path(name + ".key")}
	command := exec.CommandContext(ctx, "openssl", append(args, extra...)...)
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n') // nothing comes to a client that is refused
	cancel()                                         // s_client would wait for the server to close
	_ = command.Wait()
	return line
}

func TestOpensslWithARegisteredCertificateIsAccepted(t *testing.T) {
	b := newFiles(t)
	address, log := b.start()
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		if got := b.client(address, "good", version); !regexp.MustCompile(`^ok [0-9a-f]{6}\n$`).MatchString(got) {
			t.Errorf("%s: the client read %q\n%s", version, got, log)
		}
	}
	log.waitFor(t, `msg=accepted .*issuer="CN=Issuing,O=Test" subject="CN=`+boardID+`,OU=Boards,O=Test" serial=40`)
}

func TestOpensslWithASelfSignedCertificateIsRefused(t *testing.T) {
	b := newFiles(t)
	address, log := b.start()
	if got := b.client(address, "selfsigned"); got != "" {
		t.Errorf("the client read %q", got)
	}
	log.waitFor(t, `msg=refused .*subject="CN=`+boardID+`.*reason="x509: certificate signed by unknown authority"`)
}

func TestTLS11IsRefused(t *testing.T) {
	b := newFiles(t)
	address, log := b.start()
	if got := b.client(address, "good", "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"); got != "" {
		t.Errorf("the client read %q", got)
	}
	log.waitFor(t, `handshake not completed.*tls: client offered only unsupported versions`)
}

func TestHangupReadsTheListAgain(t *testing.T) {
	b := newFiles(t)
	address, log := b.start("--log", "json")
	b.write("known", b.line("good", "revoked"))
	hangup(t)
	log.waitFor(t, `"msg":"reloaded"`)
	if got := b.client(address, "good"); got != "" {
		t.Errorf("a revoked board read %q", got)
	}
	log.waitFor(t, `"msg":"refused".*"reason":"certificate is not good any more: it is revoked`)

	b.write("known", `{"serial":"no"}`)
	hangup(t)
	log.waitFor(t, `the list from before stays.*known: reading the list of known certificates: line 1`)
}

func hangup(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

func TestSelfTestEndsByItself(t *testing.T) {
	b := newFiles(t)
	var stdout, stderr buffer
	if code := run(t.Context(), b.flags("--self-test"), strings.NewReader(""), &stdout, &stderr); code != exitOK {
		t.Errorf("exit code %d\n%s%s", code, &stdout, &stderr)
	}
	if n := strings.Count(stdout.String(), "\nok "); n != 9 {
		t.Errorf("%d checks are ok, want 9\n%s", n, &stdout)
	}
}

func TestBadInputIsNamed(t *testing.T) {
	b := newFiles(t)
	b.write("empty.pem", "")
	b.write("tworoots.pem", read(t, b.path("root.pem"))+read(t, b.path("issuing.pem")))
	b.write("badlist", "{\"serial\":\"00\"}\n")
	b.write("long.pem", read(t, b.path("root.pem"))+strings.Repeat("#", 70_000))
	b.write("openkey", read(t, b.path("server.key")))
	if err := os.Chmod(b.path("openkey"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"help", []string{"--help"}, exitOK, "the mutual-TLS endpoint that boards must convince"},
		{"the version", []string{"--version"}, exitOK, "\nPKCS#11: none, this program uses no HSM\n"},
		{"an unknown flag", []string{"--frobnicate"}, exitUsage, "flag provided but not defined: -frobnicate"},
		{"an argument", b.flags("extra"), exitUsage, `unexpected argument "extra"`},
		{"a missing flag", []string{"--key", "x"}, exitUsage, "--certificate is missing"},
		{"an unknown log format", b.flags("--log", "xml"), exitUsage, `--log "xml": want text or json`},
		{"a limit of zero", b.flags("--limit", "0"), exitUsage, "must be positive"},
		{"a missing file", b.flags("--known", b.path("nowhere")), exitUsage, "no such file"},
		{"a list that is none", b.flags("--known", b.path("badlist")), exitUsage, `line 1: want one JSON object with serial, board_id`},
		{"a root file without certificate", b.flags("--root", b.path("empty.pem")), exitUsage, "no PEM certificate"},
		{"two roots", b.flags("--root", b.path("tworoots.pem")), exitUsage, "want exactly one trust anchor, found 2"},
		{"a root file that is too long", b.flags("--root", b.path("long.pem")), exitUsage, "more than 65536 octets"},
		{"a key file as root", b.flags("--root", b.path("root.key")), exitUsage, "want only CERTIFICATE"},
		{"a key for everybody", b.flags("--key", b.path("openkey")), exitUsage, "chmod 600"},
		{"the key of another certificate", b.flags("--key", b.path("good.key")), exitUsage, "private key does not match"},
		{"a name the certificate does not have", b.flags("--server-name", "x.test"), exitUsage, "not x.test"},
		{"a board's certificate as server", b.flags("--certificate", b.path("good.pem"), "--key", b.path("good.key"), "--server-name", boardID), exitUsage, "checking the verifier's own certificate"},
		{"an address that is taken away", b.flags("--listen", "127.0.0.1:99999"), exitFault, "invalid port"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr buffer
			code := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr)
			if all := stdout.String() + stderr.String(); code != test.code || !strings.Contains(all, test.want) {
				t.Errorf("exit code %d, want %d; want …%s… in:\n%s", code, test.code, test.want, all)
			}
		})
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

func TestNoPKCS11IsLinked(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-buildvcs=false", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{"hallmark/hsm", "miekg/pkcs11", "hallmark/station/registry", "go-sqlite3"} {
		if strings.Contains(string(out), forbidden) {
			t.Errorf("%s is linked", forbidden)
		}
	}
}
