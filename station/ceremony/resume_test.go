package ceremony_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station/ceremony"
	"hallmark/station/workdir"
)

const rootKey = `ceremony: root
hsm: {module: softhsm2, token_label: hallmark-test, allow_software_token: true, pin_source: "file:%s"}
key: {label: root}
subject: {common_name: ACME root}
not_after: never
path_length: 1
out: out
witnesses: [Anna, Ben]
`

const requestKey = `ceremony: csr
hsm: {module: softhsm2, token_label: hallmark-test, allow_software_token: true, pin_source: "file:%s"}
key: {label: issuing}
subject: {common_name: ACME line 1}
out: out
witnesses: [Anna, Ben]
`

// confirmed holds the ceremony of a file, and calls before when the fingerprint is to be typed.
func confirmed(t *testing.T, path, kind string, before func()) (shown string, err error) {
	t.Helper()
	act := fixtures.Must(ceremony.Read(path, kind))(t)
	var screen strings.Builder
	act.Show = &screen
	act.KeyedIn = func(context.Context) (string, error) {
		before()
		_, text, _ := strings.Cut(screen.String(), "public key):")
		return strings.Split(strings.TrimSpace(text), "\n")[0], nil
	}
	err = act.Hold(t.Context())
	return screen.String(), err
}

// certificates are the certificates in a transcript, and serials what it intended to sign.
func certificates(t *testing.T, path string) (all []*x509.Certificate, serials []string) {
	t.Helper()
	for row := range bytes.Lines(fixtures.Must(os.ReadFile(path))(t)) {
		var one struct {
			What  string
			Facts map[string]string
		}
		must(t, json.Unmarshal(row, &one))
		switch one.What {
		case "certificate":
			all = append(all, fixtures.Must(workdir.ParseCertificates([]byte(one.Facts["pem"])))(t)...)
		case "certificate-intended":
			serials = append(serials, one.Facts["serial"])
		}
	}
	return all, serials
}

// A CA that signed two certificates for one ceremony would have a serial number of which no paper knows.
func TestACeremonySignsOneCertificateHoweverOftenItIsStopped(t *testing.T) {
	for _, test := range []struct{ name, cut, want string }{
		{"the certificate is on record", "", "certificate-taken"},
		{"only the intent is on record", `"certificate"`, "certificate-repeated"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fixtures.NewToken(t)
			base := t.TempDir()
			path, out := filepath.Join(base, "root.yaml"), filepath.Join(base, "out")
			must(t, os.WriteFile(path, fmt.Appendf(nil, rootKey, pinFile(t)), 0o600))
			_, err := confirmed(t, path, "root", func() { must(t, os.WriteFile(filepath.Join(out, "root.pem"), nil, 0o400)) })
			if !errors.Is(err, ceremony.ErrOutput) || !strings.Contains(err.Error(), "is signed and in the transcript; the same command takes it") {
				t.Fatalf("the root cannot be written: got %v", err)
			}
			unfinished := filepath.Join(out, "transcript.unfinished")
			first, serials := certificates(t, unfinished)
			if len(first) != 1 || len(serials) != 1 {
				t.Fatalf("%d certificates on record, and the serial numbers %v", len(first), serials)
			}
			if test.cut != "" { // the answer of the token got lost
				text := fixtures.Must(os.ReadFile(unfinished))(t)
				at := bytes.Index(text, []byte(`"what":`+test.cut))
				must(t, os.Truncate(unfinished, int64(bytes.LastIndexByte(text[:at], '\n')+1)))
			}
			shown, err := confirmed(t, path, "root", func() {})
			must(t, err)
			if !strings.Contains(shown, test.want) || !strings.Contains(shown, serials[0]) {
				t.Errorf("the screen does not say %s with the serial number %s:\n%s", test.want, serials[0], shown)
			}
			made := fixtures.Must(workdir.ParseCertificates(fixtures.Must(os.ReadFile(filepath.Join(out, "root.pem")))(t)))(t)[0]
			if !bytes.Equal(made.RawTBSCertificate, first[0].RawTBSCertificate) || test.cut == "" && !made.Equal(first[0]) {
				t.Errorf("the resumed ceremony gives serial number %x, and the stopped one had %x", made.SerialNumber, first[0].SerialNumber)
			}
			all, intended := certificates(t, filepath.Join(out, "transcript.jsonl"))
			if len(all) != 1 || len(intended) != 1 {
				t.Errorf("the transcript has %d certificates and intends the serial numbers %v", len(all), intended)
			}
		})
	}
}

