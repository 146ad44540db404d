package export

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hallmark/devices"
	"hallmark/fixtures/prerequisite"
	"hallmark/station/workdir"
)

// mbedTLS gives the source tree of mbedTLS that the firmware is built from.
func mbedTLS(t *testing.T) string {
	t.Helper()
	firmware := filepath.Join("..", "..", "devices", "firmware")
	tree := cmp.Or(os.Getenv("MBEDTLS_DIR"), filepath.Join(".cache", "mbedtls"))
	if !filepath.IsAbs(tree) {
		tree = filepath.Join(firmware, tree)
	}
	prerequisite.Firmware(t, filepath.Join(tree, "include", "mbedtls", "build_info.h"))
	tree, err := filepath.Abs(tree)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// mbedTLSParts are the files of mbedTLS that the program of the test needs.
var mbedTLSParts = strings.Fields("asn1parse asn1write base64 bignum bignum_core constant_time ecdsa ecp ecp_curves md oid pem pk pk_ecc pk_wrap pkparse platform platform_util sha256 x509 x509_crt")

// builder compiles C for this machine.
type builder struct {
	t               *testing.T
	gcc, tree, work string
	objects         []string // of mbedTLS
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	b := &builder{t: t, gcc: prerequisite.Program(t, "gcc", "gcc"), tree: mbedTLS(t), work: t.TempDir()}
	var sources []string
	for _, part := range mbedTLSParts {
		sources = append(sources, filepath.Join(b.tree, "library", part+".c"))
		b.objects = append(b.objects, filepath.Join(b.work, part+".o"))
	}
	b.run(append([]string{"-c"}, sources...)...)
	return b
}

// run calls gcc with the options that every file gets.
func (b *builder) run(args ...string) {
	b.t.Helper()
	config, err := filepath.Abs("testdata/c/config.h")
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(b.gcc, append([]string{"-O1", "-isystem", filepath.Join(b.tree, "include"), fmt.Sprintf("-DMBEDTLS_CONFIG_FILE=%q", config)}, args...)...)
	cmd.Dir = b.work
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("gcc %q: %v\n%s", args, err, out)
	}
}

// program compiles the exported files of a board into a program, strictly, and returns the lines that it prints, by their first word.
func (b *builder) program(exported string, board devices.BoardID) map[string]string {
	b.t.Helper()
	source, err := filepath.Abs("testdata/c/main.c")
	if err != nil {
		b.t.Fatal(err)
	}
	strict := []string{"-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I" + exported, "-I" + filepath.Join(exported, board.String()), "-o", "program", source}
	b.run(append(strict, b.objects...)...)
	var out, errs bytes.Buffer
	cmd := exec.Command(filepath.Join(b.work, "program"))
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("%v: %s%s", err, out.String(), errs.String())
	}
	printed := map[string]string{}
	for line := range strings.Lines(out.String()) {
		word, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		printed[word] = text
	}
	return printed
}

// subject asks openssl for the subject, in the form of mbedTLS for plain names.
func subject(t *testing.T, der []byte) string {
	t.Helper()
	cmd := exec.Command(prerequisite.Program(t, "openssl", "openssl"), "x509", "-noout", "-subject", "-nameopt", "sep_comma_plus_space,sname")
	cmd.Stdin = bytes.NewReader(workdir.CertificatePEM(der))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), "subject="))
}

func TestTheFilesForCCompileAndMbedTLSReadsThem(t *testing.T) {
	b := newBuilder(t)
	w := newWorld(t, 1)
	w.unit = "Device Client TLS"
	plain := w.add(devices.PurposeTLS)
	to := w.write(cSource)
	for _, row := range w.rows {
		printed := b.program(to, row.BoardID)
		if want := subject(t, w.chain.Issuing.Raw); printed["issuing"] != want {
			t.Errorf("mbedTLS reads the issuing CA %q, openssl %q", printed["issuing"], want)
		}
		if want := subject(t, plain.DER); row == plain && printed["device"] != want {
			t.Errorf("mbedTLS reads the board %q, openssl %q", printed["device"], want)
		}
		for name, want := range map[string]string{"ca_common_name": hostile, "issuing_common_name": "Issuing", "device_common_name": row.BoardID.String()} {
			if got, err := hex.DecodeString(printed[name]); err != nil || string(got) != want {
				t.Errorf("%s in C is %q, want %q, %v", name, got, want, err)
			}
		}
		if printed["ca"] == "" || !strings.Contains(printed["device"], "CN="+row.BoardID.String()) {
			t.Errorf("got %q", printed)
		}
	}
}

// identifier is an identifier of C99 (section 6.4.2.1) that begins with no underscore.
var identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)

func TestTheNamesInCAreIdentifiers(t *testing.T) {
	w := newWorld(t, 1)
	cose := w.add(devices.PurposeCOSE)
	to := w.write(cSource)
	id := w.rows[0].BoardID.String()
	want := []string{"ca_cert.h", "ca_cert.txt", "issuing_cert.h", "issuing_cert.txt", id + "/device_cert.h", id + "/device_cert.txt", id + "/device_chain.txt",
		cose.BoardID.String() + "/device_cose_cert.h", cose.BoardID.String() + "/device_cose_cert.txt", cose.BoardID.String() + "/device_cose_chain.txt"}
	got := names(t, to)
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Fatalf("got %q\nwant %q", got, want)
	}
	guards := map[string]bool{}
	for _, name := range got {
		text := read(t, to, name)
		for _, match := range regexp.MustCompile(`(?m)^(?:#ifndef|#define|static const (?:unsigned )?char) (\S+?)(?:\[.*)?$`).FindAllStringSubmatch(text, -1) {
			if !identifier.MatchString(match[1]) {
				t.Errorf("%s: %q is no identifier", name, match[1])
			}
		}
		if guard := regexp.MustCompile(`#define (\S+)`).FindStringSubmatch(text); strings.HasSuffix(name, ".h") && (guard == nil || guards[guard[1]]) {
			t.Errorf("%s: the guard %q is missing or taken", name, guard)
		} else if guard != nil {
			guards[guard[1]] = true
		}
		for line := range strings.Lines(text) {
			if strings.HasSuffix(name, ".txt") && !regexp.MustCompile(`^"[A-Za-z0-9+/= -]+\\n"\n$`).MatchString(line) {
				t.Errorf("%s: the line %q is no literal with its line end", name, line)
			}
		}
	}
}

func FuzzAStringInCIsPlainASCII(f *testing.F) {
	f.Add(hostile)
	f.Add("??=??/\"\\")
	f.Fuzz(func(t *testing.T, text string) {
		literal := cString(text)
		if !regexp.MustCompile(`^"(?:[ !#->@-\[\]-~]|\\n|\\[0-3][0-7][0-7])*"$`).MatchString(literal) {
			t.Fatalf("%q gives %s", text, literal)
		}
		back := regexp.MustCompile(`\\n|\\[0-7]{3}`).ReplaceAllStringFunc(literal[1:len(literal)-1], func(escape string) string {
			if escape == `\n` {
				return "\n"
			}
			var octet byte
			if _, err := fmt.Sscanf(escape[1:], "%03o", &octet); err != nil {
				t.Fatal(err)
			}
			return string([]byte{octet})
		})
		if back != text {
			t.Fatalf("%q comes back as %q", text, back)
		}
	})
}
