package ceremony_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hallmark/fixtures"
	"hallmark/fixtures/prerequisite"
	"hallmark/hsm"
	"hallmark/station/ceremony"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

const auditKey = `ceremony: audit-key
hsm: {module: softhsm2, token_label: hallmark-test, allow_software_token: true, pin_source: "file:%s"}
key: {label: audit}
out: %s
witnesses: [Anna, Ben]
`

// hold holds the ceremony of a file. Nobody confirms the fingerprint.
func hold(t *testing.T, path string) error {
	t.Helper()
	act := fixtures.Must(ceremony.Read(path, "audit-key"))(t)
	act.KeyedIn = func(context.Context) (string, error) { return "", nil }
	return act.Hold(t.Context())
}

// The engineer corrects the file and holds the ceremony. Nothing was made before.
func TestAFileWithATypoIsCorrected(t *testing.T) {
	fixtures.NewToken(t)
	base := t.TempDir()
	path := filepath.Join(base, "audit.yaml")
	right := fmt.Sprintf(auditKey, pinFile(t), "out")
	must(t, os.WriteFile(path, []byte(strings.Replace(right, "hallmark-test", "halmark-test", 1)), 0o600))
	if err := hold(t, path); !errors.Is(err, hsm.ErrTokenMissing) || workdir.Exists(filepath.Join(base, "out")) {
		t.Errorf("with a typo: got %v; the directory is there: %v", err, workdir.Exists(filepath.Join(base, "out")))
	}
	must(t, os.WriteFile(path, []byte(right), 0o600))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
		t.Errorf("corrected: got %v", err)
	}
}

// The second process would make or sign everything once more, and remove what the first has written.
func TestASecondCeremonyOfOneFileIsRefusedWhileTheFirstIsHeld(t *testing.T) {
	fixtures.NewToken(t)
	base := t.TempDir()
	path := filepath.Join(base, "audit.yaml")
	must(t, os.WriteFile(path, fmt.Appendf(nil, auditKey, pinFile(t), "out"), 0o600))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) { // both go on with a ceremony that was stopped
		t.Fatal(err)
	}
	first := fixtures.Must(ceremony.Read(path, "audit-key"))(t)
	var shown strings.Builder
	first.Show = &shown
	first.KeyedIn = func(context.Context) (string, error) {
		if err := hold(t, path); !errors.Is(err, workdir.ErrJournalInUse) {
			t.Errorf("the second ceremony: got %v", err)
		}
		_, text, _ := strings.Cut(shown.String(), "public key):")
		return strings.Split(strings.TrimSpace(text), "\n")[0], nil
	}
	must(t, first.Hold(t.Context()))
	if !workdir.Exists(filepath.Join(base, "out", "transcript.sig")) || workdir.Exists(filepath.Join(base, "out", "transcript.unfinished")) {
		t.Error("the first ceremony did not finish")
	}
	if _, err := ceremony.Read(path, "audit-key"); !errors.Is(err, ceremony.ErrOutput) {
		t.Errorf("after the end: got %v", err)
	}
}

// throughShim puts a module that can fail in front of a token. It returns a configuration or a ceremony with this module.
func throughShim(t *testing.T, text string) (changed string, shim *fixtures.Shim) {
	t.Helper()
	shim = fixtures.NewShim(t, fixtures.NewToken(t))
	for name, value := range shim.Config.Environment {
		t.Setenv(name, value)
	}
	return strings.Replace(text, "module: softhsm2", "module: "+shim.Config.Module, 1), shim
}

// closesBadly does what throughShim does. After fail the module says at its end that it failed.
func closesBadly(t *testing.T, text string) (changed string, fail func()) {
	t.Helper()
	changed, shim := throughShim(t, text)
	return changed, func() {
		shim.Fail(t, "after_C_Finalize 7") // CKR_ARGUMENTS_BAD: no sign of a token that went away
	}
}

