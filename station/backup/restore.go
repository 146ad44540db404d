package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/configs"
	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// A Restore brings a backup into a new station directory.
type Restore struct {
	From     string
	Dir      workdir.Dir // new or empty
	Operator string
	Now      func() time.Time
}

// Restored describes a station directory that was made from a backup.
type Restored struct {
	audit.Head
	Station string
	Made    time.Time // of the backup
	Files   int
	Demo    bool // the station had a demonstration's token, which is in no backup

	lacks string // entries that lie in an archive, in words
}

// Do restores the backup, after all its checks: the digest of each file, the configuration, the
// audit log with its key, all rows of the registry against the log, and the mark. Until then the
// directory has another name. The next start writes the entry about the restore.
func (r *Restore) Do(ctx context.Context) (done Restored, err error) {
	if r.From == "" {
		return done, reason.Usage(errors.New("--from is missing: want a directory or a tar file that `station backup` made"))
	}
	if err := r.Dir.Vacant(); err != nil {
		return done, err
	}
	if err := workdir.CheckTree(r.From); err != nil {
		return done, reason.Usage(fmt.Errorf("--from: %w", err))
	}
	files, err := evidence.OpenTree(r.From)
	switch {
	case errors.Is(err, evidence.ErrUnsafe) || errors.Is(err, evidence.ErrArchive):
		return done, fmt.Errorf("%w: %w", ErrNoBackup, err)
	case err != nil:
		return done, reason.Usage(fmt.Errorf("--from: %w", err))
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	stage, err := os.MkdirTemp(filepath.Dir(string(r.Dir)), "."+filepath.Base(string(r.Dir))+".unfinished-") // mode 0700
	if err != nil {
		return done, fmt.Errorf("making a directory for the station: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }() // gone already after the rename
	if done, err = r.fill(ctx, files, workdir.Dir(stage)); err != nil {
		return done, fmt.Errorf("restoring %s: %w", r.From, err)
	}
	return done, workdir.Move(workdir.Dir(stage), r.Dir)
}

func (r *Restore) fill(ctx context.Context, files *evidence.Files, stage workdir.Dir) (done Restored, err error) {
	sums, own, err := readSums(files)
	if err != nil {
		return done, err
	}
	if err := sameFiles(files, sums); err != nil {
		return done, err
	}
	if err := unpack(ctx, files, sums, stage); err != nil {
		return done, err
	}
	d, err := readDescription(stage)
	if err != nil {
		return done, err
	}
	if err := setModes(stage, d.Modes); err != nil {
		return done, err
	}
	done = Restored{Station: d.Station, Made: d.Made, Files: len(sums)}
	config, report, err := verify(ctx, stage, d)
	if err != nil {
		return done, err
	}
	done.Head, done.lacks, done.Demo = report.Head, report.Lacks, config.HSM.CreateToken
	if err := os.Remove(stage.In(descriptionFile)); err != nil {
		return done, err
	}
	return done, instance.LeaveNotice(stage, r.notice(done, own))
}

// sameFiles refuses a file without a digest, a digest without a file, a file that no backup
// has, and a backup without a file that each backup has.
func sameFiles(files *evidence.Files, sums map[string]string) error {
	for _, name := range files.Names() {
		if _, there := sums[name]; !there && name != sumsFile {
			return fmt.Errorf("%w: %s does not belong there", ErrDamaged, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		switch {
		case !belongs(name):
			return fmt.Errorf("%w: %s does not belong there", ErrDamaged, name)
		case files.Size(name) < 0:
			return fmt.Errorf("%w: %s is missing", ErrDamaged, name)
		}
	}
	for _, name := range slices.Concat(needed, []string{registryFile, markFile, descriptionFile}) {
		if sums[name] == "" {
			return fmt.Errorf("%w: %s is missing", ErrDamaged, name)
		}
	}
	return nil
}

// unpack writes the files, and compares each with its digest.
func unpack(ctx context.Context, files *evidence.Files, sums map[string]string, stage workdir.Dir) error {
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		in, err := files.Open(name)
		if err != nil {
			return err
		}
		sum := sha256.New()
		err = errors.Join(newFile(ctx, stage.In(filepath.FromSlash(name)), io.TeeReader(in, sum), &pace{}), in.Close())
		if err != nil {
			return err
		}
		if got := fmt.Sprintf("%x", sum.Sum(nil)); got != sums[name] {
			return fmt.Errorf("%w: %s has the SHA-256 %s, want %s", ErrDamaged, name, got, sums[name])
		}
	}
	return nil
}

func readDescription(stage workdir.Dir) (d description, err error) {
	text, err := workdir.ReadFile(stage.In(descriptionFile))
	switch {
	case errors.Is(err, workdir.ErrTooLarge):
		return d, fmt.Errorf("%w: %s has more than %d octets", ErrDamaged, descriptionFile, workdir.MaxFile)
	case err != nil:
		return d, err
	}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&d); err != nil {
		return d, fmt.Errorf("%w: %s: %w", ErrDamaged, descriptionFile, err)
	}
	if more := len(bytes.TrimSpace(text[strict.InputOffset():])); more > 0 {
		return d, fmt.Errorf("%w: %s has %s behind the description", ErrDamaged, descriptionFile, reason.Count(more, "octet", "octets"))
	}
	if d.Format != format {
		return d, fmt.Errorf("%w: its format is %q, this program knows %q", ErrNoBackup, d.Format, format)
	}
	return d, nil
}

// setModes gives the files of configuration and pki the modes that they had. A medium such as
// FAT keeps no modes.
func setModes(stage workdir.Dir, modes map[string]string) error {
	for name, mode := range modes {
		bits, err := strconv.ParseUint(mode, 8, 9)
		if err != nil || !slices.Contains(slices.Concat(needed, optional), name) {
			return fmt.Errorf("%w: %s gives %q the mode %q", ErrDamaged, descriptionFile, name, mode)
		}
		if err := os.Chmod(stage.In(filepath.FromSlash(name)), os.FileMode(bits)); err != nil {
			return err
		}
	}
	return workdir.Private(stage.ServerKey())
}

// verify checks configuration and registry of the restored files.
func verify(ctx context.Context, stage workdir.Dir, d description) (_ *configs.Config, report audit.Report, err error) {
	config, _, err := instance.ReadSettings(stage)
	if err != nil {
		return nil, report, err
	}
	key, err := workdir.ReadFile(stage.AuditKey())
	if err != nil {
		return nil, report, err
	}
	reader, err := instance.OpenReader(ctx, stage)
	if err != nil {
		return nil, report, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	report, err = reader.VerifyAudit(ctx, strings.TrimSpace(string(key)))
	if err != nil {
		return nil, report, err
	}
	if report.Size != d.Entries || report.Root.String() != d.Root {
		return nil, report, fmt.Errorf("%w: the log has %s and the root %v, %s says %d and %s", ErrDamaged, reason.Count(report.Size, "entry", "entries"), report.Root, descriptionFile, d.Entries, d.Root)
	}
	return config, report, nil
}

func (r *Restore) notice(done Restored, sums string) instance.Notice {
	return instance.Notice{Type: instance.RestoreDone, Operator: r.Operator, Details: map[string]string{
		"size": strconv.FormatInt(done.Size, 10), "root": done.Root.String(), "sums_sha256": sums,
		"files": strconv.Itoa(done.Files), "from": filepath.Base(r.From), "made": done.Made.Format(time.RFC3339), "done": r.Now().UTC().Format(time.RFC3339),
	}}
}

// Verified says what was verified.
func (r Restored) Verified() string {
	if r.lacks == "" {
		return "verified"
	}
	return "whose tree and checkpoints hold"
}

// Advice says what a restored station lacks, one line for each.
func (r Restored) Advice() string {
	text := "entries after the backup are missing: if the token knows a newer checkpoint, the next start refuses with registry-older; then put the newest registry.db\n" +
		"back with its registry.db-wal, or go on with `station accept-registry`, on record. The next start writes the entry restore.done\n" +
		"revocations after the backup are missing, too: put the last published CRL at pki/issuing.crl before the next `station crl`, and revoke its certificates again with `station revoke --serial`\n"
	if r.lacks != "" {
		text += r.lacks + "; rows of the registry were not compared for them: run `station audit verify --archive FILE`\n"
	}
	if r.Demo {
		text += "a backup has no token: copy hsm/ of the old station directory into the new one\n"
	}
	return text
}
