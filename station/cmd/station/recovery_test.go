package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station/workdir"
)

// docs/hsm.md, "From the maker's backup": the keys come into a second token, which says that they were not made there.
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

	// The token is lost. Its backup goes into a second one.
	lost := fixtures.TokenOf(t, dir)
	restored := lost.Restore(t, fixtures.PINOf(t, dir))
	if err := os.RemoveAll(filepath.Join(lost.Dir, "tokens")); err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte(fixtures.TestPIN), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range restored.Config.Environment {
		t.Setenv(name, value)
	}
	fixtures.Configure(t, dir, "create_token: true", "create_token: false", "file:hsm/pin", "file:"+pin)
	if code, out, errs := do(t, batch...); code != exitFault || !strings.Contains(errs, "token missing") {
		t.Fatalf("with the name of the lost token: exit code %d\n%s%s", code, out, errs)
	}
	fixtures.Configure(t, dir, "token_label: "+lost.Config.TokenLabel, "token_label: "+restored.Config.TokenLabel+"\n  token_serial: \""+serialOf(t, restored)+"\"")
	if code, out, errs := do(t, batch...); code != exitFault || !strings.Contains(errs, "CKA_LOCAL is no") {
		t.Fatalf("without the exception: exit code %d\n%s%s", code, out, errs)
	}

	fixtures.Configure(t, dir, "create_token: false", "create_token: false\n  exceptions: [restored-keys]")
	doctor := passes("doctor", "--dir", string(dir), "--ports", "")
	junit, jsonl := filepath.Join(t.TempDir(), "runs.xml"), filepath.Join(t.TempDir(), "runs.jsonl")
	table := passes(append(batch, "--junit", junit, "--jsonl", jsonl)...)
	passes("audit", "verify", "--dir", string(dir))
	// Each start with the new token notes that it has no checkpoint, until a checkpoint is signed, which lies there.
	missing := func() int {
		n := 0
		for _, e := range fixtures.Entries(t, dir) {
			if e.Type == "token.checkpoint.missing" {
				n++
			}
		}
		return n
	}
	before := missing()
	passes(batch...)
	if after := missing(); before == 0 || after != before {
		t.Errorf("%d entries token.checkpoint.missing, and %d after one more start", before, after)
	}
	for what, text := range map[string]string{
		"doctor": doctor, "the table": table, "the JUnit report": string(fixtures.Must(os.ReadFile(junit))(t)),
		"each JSON line": string(fixtures.Must(os.ReadFile(jsonl))(t)),
		"the audit log":  passes("audit", "show", "--dir", string(dir), "--type", "hsm.open"),
	} {
		if !strings.Contains(text, "restored-keys") {
			t.Errorf("%s does not show the exception:\n%s", what, text)
		}
	}
}

// serialOf gives the serial number of a token.
func serialOf(t *testing.T, token *fixtures.Token) string {
	t.Helper()
	open := fixtures.Must(hsm.Open(t.Context(), token.Config, token.PIN))(t)
	defer func() {
		if err := open.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	return open.Info().Serial
}
