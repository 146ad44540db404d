package ceremony_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/hsm"
	"hallmark/station/ceremony"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// half leaves the public half of a key on the token, as SoftHSM does when it is killed while it makes the pair, and takes the key's line
// from the journal, because a ceremony that is killed then has not written it.
func half(t *testing.T, label, journal, line string) {
	t.Helper()
	pkcs11Tool(t, "--delete-object", "--type", "privkey", "--label", label)
	text := fixtures.Must(os.ReadFile(journal))(t)
	at := bytes.Index(text, []byte(line))
	if at < 0 {
		t.Fatalf("no %s in %s", line, text)
	}
	must(t, os.Truncate(journal, int64(bytes.LastIndexByte(text[:at], '\n')+1)))
}

func pkcs11Tool(t *testing.T, args ...string) {
	t.Helper()
	all := append([]string{"--module", fixtures.SoftHSM(t), "--token-label", "hallmark-test", "--login", "--pin", fixtures.TestPIN}, args...)
	if out, err := exec.Command("pkcs11-tool", all...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// removeAsTold runs the command that an error names.
func removeAsTold(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, hsm.ErrKeyUnreadable) || errors.Is(err, hsm.ErrKeyExists) {
		t.Fatalf("got %v", err)
	}
	_, told, found := strings.Cut(err.Error(), "`pkcs11-tool ")
	told, _, _ = strings.Cut(told, "`")
	if !found {
		t.Fatalf("no command in %v", err)
	}
	pkcs11Tool(t, strings.Fields(told)[1:]...)
}

func TestACeremonyGoesOnAfterTheTokenWasKilledWhileItMadeTheKey(t *testing.T) {
	fixtures.NewToken(t)
	base := t.TempDir()
	path := filepath.Join(base, "audit.yaml")
	must(t, os.WriteFile(path, fmt.Appendf(nil, auditKey, pinFile(t), "out"), 0o600))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
		t.Fatal(err)
	}
	half(t, "audit", filepath.Join(base, "out", "transcript.unfinished"), `"what":"key-made"`)
	removeAsTold(t, hold(t, path))
	if fixtures.Must(confirmed(t, path, "audit-key", func() {}))(t); !workdir.Exists(filepath.Join(base, "out", "transcript.sig")) {
		t.Error("the ceremony is not finished")
	}
}

func TestAnInitGoesOnAfterTheTokenWasKilledWhileItMadeAKey(t *testing.T) {
	token := fixtures.NewToken(t)
	config, place := fmt.Sprintf(outside, pinFile(t)), workdir.Dir(filepath.Join(t.TempDir(), "D"))
	plan := parse(t, config)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	plan.DrawFrom(&stopAt{2, stop})
	if _, err := plan.Init(ctx, place); reason.ExitOf(err) != reason.ExitAborted {
		t.Fatalf("got %v", err)
	}
	for _, class := range []string{"privkey", "pubkey"} { // the stop came after the second key
		pkcs11Tool(t, "--delete-object", "--type", class, "--label", "hallmark-issuing")
	}
	half(t, "hallmark-root", place.In("init.unfinished"), `"made":true`)
	_, err := parse(t, config).Init(t.Context(), place)
	removeAsTold(t, err)
	fixtures.Must(parse(t, config).Init(t.Context(), place))(t)
	if keys := fixtures.Must(token.Open(t).Keys(t.Context()))(t); len(keys) != 3 {
		t.Errorf("%d keys on the token, want 3", len(keys))
	}
}
