package hsm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/hsm"
)

func TestAPINFileThatAnEditorChangedIsRefusedBeforeALogin(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	path := filepath.Join(t.TempDir(), "pin")
	source, err := hsm.ParsePINSource("file:" + path)
	must(t, err)
	for text, says := range map[string]string{
		"\ufeff" + fixtures.TestPIN + "\n": "byte order mark", fixtures.TestPIN + "\r\n": "carriage return", fixtures.TestPIN + "\r": "carriage return",
		fixtures.TestPIN + " \n": "blank", fixtures.TestPIN + "\t\n": "control characters", " " + fixtures.TestPIN: "blank", fixtures.TestPIN + "\u00a0": "blank",
		fixtures.TestPIN + "\n\n": "one line",
	} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := hsm.Open(t.Context(), shim.Config, source)
		want(t, err, hsm.ErrPINSource)
		if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if n := shim.Calls(t, "C_Login"); n != 0 {
		t.Errorf("%d logins", n)
	}
	must(t, os.WriteFile(path, []byte(fixtures.TestPIN+"\n"), 0o600))
	token, err := hsm.Open(t.Context(), shim.Config, source)
	must(t, err)
	must(t, token.Close(t.Context()))
}