// All results are written and signed when the HSM is closed, so no second ceremony is to be held.
func TestAFinishedCeremonyWhoseTokenClosesBadlyIsNotReportedAsStopped(t *testing.T) {
	base := t.TempDir()
	path := filepath.Join(base, "audit.yaml")
	text, fail := closesBadly(t, fmt.Sprintf(auditKey, pinFile(t), "out"))
	must(t, os.WriteFile(path, []byte(text), 0o600))
	act := fixtures.Must(ceremony.Read(path, "audit-key"))(t)
	var shown strings.Builder
	act.Show = &shown
	act.KeyedIn = func(context.Context) (string, error) {
		fail()
		_, text, _ := strings.Cut(shown.String(), "public key):")
		return strings.Split(strings.TrimSpace(text), "\n")[0], nil
	}
	err := act.Hold(t.Context())
	if err == nil || !strings.Contains(err.Error(), "closing the HSM") || !strings.Contains(err.Error(), "the ceremony is finished") || strings.Contains(err.Error(), "the key ") {
		t.Errorf("got %v", err)
	}
	if !workdir.Exists(filepath.Join(base, "out", "transcript.sig")) || workdir.Exists(filepath.Join(base, "out", "transcript.unfinished")) {
		t.Error("the ceremony did not finish")
	}
}

// Whoever stops at the PIN learns which key a stopped ceremony has left.
func TestAStopAtThePINNamesTheKey(t *testing.T) {
	fixtures.NewToken(t)
	base, pin := t.TempDir(), pinFile(t)
	path := filepath.Join(base, "audit.yaml")
	must(t, os.WriteFile(path, fmt.Appendf(nil, auditKey, pin, "out"), 0o600))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
		t.Fatal(err)
	}
	must(t, os.Remove(pin))
	if err := hold(t, path); err == nil || !strings.Contains(err.Error(), `the key "audit" with id`) {
		t.Errorf("without a PIN: got %v", err)
	}
	act := fixtures.Must(ceremony.Read(path, "audit-key"))(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := act.Hold(ctx); err == nil || !strings.HasPrefix(err.Error(), `stopped; the key "audit" with id`) || reason.ExitOf(err) != reason.ExitAborted {
		t.Errorf("stopped: got %v", err)
	}
}

// A disk that is full in the middle of a line would end the ceremony for good, with its key on the token.
func TestACeremonyGoesOnAfterTheDiskWasFull(t *testing.T) {
	fixtures.NewToken(t)
	base := t.TempDir()
	disk, path := prerequisite.SmallDisk(t, "8m"), filepath.Join(base, "audit.yaml")
	must(t, os.WriteFile(path, fmt.Appendf(nil, auditKey, pinFile(t), filepath.Join(disk, "out")), 0o600))
	filler := filepath.Join(disk, "filler")
	fill := func() {
		if err := os.WriteFile(filler, make([]byte, 16<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
	}
	fill()
	if err := hold(t, path); !errors.Is(err, unix.ENOSPC) || workdir.Exists(filepath.Join(disk, "out")) {
		t.Errorf("before anything was made: got %v", err)
	}
	must(t, os.Remove(filler))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
		t.Fatalf("got %v", err)
	}
	fill() // the file of the transcript has some octets left in its last page
	err := hold(t, path)
	for range 8 {
		if !errors.Is(err, ceremony.ErrConfirmed) {
			break
		}
		err = hold(t, path)
	}
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), `the key "audit" with id`) {
		t.Errorf("with a full disk: got %v", err)
	}
	must(t, os.Remove(filler))
	if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
		t.Errorf("with space again: got %v", err)
	}
}

// The file of a ceremony stands in its transcript, and each stop adds lines.
func TestACeremonyWithALongFileGoesOn(t *testing.T) {
	fixtures.NewToken(t)
	base := t.TempDir()
	path := filepath.Join(base, "audit.yaml")
	text := fmt.Sprintf(auditKey, pinFile(t), "out")
	must(t, os.WriteFile(path, []byte(text+strings.Repeat("#\n", (workdir.MaxFile-len(text))/2)), 0o600))
	for range 2 {
		if err := hold(t, path); !errors.Is(err, ceremony.ErrConfirmed) {
			t.Fatal(err)
		}
	}
	fixtures.Must(confirmed(t, path, "audit-key", func() {}))(t)
}
