package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/workdir"
)

// docs/hsm.md, "From the maker's backup". The backup of a SoftHSM token is a copy of its directory, and the shim
// has the token say what an HSM says of keys that were restored.
func TestAStationGoesOnWithKeysFromABackup(t *testing.T) {
	needSoftHSM(t)
	firmware := firmwareFolder(t)
	dir := workdir.Dir(filepath.Join(t.TempDir(), "D"))
	batch := []string{"batch", "--dir", string(dir), "--boards", "posix:1", "--count", "1", "--firmware", firmware, "--progress", "none"}
	passes := func(args ...string) string {
		t.Helper()
		code, out, errs := do(t, args...)
		if code != exitPass {
			t.Fatalf("%s: exit code %d\n%s%s", args[0], code, out, errs)
		}
		return out + errs
	}
	passes("init", "--dir", string(dir))
	passes(batch...)

	// The token is lost; its backup goes into another place.
	token := restoredToken(t, dir)
	shim := fixtures.NewShim(t, token)
	shim.Fail(t, "restored 1")
	for name, value := range shim.Config.Environment {
		t.Setenv(name, value)
	}
	fixtures.Configure(t, dir, "create_token: true", "create_token: false", "module: softhsm2", "module: "+shim.Config.Module)
	if code, out, errs := do(t, batch...); code != exitFault || !strings.Contains(errs, "CKA_LOCAL is no") {
		t.Fatalf("without the exception: exit code %d\n%s%s", code, out, errs)
	}

	fixtures.Configure(t, dir, "create_token: false", "create_token: false\n  exceptions: [restored-keys]")
	doctor := passes("doctor", "--dir", string(dir), "--ports", "")
	junit := filepath.Join(t.TempDir(), "runs.xml")
	table := passes(append(batch, "--junit", junit)...)
	passes("audit", "verify", "--dir", string(dir))
	for what, text := range map[string]string{
		"doctor": doctor, "the table": table, "the JUnit report": string(fixtures.Must(os.ReadFile(junit))(t)),
		"the audit log": passes("audit", "show", "--dir", string(dir), "--type", "hsm.open"),
	} {
		if !strings.Contains(text, "restored-keys") {
			t.Errorf("%s does not show the exception:\n%s", what, text)
		}
	}
}

// restoredToken moves the token of a demonstration into another directory.
func restoredToken(t *testing.T, dir workdir.Dir) *fixtures.Token {
	t.Helper()
	token := fixtures.TokenOf(t, dir)
	token.Dir = t.TempDir()
	if err := os.Rename(filepath.Join(dir.HSM(), "tokens"), filepath.Join(token.Dir, "tokens")); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(token.Dir, "softhsm2.conf")
	text := "directories.tokendir = " + filepath.Join(token.Dir, "tokens") + "\nobjectstore.backend = file\nlog.level = ERROR\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	token.Config.Environment["SOFTHSM2_CONF"] = conf
	return token
}
