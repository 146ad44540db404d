// Package softtoken makes and keeps the SoftHSM token of a demonstration station.
// SoftHSM does not protect keys, so the token is only for demonstrations and CI.
package softtoken

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"

	"hallmark/hsm"
	"hallmark/station/workdir"
)

// A Dir is the absolute path of the directory that holds the token: SoftHSM's
// configuration, its object store, and a copy of the token's object.
type Dir string

func (d Dir) conf() string   { return filepath.Join(string(d), "softhsm2.conf") }
func (d Dir) tokens() string { return filepath.Join(string(d), "tokens") }
func (d Dir) copied() string { return filepath.Join(string(d), "token.copy") }

// Configure writes SoftHSM's configuration. The configuration holds an absolute path, so
// Configure writes a new configuration after the directory was moved.
func (d Dir) Configure() error {
	text := fmt.Appendf(nil, "# Written by the station. To look at the token: SOFTHSM2_CONF=%s pkcs11-tool ...\n"+
		"directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\nlibrary.reset_on_fork = false\n",
		d.conf(), d.tokens())
	if held, err := workdir.ReadFile(d.conf()); err == nil && bytes.Equal(held, text) {
		return nil
	}
	if err := workdir.WriteFile(d.conf(), text); err != nil {
		return fmt.Errorf("configuring SoftHSM: %w", err)
	}
	return nil
}

// errPath: SoftHSM's configuration has no way to write some characters.
var errPath = errors.New("SoftHSM cannot read a path with # or =; name another directory, or a token outside of it")

// CheckPath refuses a directory that SoftHSM's configuration cannot name.
func (d Dir) CheckPath() error {
	if strings.ContainsAny(string(d), "#=") {
		return fmt.Errorf("%s: %w", d, errPath)
	}
	return nil
}

// Create makes the token that config names, with a random PIN. Only the file pinPath holds the PIN.
func (d Dir) Create(ctx context.Context, config hsm.Config, pinPath string, random io.Reader) error {
	if err := os.MkdirAll(d.tokens(), 0o700); err != nil {
		return fmt.Errorf("making the token's directory: %w", err)
	}
	if err := d.Configure(); err != nil {
		return err
	}
	pin, err := randomPIN(random)
	if err != nil {
		return err
	}
	defer clear(pin)
	officer, err := randomPIN(random)
	if err != nil {
		return err
	}
	line := append(bytes.Clone(pin), '\n')
	defer clear(line)
	if err := workdir.WriteFile(pinPath, line); err != nil {
		return fmt.Errorf("writing the PIN file: %w", err)
	}
	// The PIN of the security officer is not kept, because the token of a demonstration needs no administration.
	if err := hsm.InitToken(ctx, config, hsm.NewSecret(officer), hsm.NewSecret(bytes.Clone(pin))); err != nil {
		return fmt.Errorf("making the token: %w", err)
	}
	return d.keep()
}

// maxObject is the largest file of a token's object, in octets. SoftHSM writes a few hundred.
const maxObject = 1 << 20

// keep copies the file of the token's object. SoftHSM writes this file again, in place, at
// every login. If the process is killed at that moment, the file is truncated and the token is
// lost. Every login writes the same octets, so the copy can repair the file. A real HSM has
// no such file.
func (d Dir) keep() error {
	path, err := d.object()
	if err != nil {
		return err
	}
	object, err := workdir.ReadUpTo(path, maxObject)
	if err != nil {
		return fmt.Errorf("keeping a copy of the token's object: %w", err)
	}
	return workdir.WriteFile(d.copied(), object)
}

// Heal replaces the file of the token's object by the copy if the file is truncated, and
// reports whether it did so.
func (d Dir) Heal() (healed bool, err error) {
	kept, err := workdir.ReadUpTo(d.copied(), maxObject)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // this program did not make the token
	} else if err != nil {
		return false, fmt.Errorf("reading the copy of the token's object: %w", err)
	}
	path, err := d.object()
	if err != nil {
		return false, nil // hsm.Open reports better what is missing
	}
	held, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("looking at the token's object: %w", err)
	}
	if held.Size() >= int64(len(kept)) {
		return false, nil
	}
	return true, workdir.WriteFile(path, kept)
}

// object returns the file of the only token in the directory.
func (d Dir) object() (string, error) {
	var found []string
	folders, err := os.ReadDir(d.tokens()) // no pattern, because the path may hold its characters
	for _, folder := range folders {
		if path := filepath.Join(d.tokens(), folder.Name(), "token.object"); workdir.Exists(path) {
			found = append(found, path)
		}
	}
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s: %d tokens, want one", d.tokens(), len(found))
	}
	return found[0], nil
}

// randomPIN draws 12 digits.
func randomPIN(random io.Reader) ([]byte, error) {
	pin := make([]byte, 12)
	for i := range pin {
		digit, err := rand.Int(random, big.NewInt(10))
		if err != nil {
			return nil, fmt.Errorf("drawing a PIN: %w", err)
		}
		pin[i] = '0' + byte(digit.Int64())
	}
	return pin, nil
}
