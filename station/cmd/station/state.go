package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A state is the path of a station's state directory, always absolute.
//
//	station.yaml profile.yaml   the configuration that `init` was given
//	profile-cose.yaml           with a profile for COSE keys
//	hsm/                        demo only: SoftHSM's token, its configuration, the PIN file
//	pki/                        certificates, the key of the verifier's endpoint, the audit log's public key
//	registry.db                 boards, certificates, audit log
//	certificates/               what batch and enrol passed, for each board and key
//	bays/BAY/N/                 fuses and flash of emulated boards
//	log/station.log             for engineers
type state string

var (
	errNoDir   = errors.New("--dir is missing: name the station's state directory")
	errNoState = errors.New("not a station's state directory; make one with `station init --dir DIR`")
	errExists  = errors.New("already in use; a station is never overwritten, choose a new directory")
)

// in gives the path of something in the state directory.
func (s state) in(parts ...string) string {
	return filepath.Join(append([]string{string(s)}, parts...)...)
}

func (s state) config() string       { return s.in("station.yaml") }
func (s state) profile() string      { return s.in("profile.yaml") }
func (s state) coseProfile() string  { return s.in("profile-cose.yaml") }
func (s state) registry() string     { return s.in("registry.db") }
func (s state) root() string         { return s.in("pki", "root.pem") }
func (s state) issuing() string      { return s.in("pki", "issuing.pem") }
func (s state) server() string       { return s.in("pki", "verifier.pem") }
func (s state) serverKey() string    { return s.in("pki", "verifier.key") }
func (s state) auditKey() string     { return s.in("pki", "audit.vkey") }
func (s state) auditPublic() string  { return s.in("pki", "audit.pub.pem") }
func (s state) certificates() string { return s.in("certificates") }
func (s state) softHSMConf() string  { return s.in("hsm", "softhsm2.conf") }

// newState makes the path absolute: it ends up in files that outlive the working directory.
func newState(dir string) (state, error) {
	if dir == "" {
		return "", usage(errNoDir)
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	return state(path), nil
}

// existing gives the state directory of a station that `init` finished.
func existing(dir string) (state, error) {
	s, err := newState(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(s.config()); errors.Is(err, fs.ErrNotExist) {
		return "", usage(fmt.Errorf("%s: %w", s, errNoState))
	} else if err != nil {
		return "", fmt.Errorf("looking for the station: %w", err)
	}
	return s, nil
}

// vacant refuses a directory that holds anything.
func vacant(path string) error {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("looking into the state directory: %w", err)
	}
	defer dir.Close()
	if _, err := dir.Readdirnames(1); err == nil {
		return usage(fmt.Errorf("%s: %w", path, errExists))
	} else if !errors.Is(err, io.EOF) {
		return usage(fmt.Errorf("%s: want a directory that is new or empty: %w", path, err))
	}
	return nil
}

// writeFile makes a file that is complete under its name or not there, mode 0600.
func writeFile(path string, content []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(file.Name(), path)
}

var errNotPrivate = errors.New("others can read the private key, or replace it")

// private refuses a key that somebody other than its owner may read or write.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("looking at a private key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return usage(fmt.Errorf("%s has mode %04o: %w; chmod 600 it", path, mode, errNotPrivate))
	}
	return nil
}

// settle returns when everything in the file system of path is on the disk.
func settle(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("bringing %s to the disk: %w", path, err)
	}
	return nil
}

// certificatePEM is RFC 7468 section 5.
func certificatePEM(certificates ...[]byte) []byte {
	var text []byte
	for _, der := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

// readCertificate reads a file that holds exactly one certificate.
func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		return nil, fmt.Errorf("%s: want exactly one certificate in PEM", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certificate, nil
}
