// Package serve is the witness and the mirror that headquarters runs for the audit logs of
// stations (C2SP tlog-witness, tlog-mirror). It needs no HSM and no database: its state are
// files, and each file is on the disk before an answer says so.
package serve

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// The directory of a witness.
//
//	witness.key mirror.key    private keys, mode 0600
//	witness.vkey mirror.vkey  public keys, for station.yaml and for auditors
//	logs.txt                  the verifier keys of the logs, one a line
//	logs/HASH/checkpoint      the newest checkpoint of a log, cosigned; HASH is SHA-256 of the origin
//	logs/HASH/refused/        checkpoints that the log signed and that do not continue the log
//	mirror/HASH/              the copy of a log: checkpoint, tile/ (C2SP tlog-tiles), log.vkey
//	lock                      held by the process that serves
const (
	witnessKey = "witness.key"
	mirrorKey  = "mirror.key"
	logsFile   = "logs.txt"
	lockFile   = "lock"
)

// Errors of directories.
var (
	ErrNoWitness = errors.New("not the directory of a witness; make one with `station witness init --dir DIR --name NAME`")
	ErrLocked    = errors.New("another process serves this directory; end it first, or use another directory")
	ErrLogs      = errors.New("want one verifier key of a log a line, as in pki/audit.vkey of a station")
)

// Init makes the directory of a witness, which must be new or empty. name is the name of the
// witness in its cosignatures; the mirror has the name and "/mirror".
func Init(dir, name string, logs []string) error {
	if err := workdir.Dir(dir).Vacant(); err != nil {
		return err
	}
	if _, err := parseLogs(strings.Join(logs, "\n")); err != nil {
		return reason.Usage(err)
	}
	files := []workdir.File{{Path: filepath.Join(dir, logsFile), Content: []byte(logsHead + strings.Join(append(logs, ""), "\n"))}}
	for file, name := range map[string]string{witnessKey: name, mirrorKey: name + "/mirror"} {
		key, err := witness.GenerateKey(name, rand.Reader)
		if err != nil {
			return reason.Usage(err)
		}
		private, err := workdir.PrivateKeyPEM(key.Private())
		if err != nil {
			return fmt.Errorf("writing the key of %s: %w", name, err)
		}
		defer clear(private)
		files = append(files,
			workdir.File{Path: filepath.Join(dir, file), Content: private},
			workdir.File{Path: filepath.Join(dir, publicName(file)), Content: []byte(key.VerifierKey() + "\n")})
	}
	return workdir.WriteFiles(files...)
}

const logsHead = "# Verifier keys of the logs that this witness knows, one a line (pki/audit.vkey of each station).\n# The witness reads this file when it starts.\n"

func publicName(key string) string { return strings.TrimSuffix(key, ".key") + ".vkey" }

// readKey reads a private key that Init made.
func readKey(path string) (*witness.Key, error) {
	err := workdir.Private(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, reason.Usage(fmt.Errorf("%s: %w", filepath.Dir(path), ErrNoWitness))
	} else if err != nil {
		return nil, err
	}
	text, err := workdir.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key of the witness: %w", err)
	}
	defer clear(text)
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: want a private key in PEM, as `station witness init` makes it", path)
	}
	defer clear(block.Bytes)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the private key: %w", path, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: a %T, want an Ed25519 key", path, parsed)
	}
	return named(path, private)
}

// named gives the key the name that its public key has beside it.
func named(path string, private ed25519.PrivateKey) (*witness.Key, error) {
	public := publicName(path)
	text, err := workdir.ReadFile(public)
	if err != nil {
		return nil, fmt.Errorf("reading the public key of the witness: %w", err)
	}
	name, _, _ := strings.Cut(string(text), "+")
	key, err := witness.NewKey(name, private)
	if err == nil && key.VerifierKey() != strings.TrimSpace(string(text)) {
		err = reason.Usage(fmt.Errorf("%s: the key is not that of %s; restore both files", public, path))
	}
	return key, err
}

// parseLogs reads the list of logs, by origin.
func parseLogs(text string) (map[string]string, error) {
	logs := map[string]string{}
	for n, line := range strings.Split(text, "\n") {
		key := strings.TrimSpace(line)
		if key == "" || strings.HasPrefix(key, "#") {
			continue
		}
		if err := audit.CheckVerifierKey(key); err != nil {
			return nil, fmt.Errorf("line %d of the list of logs: %w: %w", n+1, ErrLogs, err)
		}
		origin, _, _ := strings.Cut(key, "+")
		if logs[origin] != "" {
			return nil, fmt.Errorf("line %d of the list of logs: %w: %q stands there twice, and a name has one log", n+1, ErrLogs, origin)
		}
		logs[origin] = key
	}
	return logs, nil
}

// lock makes sure that one process serves a directory, because two could cosign two forks.
func lock(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the directory of the witness: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(reason.Usage(fmt.Errorf("%s: %w", dir, ErrLocked)), file.Close())
	}
	return file, nil
}
