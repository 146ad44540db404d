package hsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// maxPIN is the largest PIN, in octets.
const maxPIN = 256

// remember calls ask once and keeps its answer, for a source that can be read only once.
func remember(ask PINSource) PINSource {
	var mu sync.Mutex
	var kept Secret
	return func(ctx context.Context) (Secret, error) {
		mu.Lock()
		defer mu.Unlock()
		if kept.empty() {
			secret, err := ask(ctx)
			if err != nil {
				return Secret{}, err
			}
			kept = secret
		}
		return kept.copied(), nil
	}
}

// checkPIN strips one newline and refuses octets that cannot be a PIN (CK_UTF8CHAR
// without control characters), or that an editor probably added to a PIN: a token would count the
// login as a wrong PIN. No error contains the octets. checkPIN takes them over.
func checkPIN(octets []byte) (Secret, error) {
	pin := bytes.TrimSuffix(octets, []byte("\n"))
	bad := ""
	switch {
	case len(octets) > maxPIN:
		bad = "it holds more than 256 octets"
	case len(pin) == 0:
		bad = "it is empty"
	case bytes.HasPrefix(pin, []byte("\ufeff")):
		bad = "it begins with a byte order mark, which an editor wrote; save it as UTF-8 without one"
	case bytes.ContainsRune(pin, '\r'):
		bad = "it holds a carriage return, as lines of Windows do; write it with `printf %s 'PIN' > FILE && chmod 600 FILE`"
	case !utf8.Valid(pin) || bytes.ContainsFunc(pin, func(r rune) bool { return r < ' ' || r == 0x7f }):
		bad = "it holds control characters or is not UTF-8; a PIN is one line"
	case len(bytes.TrimSpace(pin)) != len(pin):
		bad = "it begins or ends with a blank; write it with `printf %s 'PIN' > FILE && chmod 600 FILE`"
	}
	if bad != "" {
		clear(octets)
		return Secret{}, refuse(ErrPINSource, "%s", bad)
	}
	return NewSecret(pin), nil
}

// readPIN reads a PIN to the end of r. It reads at most maxPIN+1 octets.
func readPIN(r io.Reader) (Secret, error) {
	buffer := make([]byte, maxPIN+1)
	n, err := io.ReadFull(r, buffer)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		clear(buffer)
		return Secret{}, refuse(ErrPINSource, "reading it: %w", err)
	}
	return checkPIN(buffer[:n])
}

func credentialSource(name string) (PINSource, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsRune(name, '/') {
		return nil, refuse(ErrPINSource, "credential: wants the plain name of a systemd credential")
	}
	return func(context.Context) (Secret, error) {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if !filepath.IsAbs(dir) {
			return Secret{}, refuse(ErrPINSource, "CREDENTIALS_DIRECTORY is not set; start the station as a systemd unit with LoadCredentialEncrypted=")
		}
		// systemd protects the directory; an ACL may let a group read its files.
		return readFile(filepath.Join(dir, name), 0o007)
	}, nil
}

func fileSource(path string) (PINSource, error) {
	if !filepath.IsAbs(path) {
		return nil, refuse(ErrPINSource, "file: wants an absolute path")
	}
	return func(context.Context) (Secret, error) { return readFile(path, 0o077) }, nil
}

// readFile reads a PIN file. It checks the file that it opened, not the path, so that
// nobody can exchange the file in between.
func readFile(path string, forbidden os.FileMode) (Secret, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return Secret{}, refuse(ErrPINSource, "%s is a symbolic link", path)
	}
	if err != nil {
		return Secret{}, refuse(ErrPINSource, "%w", err)
	}
	defer file.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return Secret{}, refuse(ErrPINSource, "looking at %s: %w", path, err)
	}
	mode := os.FileMode(stat.Mode & 0o777)
	switch {
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return Secret{}, refuse(ErrPINSource, "%s is not a file", path)
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return Secret{}, refuse(ErrPINSource, "%s belongs to user %d, neither us nor root", path, stat.Uid)
	case mode&forbidden != 0:
		return Secret{}, refuse(ErrPINSource, "%s has mode %04o; chmod 0600", path, mode)
	}
	secret, err := readPIN(file)
	if err != nil {
		return Secret{}, fmt.Errorf("%s: %w", path, err)
	}
	return secret, nil
}

// readDescriptor reads an inherited descriptor to its end and closes it.
func readDescriptor(ctx context.Context, fd int) (Secret, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return Secret{}, refuse(ErrPINSource, "descriptor %d is not open; was it passed on? %w", fd, err)
	}
	// Non-blocking mode lets ctx end the wait for a pipe that nobody writes to.
	if err := unix.SetNonblock(fd, true); err != nil {
		return Secret{}, refuse(ErrPINSource, "descriptor %d: %w", fd, err)
	}
	file := os.NewFile(uintptr(fd), "PIN")
	defer file.Close()
	defer interrupt(ctx, file)()
	return readPIN(file)
}

// interrupt ends reads of file when ctx ends.
func interrupt(ctx context.Context, file *os.File) (stop func()) {
	cancel := context.AfterFunc(ctx, func() {
		// SetReadDeadline fails for a regular file, whose reads do not block anyway.
		_ = file.SetReadDeadline(time.Unix(1, 0))
	})
	return func() { cancel() }
}

func environmentSource(name string) (PINSource, error) {
	plain := func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}
	if name == "" || strings.ContainsFunc(name, plain) {
		return nil, refuse(ErrPINSource, "env: wants the name of an environment variable")
	}
	return remember(func(context.Context) (Secret, error) {
		value, set := os.LookupEnv(name)
		if !set {
			return Secret{}, refuse(ErrPINSource, "environment variable %s is not set", name)
		}
		if err := os.Unsetenv(name); err != nil {
			return Secret{}, refuse(ErrPINSource, "unsetting %s: %w", name, err)
		}
		return checkPIN([]byte(value))
	}), nil
}
