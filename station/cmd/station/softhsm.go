package main

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

	"hallmark/configs"
	"hallmark/hsm"
)

// The demo's token is a directory of files, so its configuration holds an
// absolute path. It is written anew when the state directory was moved.
func writeSoftHSMConf(s state) error {
	text := fmt.Appendf(nil, "# Written by the station. To look at the token: SOFTHSM2_CONF=%s pkcs11-tool ...\n"+
		"directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\nlibrary.reset_on_fork = false\n",
		s.softHSMConf(), s.in("hsm", "tokens"))
	if held, err := os.ReadFile(s.softHSMConf()); err == nil && bytes.Equal(held, text) {
		return nil
	}
	return writeFile(s.softHSMConf(), text)
}

// createToken makes the demo's token under a random PIN that only the PIN file knows.
func createToken(ctx context.Context, s state, config *configs.Config, random io.Reader) error {
	if err := os.MkdirAll(s.in("hsm", "tokens"), 0o700); err != nil {
		return fmt.Errorf("making the token's directory: %w", err)
	}
	if err := writeSoftHSMConf(s); err != nil {
		return fmt.Errorf("configuring SoftHSM: %w", err)
	}
	token, err := config.Token(string(s), fileExists)
	if err != nil {
		return usage(err)
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
	path := strings.TrimPrefix(config.PINSource(string(s)), "file:") // configs allows nothing else here
	if err := writeFile(path, append(bytes.Clone(pin), '\n')); err != nil {
		return fmt.Errorf("writing the PIN file: %w", err)
	}
	// The officer's PIN is dropped: a demo token is thrown away, not administered.
	if err := hsm.InitToken(ctx, token, hsm.NewSecret(officer), hsm.NewSecret(bytes.Clone(pin))); err != nil {
		return fmt.Errorf("making the token: %w", err)
	}
	return keepToken(s)
}

// SoftHSM writes the token's own object anew at every login, in place: a process
// that is killed in that moment leaves it cut off, and the token is gone. What a
// login writes is the same each time, so a copy made with the token cures it. A
// real HSM has no such file.
func keepToken(s state) error {
	path, err := tokenObject(s)
	if err != nil {
		return err
	}
	object, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("keeping a copy of the token's object: %w", err)
	}
	return writeFile(s.in("hsm", "token.copy"), object)
}

// healToken puts the copy back if the token's object was cut off.
func healToken(s state) (healed bool, err error) {
	kept, err := os.ReadFile(s.in("hsm", "token.copy"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // the token was not made by this program
	} else if err != nil {
		return false, fmt.Errorf("reading the copy of the token's object: %w", err)
	}
	path, err := tokenObject(s)
	if err != nil {
		return false, nil // opening the token says better what is missing
	}
	held, err := os.Stat(path)
	if err != nil {
		return false, fmt.Errorf("looking at the token's object: %w", err)
	}
	if held.Size() >= int64(len(kept)) {
		return false, nil
	}
	return true, writeFile(path, kept)
}

// tokenObject finds the one token of the directory.
func tokenObject(s state) (string, error) {
	found, err := filepath.Glob(s.in("hsm", "tokens", "*", "token.object"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s: %d tokens, want one", s.in("hsm", "tokens"), len(found))
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

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