// Somebody who can write the transcript must not get another content signed under its serial number, nor a certificate of another key taken.
func TestACertificateOnRecordIsTakenOnlyIfTheFileAsksForIt(t *testing.T) {
	for _, test := range []struct {
		name, from, to string
		want           error
		text           string
	}{
		{"another content", `"tbs_sha256":"`, `"tbs_sha256":"0`, ceremony.ErrRecord, "count the serial number"},
		{"an older version, which did not say from when", `"not_before"`, `"not-before"`, ceremony.ErrRecord, "an older version of this program wrote it; go on with the program that began"},
		{"no serial number", `"serial":"`, `"serial":"-x`, ceremony.ErrTranscript, "has no serial number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fixtures.NewToken(t)
			base := t.TempDir()
			path, out := filepath.Join(base, "root.yaml"), filepath.Join(base, "out")
			must(t, os.WriteFile(path, fmt.Appendf(nil, rootKey, pinFile(t)), 0o600))
			if _, err := confirmed(t, path, "root", func() { must(t, os.WriteFile(filepath.Join(out, "root.pem"), nil, 0o400)) }); !errors.Is(err, ceremony.ErrOutput) {
				t.Fatal(err)
			}
			unfinished := filepath.Join(out, "transcript.unfinished")
			text := fixtures.Must(os.ReadFile(unfinished))(t)
			at := bytes.Index(text, []byte(`"what":"certificate"`))
			text = text[:bytes.LastIndexByte(text[:at], '\n')+1]
			lastLine := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
			changed := strings.Replace(string(text[lastLine:]), test.from, test.to, 1)
			must(t, os.WriteFile(unfinished, append(text[:lastLine:lastLine], changed...), 0o600))
			if _, err := confirmed(t, path, "root", func() {}); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v", err)
			}
			if workdir.Exists(filepath.Join(out, "transcript.sig")) {
				t.Error("the ceremony finished")
			}
		})
	}
}

// The vault may have the request already, so it keeps its hash.
func TestAResumedCeremonyTakesTheRequestOnRecord(t *testing.T) {
	fixtures.NewToken(t)
	base := t.TempDir()
	path, out := filepath.Join(base, "csr.yaml"), filepath.Join(base, "out")
	must(t, os.WriteFile(path, fmt.Appendf(nil, requestKey, pinFile(t)), 0o600))
	if _, err := confirmed(t, path, "csr", func() { must(t, os.WriteFile(filepath.Join(out, "key.pub"), nil, 0o400)) }); !errors.Is(err, ceremony.ErrOutput) {
		t.Fatal(err)
	}
	request := fixtures.Must(os.ReadFile(filepath.Join(out, "request.pem")))(t)
	fixtures.Must(confirmed(t, path, "csr", func() {}))(t)
	if again := fixtures.Must(os.ReadFile(filepath.Join(out, "request.pem")))(t); !bytes.Equal(again, request) {
		t.Error("the resumed ceremony signed another request")
	}
}

// Label and id are written on the token by whoever made the key. Only the fingerprint on record tells the key of the ceremony.
func TestAStoppedCeremonyGoesOnOnlyWithTheKeyThatItMade(t *testing.T) {
	for name, put := range map[string]bool{"exchanged": true, "removed": false} {
		t.Run(name, func(t *testing.T) {
			token := fixtures.NewToken(t)
			base := t.TempDir()
			path := filepath.Join(base, "audit.yaml")
			must(t, os.WriteFile(path, fmt.Appendf(nil, auditKey, pinFile(t), "out"), 0o600))
			if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
				t.Fatal(err)
			}
			opened := token.Open(t)
			ref := hsm.KeyRef{Label: "audit", ID: fixtures.Must(opened.Keys(t.Context()))(t)[0].ID}
			must(t, opened.Close(t.Context()))
			for _, object := range fixtures.Must(filepath.Glob(filepath.Join(token.Dir, "tokens", "*", "*.object")))(t) {
				if filepath.Base(object) != "token.object" {
					must(t, os.Remove(object))
				}
			}
			opened = token.Open(t)
			if put {
				fixtures.Must(opened.Generate(t.Context(), ref))(t)
			}
			must(t, opened.Close(t.Context()))
			_, err := confirmed(t, path, "audit-key", func() { t.Error("the witnesses are asked") })
			if !errors.Is(err, map[bool]error{true: hsm.ErrKeyDiffers, false: hsm.ErrKeyMissing}[put]) || !strings.Contains(err.Error(), "fingerprint") || !strings.Contains(err.Error(), "begin again with another label") {
				t.Errorf("got %v", err)
			}
			if keys := fixtures.Must(token.Open(t).Keys(t.Context()))(t); len(keys) != map[bool]int{true: 1, false: 0}[put] {
				t.Errorf("%d keys on the token", len(keys))
			}
		})
	}
}
