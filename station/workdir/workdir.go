// Package workdir is the station directory on disk. It knows the path of each file, writes
// files so that a power cut leaves the old content or the new content, checks file modes and
// free space, and opens the log file for engineers.
package workdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"hallmark/station/reason"
)

// A Dir is the absolute path of a station directory.
//
//	station.yaml profile.yaml   the configuration that `init` was given
//	profile-cose.yaml           only for a station that certifies COSE keys
//	badges.yaml                 the operators; optional, an engineer writes this file
//	hsm/                        demonstration only: SoftHSM's token, its configuration, the PIN file
//	pki/                        certificates, the verifier's key, the audit log's public key
//	registry.db                 boards, certificates, audit log
//	certificates/               the certificate of each board and key that passed
//	bays/BAY/N/                 fuses and flash of emulated boards
//	notices/                    acts that wait for their entry in the audit log
//	copies/                     texts that an operator copied from the screen
//	log/station.log             the log for engineers
type Dir string

// Refusals of a directory.
var (
	ErrNotNamed   = errors.New("--dir is missing: name the station's state directory")
	ErrNotStation = errors.New("not a station's state directory; make one with `station init --dir DIR`")
	ErrNotEmpty   = errors.New("already in use; a station is never overwritten, choose a new directory")
)

// In returns the path of an entry of the directory.
func (d Dir) In(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

func (d Dir) Config() string      { return d.In("station.yaml") }
func (d Dir) Profile() string     { return d.In("profile.yaml") }
func (d Dir) COSEProfile() string { return d.In("profile-cose.yaml") }
func (d Dir) Badges() string      { return d.In("badges.yaml") }
func (d Dir) Registry() string    { return d.In("registry.db") }
func (d Dir) Root() string        { return d.In("pki", "root.pem") }
func (d Dir) Issuing() string     { return d.In("pki", "issuing.pem") }

// CRL is the certificate revocation list of the issuing CA, in DER.
func (d Dir) CRL() string { return d.In("pki", "issuing.crl") }

// OCSP is the certificate of the key that signs OCSP answers, and OCSPKey is the key. A station without OCSP has none.
func (d Dir) OCSP() string    { return d.In("pki", "ocsp.pem") }
func (d Dir) OCSPKey() string { return d.In("pki", "ocsp.key") }

// Hub is the certificate with which the station signs in at the hub of the plant, and HubKey its key.
func (d Dir) Hub() string    { return d.In("pki", "hub.pem") }
func (d Dir) HubKey() string { return d.In("pki", "hub.key") }

func (d Dir) Server() string      { return d.In("pki", "verifier.pem") }
func (d Dir) ServerKey() string   { return d.In("pki", "verifier.key") }
func (d Dir) AuditKey() string    { return d.In("pki", "audit.vkey") }
func (d Dir) AuditPublic() string { return d.In("pki", "audit.pub.pem") }

// AuditCertificate is the certificate of the audit key. Directories of older versions have none.
func (d Dir) AuditCertificate() string { return d.In("pki", "audit.pem") }

func (d Dir) Certificates() string { return d.In("certificates") }
func (d Dir) HSM() string          { return d.In("hsm") }
func (d Dir) Mark() string         { return d.In("registry.mark") }
func (d Dir) Notices() string      { return d.In("notices") }
func (d Dir) LogFile() string      { return d.In("log", "station.log") }

// New makes the path absolute, because the path is stored in files and must stay right when
// the working directory changes.
func New(path string) (Dir, error) {
	if path == "" {
		return "", reason.Usage(ErrNotNamed)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	if err := reason.CheckPath(absolute); err != nil {
		return "", fmt.Errorf("--dir: %w", err)
	}
	return Dir(absolute), nil
}

// Existing returns the directory of a station. It refuses a directory that `init` did not finish.
func Existing(path string) (Dir, error) {
	d, err := New(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(d.Config()); errors.Is(err, fs.ErrNotExist) {
		return "", reason.Usage(fmt.Errorf("%s: %w", d, ErrNotStation))
	} else if err != nil {
		return "", fmt.Errorf("looking for the station: %w", err)
	}
	return d, nil
}

// Vacant refuses a directory that is not empty. A directory that does not exist is vacant.
func (d Dir) Vacant() error {
	dir, err := os.Open(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("looking into the state directory: %w", err)
	}
	defer dir.Close()
	if _, err := dir.Readdirnames(1); err == nil {
		return reason.Usage(fmt.Errorf("%s: %w", d, ErrNotEmpty))
	} else if !errors.Is(err, io.EOF) {
		return reason.Usage(fmt.Errorf("%s: want a directory that is new or empty: %w", d, err))
	}
	return nil
}

// Exists reports whether the path exists.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
