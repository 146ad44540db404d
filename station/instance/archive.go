package instance

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"hallmark/station/evidence"
	"hallmark/station/evidence/html"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// ErrArchiveBad: the bundle is not what the checker wants, so no body was removed.
var ErrArchiveBad = errors.New("the archive that was written is not good: nothing was removed, and the file may be deleted")

// OpenArchives lets a reader read archived entries from these files. Close closes the files.
func OpenArchives(ctx context.Context, dir workdir.Dir, reader *registry.Reader, paths []string) (done func() error, err error) {
	var opened []*evidence.Bodies
	done = func() (err error) {
		for _, b := range opened {
			err = errors.Join(err, b.Close())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, done())
		}
	}()
	if len(paths) == 0 {
		return done, nil
	}
	known, err := reader.Archives(ctx)
	if err != nil {
		return done, err
	}
	key, err := workdir.ReadFile(dir.AuditKey())
	if err != nil {
		return done, reason.Usage(fmt.Errorf("reading the audit key: %w", err))
	}
	for _, path := range paths {
		until, err := sameArchive(path, known)
		if err != nil {
			return done, fmt.Errorf("--archive %s: %w", path, err)
		}
		bodies, err := evidence.OpenBodies(path, strings.TrimSpace(string(key)))
		if err != nil {
			return done, fmt.Errorf("--archive %s: %w", path, err)
		}
		opened = append(opened, bodies)
		reader.Restore(bodies, until)
	}
	return done, nil
}

// sameArchive looks for the archive with the digest of the file. It gives the number of entries in the archive.
func sameArchive(path string, known []registry.Archive) (int64, error) {
	if err := workdir.CheckRegular(path); err != nil {
		return 0, reason.Usage(err)
	}
	sum, err := digestOf(path)
	if err != nil {
		return 0, reason.Usage(err)
	}
	for _, a := range known {
		if a.SHA256 == sum {
			return a.Until, nil
		}
	}
	return 0, fmt.Errorf("%w: the file has the SHA-256 %x", registry.ErrArchiveOther, sum)
}

func digestOf(path string) (sum [sha256.Size]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	copy(sum[:], hash.Sum(nil))
	return sum, errors.Join(err, file.Close())
}

// An Archiving moves the bodies of old entries to a sealed bundle.
type Archiving struct {
	Dir      workdir.Dir
	Out      string // new FILE.tar
	Wanted   registry.Wanted
	Archives []string // earlier archives, whose entries the new one has, too
	Operator string
	Language string // of the report
}

// Do writes the bundle, has it checked, and only then has the bodies removed. At last the file of the registry becomes
// smaller; if that goes wrong, the archive stands nevertheless. Do holds the lock of the station for each of both.
func (a *Archiving) Do(ctx context.Context) (made registry.Archive, err error) {
	if made, err = a.archive(ctx); err != nil {
		return made, err
	}
	if err := registry.Shrink(ctx, a.Dir.Registry()); err != nil {
		return made, fmt.Errorf("%s is good and %v, but registry.db did not become smaller: %w", a.Out, &made, err)
	}
	return made, nil
}

func (a *Archiving) archive(ctx context.Context) (made registry.Archive, err error) {
	opened, err := Open(ctx, a.Dir, Options{})
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	closeArchives, err := OpenArchives(ctx, a.Dir, opened.Registry.Reader, a.Archives)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, closeArchives()) }()
	mirrors, err := opened.mirrors()
	if err != nil {
		return made, err
	}
	if a.Wanted.Unsent, a.Wanted.Webhook, err = opened.unsent(); err != nil {
		return made, err
	}
	if made, err = opened.Registry.ArchiveBound(ctx, a.Wanted, mirrors); err != nil {
		return made, err
	}
	if made.SumsSHA256, err = a.write(ctx, opened.Registry.Reader, made.Until); err != nil {
		return made, opened.Registry.Why(err)
	}
	if err := a.check(ctx, &made); err != nil {
		return made, err
	}
	err = opened.Registry.Archive(ctx, made, a.Operator, opened.Checkpoint)
	return made, errors.Join(err, opened.Checkpoint()) // over the entry log.archived, too
}

// mirrors gives the keys of the configured mirrors.
func (f *Files) mirrors() (keys []note.Verifier, err error) {
	for _, w := range f.Config.Witnesses {
		if w.MirrorKey == "" {
			continue
		}
		key, err := evidence.NewCosigner(w.MirrorKey)
		if err != nil {
			return nil, reason.Usage(err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// write writes the bundle up to a checkpoint. It gives the digest of SHA256SUMS.
func (a *Archiving) write(ctx context.Context, reader *registry.Reader, until int64) (sums [sha256.Size]byte, err error) {
	export := Export{Dir: a.Dir}
	bundle, err := export.bundle()
	if err != nil {
		return sums, err
	}
	newest, err := reader.CheckpointOver(ctx, until)
	if err != nil {
		return sums, err
	}
	bundle.Source, bundle.Timestamp = reader, reader.Timestamp
	_, err = writeReported(ctx, bundle, newest, a.Out, a.Language)
	return bundle.Sums, err
}

// check checks the bundle under its final name, as auditcheck does, and takes its digest.
func (a *Archiving) check(ctx context.Context, made *registry.Archive) (err error) {
	key, err := workdir.ReadFile(a.Dir.AuditKey())
	if err != nil {
		return err
	}
	if made.SHA256, err = digestOf(a.Out); err != nil {
		return err
	}
	files, err := evidence.OpenFiles(a.Out)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", a.Out, ErrArchiveBad, err)
	}
	verdict, err := evidence.Check(ctx, files, evidence.Options{Key: strings.TrimSpace(string(key)), Report: beginAgain})
	if err = errors.Join(err, files.Close()); err != nil {
		return fmt.Errorf("%s: %w: %w", a.Out, ErrArchiveBad, err)
	}
	if !verdict.Good() {
		return fmt.Errorf("%s: %w: %v", a.Out, ErrArchiveBad, verdict.Findings[0])
	}
	if verdict.Size != made.Until || verdict.Root != made.Root {
		return fmt.Errorf("%s: %w: it has %d entries and the root %s, want %d and %s", a.Out, ErrArchiveBad, verdict.Size, verdict.Root, made.Until, made.Root)
	}
	return nil
}

// beginAgain begins anew the report that a bundle has.
func beginAgain(found, checkpoint []byte) evidence.Report {
	if report := html.Again(found, checkpoint); report != nil {
		return report
	}
	return nil // and not a Report that holds a nil pointer
}
