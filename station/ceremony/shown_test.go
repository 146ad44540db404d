package ceremony_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"hallmark/fixtures"
	"hallmark/station/ceremony"
)

// Whoever names a token or a directory must not write the screen and the paper that the witnesses rely on.
func TestATokenAndAPathWriteNoScreenAndNoPaper(t *testing.T) {
	fixtures.NewToken(t) // for SOFTHSM2_CONF
	before := serials(t)
	const label = "va\x1b[2Ju\u202elt\u3164"
	if said, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", fixtures.TestPIN).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	base := filepath.Join(t.TempDir(), "a\x1b[2J\n 9. sign nothing")
	must(t, os.Mkdir(base, 0o700))
	path := filepath.Join(base, "audit.yaml")
	made := slices.DeleteFunc(serials(t), func(serial string) bool { return slices.Contains(before, serial) })
	text := strings.Replace(fmt.Sprintf(auditKey, pinFile(t), "out"), "token_label: hallmark-test", "token_serial: "+made[0], 1)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	plan := fixtures.Must(ceremony.Read(path, "audit-key"))(t).Plan()
	shown, err := confirmed(t, path, "audit-key", func() {})
	must(t, err)
	texts := map[string]string{"plan": plan, "screen": shown}
	for _, name := range []string{"transcript.txt", "transcript.jsonl"} {
		texts[name] = string(fixtures.Must(os.ReadFile(filepath.Join(base, "out", name)))(t))
	}
	for name, text := range texts {
		if at := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) || r == '\u3164' }); at >= 0 {
			t.Errorf("the %s has the character %q:\n%s", name, []rune(text[at:])[0], text)
		}
		if strings.Contains(text, "\n 9. sign nothing") {
			t.Errorf("the %s has a line of the path:\n%s", name, text)
		}
		if name != "plan" && !strings.Contains(text, `va\x1b[2J`) && !strings.Contains(text, `va\\x1b[2J`) {
			t.Errorf("the %s does not name the token:\n%s", name, text)
		}
	}
}

// serials are the serial numbers of all tokens.
func serials(t *testing.T) (all []string) {
	t.Helper()
	for _, line := range strings.Split(string(fixtures.Must(exec.Command("softhsm2-util", "--show-slots").Output())(t)), "\n") {
		if _, serial, is := strings.Cut(line, "Serial number:"); is && strings.TrimSpace(serial) != "" {
			all = append(all, strings.TrimSpace(serial))
		}
	}
	return all
}

// A text that is printed and signed by hand must be the text of the key's signature, and say who gave the fingerprint.
func TestTheTextForPeopleIsSignedAndSaysHowTheFingerprintCame(t *testing.T) {
	fixtures.NewToken(t)
	for name, test := range map[string]struct {
		flag func(print string) string
		want string
	}{
		"a flag":         {func(print string) string { return print }, "--confirm of the command"},
		"standard input": {func(string) string { return "" }, "standard input, no terminal"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			path := filepath.Join(base, "audit.yaml")
			text := strings.Replace(fmt.Sprintf(auditKey, pinFile(t), "out"), "label: audit", "label: "+strings.ReplaceAll(name, " ", "-"), 1)
			must(t, os.WriteFile(path, []byte(text), 0o600))
			act := fixtures.Must(ceremony.Read(path, "audit-key"))(t)
			var screen strings.Builder
			act.Show, act.KeyedIn = &screen, func(context.Context) (string, error) { return "", nil }
			if err := act.Hold(t.Context()); err == nil {
				t.Fatal("nobody confirmed, and the ceremony was held")
			}
			_, after, _ := strings.Cut(screen.String(), "public key):")
			print := strings.Split(strings.TrimSpace(after), "\n")[0]
			again := fixtures.Must(ceremony.Read(path, "audit-key"))(t)
			again.Confirm(test.flag(print), strings.NewReader(print+"\n"))
			must(t, again.Hold(t.Context()))
			out := filepath.Join(base, "out")
			for _, file := range []string{"transcript.txt", "transcript.jsonl"} {
				if !bytes.Contains(fixtures.Must(os.ReadFile(filepath.Join(out, file)))(t), []byte(test.want)) {
					t.Errorf("%s does not say %q", file, test.want)
				}
			}
			verify := func() error {
				return exec.Command("openssl", "dgst", "-sha256", "-verify", filepath.Join(out, "key.pub"), "-signature", filepath.Join(out, "transcript.txt.sig"), filepath.Join(out, "transcript.txt")).Run()
			}
			must(t, verify())
			printed := filepath.Join(out, "transcript.txt")
			must(t, os.Chmod(printed, 0o600))
			must(t, os.WriteFile(printed, bytes.Replace(fixtures.Must(os.ReadFile(printed))(t), []byte("Anna"), []byte("Otto"), 1), 0o600))
			if verify() == nil {
				t.Error("a text with another witness verifies")
			}
		})
	}
}
