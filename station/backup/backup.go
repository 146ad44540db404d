// Package backup copies a station directory while the station works, and restores it. A
// backup has configuration, certificates, the pki with the verifier's key, and the registry of
// one moment with its mark. It never has a PIN, a key of the HSM, a token directory or the
// fuses of emulated boards.
//
// A backup has the layout of a station directory, so the commands that read work on it. Two
// files are added: SHA256SUMS names each file, and backup.json says which station it was.
package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Refusals.
var (
	// ErrNoBackup: directory or file is not a backup.
	ErrNoBackup = reason.New("no-backup", "not a backup: want a directory or a tar file that `station backup` made")
	// ErrDamaged: the backup is not as it was written.
	ErrDamaged = reason.New("backup-damaged", "the backup is damaged, or it was changed")
	// ErrNotOnRecord: the backup is whole, and no entry of the audit log will tell of it.
	ErrNotOnRecord = reason.New("backup-not-on-record", "the backup is whole, and it is not on record")
)

// Rest is how long a backup rests after each piece of work, as a multiple of the work, so that
// the line keeps disk and processor.
const Rest = 19

// A Backup is a backup to be made.
type Backup struct {
	Dir      workdir.Dir
	To       string // new directory, or new file whose name ends in .tar
	Operator string
	Now      func() time.Time
	Rest     int // see Rest; 0: work without a rest
}

// Made describes a backup.
type Made struct {
	audit.Head     // of the audit log in it
	Files      int // without SHA256SUMS
	Registry   string
	Sums       string // SHA-256 of SHA256SUMS, hex, as is that of Registry
}

// Make makes the backup. Until it is whole it has another name, and after an error nothing
// is left. The entry of the audit log waits as a notice, see instance.Notice.
func (b *Backup) Make(ctx context.Context) (made Made, err error) {
	if err := b.checkName(); err != nil {
		return made, err
	}
	stage, err := os.MkdirTemp(filepath.Dir(b.To), "."+filepath.Base(b.To)+".unfinished-") // mode 0700
	if err != nil {
		return made, fmt.Errorf("making a directory for the backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }() // gone already after the rename
	source := stage
	if evidence.IsTar(b.To) {
		source = filepath.Join(stage, "backup.tar")
	}
	if made, err = b.write(ctx, stage, source); err != nil {
		return made, fmt.Errorf("making the backup: %w", err)
	}
	if err := publish(source, b.To); err != nil {
		return made, fmt.Errorf("giving the backup its name: %w", err)
	}
	if err := instance.LeaveNotice(b.Dir, b.notice(made)); err != nil {
		return made, fmt.Errorf("%w: %w", ErrNotOnRecord, err)
	}
	return made, nil
}

// checkName refuses a name that is taken, and a backup that the loss of the station directory
// would take away.
func (b *Backup) checkName() error {
	if b.To == "" {
		return reason.Usage(errors.New("--to is missing: want a new directory, or a new FILE.tar"))
	}
	if evidence.IsCompressed(b.To) {
		return reason.Usage(fmt.Errorf("--to %s: a backup is not compressed: want a new directory, or a new FILE.tar", b.To))
	}
	if _, err := os.Lstat(b.To); err == nil {
		return reason.Usage(fmt.Errorf("--to %s: it exists already; name a new one", b.To))
	}
	if err := workdir.InFolder(b.To); err != nil {
		return fmt.Errorf("--to %w", err)
	}
	folder, err := resolved(filepath.Dir(b.To))
	if err != nil {
		return reason.Usage(fmt.Errorf("--to %s: %w", b.To, err))
	}
	own, err := resolved(string(b.Dir))
	if err != nil {
		return err
	}
	if inside, err := filepath.Rel(own, folder); err == nil && filepath.IsLocal(inside) {
		return reason.Usage(fmt.Errorf("--to %s: it lies in the station directory, and would be lost with it; name a place outside", b.To))
	}
	return nil
}

func resolved(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// write brings all files into the directory, or into the tar file in the directory.
func (b *Backup) write(ctx context.Context, stage, source string) (made Made, err error) {
	copied := &copier{from: string(b.Dir), to: stage, pace: &pace{rest: b.Rest}}
	if source == stage {
		return b.fill(ctx, copied)
	}
	file, err := os.OpenFile(source, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	copied.archive = tar.NewWriter(file)
	if made, err = b.fill(ctx, copied); err != nil {
		return made, err
	}
	return made, copied.archive.Close()
}

// fill copies all files. The registry is copied last, so that it has the certificate of each file.
func (b *Backup) fill(ctx context.Context, copied *copier) (made Made, err error) {
	config, _, err := instance.ReadSettings(b.Dir)
	if err != nil {
		return made, reason.Usage(err)
	}
	modes, err := copied.settings(ctx)
	if err != nil {
		return made, err
	}
	if err := copied.certificates(ctx); err != nil {
		return made, err
	}
	if made.Head, err = registry.Backup(ctx, b.Dir.Registry(), filepath.Join(copied.to, registryFile), copied.pace.do); err != nil {
		return made, err
	}
	for _, name := range []string{registryFile, markFile} {
		if err := copied.staged(ctx, name); err != nil {
			return made, err
		}
	}
	made.Registry = copied.sums[registryFile]
	err = copied.describe(ctx, description{Format: format, Station: config.Station, Version: station.ThisBuild().Version,
		Made: b.Now().UTC().Truncate(time.Second), Entries: made.Size, Root: made.Root.String(), Modes: modes})
	if err != nil {
		return made, err
	}
	made.Files = len(copied.sums)
	made.Sums, err = copied.writeSums(ctx)
	return made, err
}

func (b *Backup) notice(made Made) instance.Notice {
	return instance.Notice{Type: instance.BackupDone, Operator: b.Operator, Details: map[string]string{
		"size": strconv.FormatInt(made.Size, 10), "root": made.Root.String(), "registry_sha256": made.Registry,
		"sums_sha256": made.Sums, "files": strconv.Itoa(made.Files), "to": filepath.Base(b.To), "done": b.Now().UTC().Format(time.RFC3339),
	}}
}
