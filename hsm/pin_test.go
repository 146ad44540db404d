package hsm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// No error may contain this PIN.
const examplePIN = "geheim-4711"

func parse(t *testing.T, text string) PINSource {
	t.Helper()
	source, err := ParsePINSource(text)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// wantPIN asks the source and compares the PIN.
func wantPIN(t *testing.T, source PINSource, want string) {
	t.Helper()
	secret, err := source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if secret.reveal() != want {
		t.Fatalf("got another PIN of %d octets", len(secret.reveal()))
	}
	secret.Wipe()
}

// wantRefusal asks the source, and checks that the error contains the reason and not the PIN.
func wantRefusal(t *testing.T, source PINSource, because string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	secret, err := source(ctx)
	if !errors.Is(err, ErrPINSource) || !strings.Contains(err.Error(), because) {
		t.Fatalf("got %v; want ErrPINSource because %q", err, because)
	}
	if strings.Contains(err.Error(), examplePIN) || !secret.empty() {
		t.Fatalf("the PIN leaks: %v", err)
	}
}

func TestTextsThatNameNoPINSource(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "a PIN": examplePIN, "a PIN that looks like a source": "pin:" + examplePIN,
		"a command": "|echo " + examplePIN, "prompt with a name": "prompt:" + examplePIN,
		"a relative file": "file:" + examplePIN, "a file without a path": "file:",
		"a credential with a directory": "credential:../" + examplePIN, "a credential without a name": "credential:",
		"the directory of credentials": "credential:.", "the one above": "credential:..",
		"standard input": "fd:0", "standard error": "fd:2", "a negative descriptor": "fd:-3", "a descriptor with a sign": "fd:+3",
		"a descriptor with a zero in front": "fd:03", "a huge descriptor": "fd:99999", "no descriptor": "fd:",
		"an environment variable with =": "env:A=" + examplePIN, "an environment variable without a name": "env:",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePINSource(text)
			if !errors.Is(err, ErrPINSource) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), examplePIN) {
				t.Fatalf("the error shows what may be the PIN: %v", err)
			}
		})
	}
}

// pinFile writes a file with content and mode, and returns its path.
func pinFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPINFileIsReadAnewEachTime(t *testing.T) {
	for name, test := range map[string]struct{ content, want string }{
		"without a newline":                  {examplePIN, examplePIN},
		"with one newline":                   {examplePIN + "\n", examplePIN},
		"with a space, which belongs to it":  {"a b", "a b"},
		"of the greatest length":             {strings.Repeat("7", 256), strings.Repeat("7", 256)},
		"in UTF-8":                           {"größe", "größe"},
		"with the module's own id in front":  {"0001password", "0001password"},
		"of a cloud HSM's user and password": {"CU_user:password", "CU_user:password"},
	} {
		t.Run(name, func(t *testing.T) {
			path := pinFile(t, test.content, 0o600)
			source := parse(t, "file:"+path)
			wantPIN(t, source, test.want)
			wantPIN(t, source, test.want)
			if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
				t.Fatal(err)
			}
			wantPIN(t, source, "new")
		})
	}
}

func TestPINFilesThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		mode    os.FileMode
		because string
	}{
		"empty":                      {"", 0o600, "empty"},
		"only a newline":             {"\n", 0o600, "empty"},
		"two newlines":               {examplePIN + "\n\n", 0o600, "one line"},
		"two lines":                  {examplePIN + "\nuser\n", 0o600, "one line"},
		"a carriage return":          {examplePIN + "\r\n", 0o600, "carriage return"},
		"a zero octet":               {examplePIN + "\x00", 0o600, "one line"},
		"not UTF-8":                  {examplePIN + "\xff", 0o600, "UTF-8"},
		"too long":                   {examplePIN + strings.Repeat("7", 256), 0o600, "256"},
		"readable by the group":      {examplePIN, 0o640, "mode 0640"},
		"readable by all":            {examplePIN, 0o604, "mode 0604"},
		"writable by the group":      {examplePIN, 0o620, "mode 0620"},
		"readable by all, in effect": {examplePIN, 0o644, "chmod 0600"},
	} {
		t.Run("a file that is "+name, func(t *testing.T) {
			wantRefusal(t, parse(t, "file:"+pinFile(t, test.content, test.mode)), test.because)
		})
	}
	dir := t.TempDir()
	t.Run("a file that is missing", func(t *testing.T) {
		wantRefusal(t, parse(t, "file:"+filepath.Join(dir, "none")), "no such file")
	})
	t.Run("a directory", func(t *testing.T) { wantRefusal(t, parse(t, "file:"+dir), "not a file") })
	t.Run("a symbolic link", func(t *testing.T) {
		link := filepath.Join(dir, "link")
		if err := os.Symlink(pinFile(t, examplePIN, 0o600), link); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, parse(t, "file:"+link), "symbolic link")
	})
	t.Run("a named pipe, without waiting for a writer", func(t *testing.T) {
		fifo := filepath.Join(dir, "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, parse(t, "file:"+fifo), "not a file")
	})
	t.Run("a file of somebody else", func(t *testing.T) {
		path := pinFile(t, examplePIN, 0o600)
		if err := os.Chown(path, 12345, -1); err != nil {
			t.Logf("only root can give a file away, so this check was not made: %v", err)
			return
		}
		wantRefusal(t, parse(t, "file:"+path), "belongs to user 12345")
	})
}

func TestACredentialComesFromItsDirectory(t *testing.T) {
	path := pinFile(t, examplePIN+"\n", 0o440) // the mode that systemd sets
	source := parse(t, "credential:pin")
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	wantPIN(t, source, examplePIN)
	wantPIN(t, source, examplePIN)
	wantRefusal(t, parse(t, "credential:other"), "no such file")
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, source, "mode 0444")
	t.Setenv("CREDENTIALS_DIRECTORY", "relative")
	wantRefusal(t, source, "CREDENTIALS_DIRECTORY")
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	wantRefusal(t, source, "CREDENTIALS_DIRECTORY")
}

func TestAnEnvironmentVariableIsUnsetOnceRead(t *testing.T) {
	t.Setenv("TEST_HSM_PIN", examplePIN)
	source := parse(t, "env:TEST_HSM_PIN")
	wantPIN(t, source, examplePIN)
	if _, set := os.LookupEnv("TEST_HSM_PIN"); set {
		t.Error("children would inherit the PIN")
	}
	wantPIN(t, source, examplePIN) // as for a reopen
	wantRefusal(t, parse(t, "env:TEST_HSM_PIN"), "not set")
}

// pipe returns a descriptor whose other end wrote content and was closed, as a process
// that starts the station passes it.
func pipe(t *testing.T, content string) int {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(ends[1], []byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(ends[1]); err != nil {
		t.Fatal(err)
	}
	return ends[0]
}

func TestADescriptorIsReadToItsEndAndClosed(t *testing.T) {
	fd := pipe(t, examplePIN+"\n")
	source := parse(t, fmt.Sprintf("fd:%d", fd))
	wantPIN(t, source, examplePIN)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("descriptor %d is still open: %v", fd, err)
	}
	wantPIN(t, source, examplePIN) // kept for a reopen
}

func TestDescriptorsThatAreRefused(t *testing.T) {
	t.Run("one that is not open", func(t *testing.T) { wantRefusal(t, parse(t, "fd:4000"), "not open") })
	t.Run("one with too much", func(t *testing.T) {
		wantRefusal(t, parse(t, fmt.Sprintf("fd:%d", pipe(t, strings.Repeat("7", 300)))), "256")
	})
	t.Run("one with nothing", func(t *testing.T) { wantRefusal(t, parse(t, fmt.Sprintf("fd:%d", pipe(t, ""))), "empty") })
	t.Run("one that nobody writes to ends with the context", func(t *testing.T) {
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(ends[1])
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := parse(t, fmt.Sprintf("fd:%d", ends[0]))(ctx); !errors.Is(err, ErrPINSource) {
			t.Errorf("got %v", err)
		}
	})
}
