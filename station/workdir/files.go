package workdir

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"hallmark/station/reason"
)

// Sync writes the whole file system of path to the disk.
func Sync(path string) error {
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

// Move renames a finished directory. An empty directory may exist under the new name. The
// content of the directory is on the disk before the new name exists.
func Move(from, to Dir) error {
	if err := Sync(string(from)); err != nil {
		return err
	}
	if err := os.Remove(string(to)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return reason.Usage(fmt.Errorf("%s: %w: %w", to, ErrNotEmpty, err))
	}
	if err := os.Rename(string(from), string(to)); err != nil {
		return fmt.Errorf("moving the finished station to its place: %w", err)
	}
	return Sync(filepath.Dir(string(to)))
}

// ErrNotPrivate: the mode of a private key file lets other users read or write the file.
var ErrNotPrivate = errors.New("others can read the private key, or replace it")

// Private refuses a key file that other users may read or write.
func Private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("looking at a private key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return reason.Usage(fmt.Errorf("%s has mode %04o: %w; chmod 600 it", path, mode, ErrNotPrivate))
	}
	return nil
}

// CertificatePEM returns the PEM of DER certificates, in their order (RFC 7468 section 5).
func CertificatePEM(certificates ...[]byte) []byte {
	var text []byte
	for _, der := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}

// ReadCertificate reads a file that holds exactly one certificate in PEM.
func ReadCertificate(path string) (*x509.Certificate, error) {
	all, err := ReadCertificates(path)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%s: want exactly one certificate in PEM", path)
	}
	return all[0], nil
}

// ReadCertificates reads a file that holds certificates in PEM, at least one.
func ReadCertificates(path string) ([]*x509.Certificate, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	all, err := ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// ReadPublicKey reads a file that holds a public key in PEM (RFC 7468 section 13).
func ReadPublicKey(path string) (crypto.PublicKey, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the audit key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: want a public key in PEM", path)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return public, nil
}

// PrivateKeyPEM returns a private key as PKCS#8 in PEM (RFC 7468 section 10), as ReadPrivateKey reads it. The caller clears it.
func PrivateKeyPEM(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ReadPrivateKey reads an ECDSA key in PEM from a file that only the owner can read: PKCS#8, or the form of `openssl ecparam` (RFC 5915).
func ReadPrivateKey(path string) (*ecdsa.PrivateKey, error) {
	if err := Private(path); err != nil {
		return nil, err
	}
	text, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a private key: %w", err)
	}
	defer clear(text)
	parsed, err := parsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a %T, want an ECDSA key", path, parsed)
	}
	return key, nil
}

// Copy writes text to a new file and returns its path. The screen uses a file, because a
// station may have no clipboard.
func (d Dir) Copy(_ context.Context, text string) (path string, err error) {
	return d.NewCopy("", "", ".txt", []byte(text))
}

// NewCopy writes content to a new file in a folder, and returns the path of the file. The name has the time between begin and
// end. An empty folder is the folder for copies in the station directory; elsewhere in the station directory no file is made.
func (d Dir) NewCopy(folder, begin, end string, content []byte) (path string, err error) {
	name := begin + time.Now().UTC().Format("20060102T150405.000000000Z") + end
	if err := d.MayCopyTo(folder); err != nil {
		return "", err
	}
	path = filepath.Join(cmp.Or(folder, d.In("copies")), name)
	return path, WriteFile(path, content)
}

// MayCopyTo refuses a folder that is not there, and one of the station itself. An empty folder is good: the copies of the station.
func (d Dir) MayCopyTo(folder string) error {
	if folder == "" {
		return nil
	}
	file := filepath.Join(folder, "copy")
	return errors.Join(d.MayWrite(file), InFolder(file))
}

func parsePrivateKey(text []byte) (any, error) {
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam names the curve before the key
		block, _ = pem.Decode(rest)
	}
	switch {
	case block == nil:
		return nil, errors.New("want a private key in PEM")
	case block.Type == "EC PRIVATE KEY" && block.Headers["Proc-Type"] == "":
		return x509.ParseECPrivateKey(block.Bytes)
	case block.Type == "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	return nil, fmt.Errorf("want a private key without encryption, not %s", block.Type)
}
