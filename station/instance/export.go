package instance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/evidence/html"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Exported describes a bundle that was written.
type Exported struct {
	audit.Head
	Selected int   // entries of a bundle with a selection
	Beyond   int64 // entries of the log that no checkpoint covers yet, and that are not in the bundle
	Signed   bool
	Low      bool // the disk of the station has room for few boards
	// NotOnRecord says why the export left no notice. On a medium that is read-only, and for a user
	// who may only read, an export is possible and leaves none.
	NotOnRecord error
}

// An Export writes an evidence bundle of a station directory. It only reads, and leaves a notice:
// another process may be writing to the registry, and the directory may be on a medium that is
// read-only.
type Export struct {
	Dir      workdir.Dir
	Out      string // new directory, or new FILE.tar
	Language string // of the report; one of the languages of package html
	// Selection that is not empty gives a bundle with the selected entries and a proof for each. Such
	// a bundle has no report, because the sums of a part do not agree.
	Selection registry.Selection
	Question  *registry.Question // instead of a Selection: the entries that the answer rests on
	Asked     evidence.Question  // the Selection or Question as it was asked, for the bundle
	Sign      bool               // opens the HSM: the audit key signs the files of the bundle
	Archives  []string           // files with the bodies of archived entries
}

// Write writes the bundle.
func (x *Export) Write(ctx context.Context) (made Exported, err error) {
	bundle, err := x.bundle()
	if err != nil {
		return made, err
	}
	if x.Sign {
		var done func() error
		if done, err = x.openSigner(ctx, bundle); err != nil {
			return made, err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	if made, err = x.write(ctx, bundle); err != nil {
		return made, err
	}
	made.Signed = x.Sign
	if config, _, err := ReadSettings(x.Dir); err == nil { // an export does not need the settings
		_, err = Room(x.Dir, config.DiskFloor)
		made.Low = errors.Is(err, ErrLowRoom)
	}
	made.NotOnRecord = LeaveNotice(x.Dir, x.notice(&made, bundle.Sums))
	return made, nil
}

// bundle reads what does not lie in the registry.
func (x *Export) bundle() (*evidence.Bundle, error) {
	key, err := workdir.ReadFile(x.Dir.AuditKey())
	if err != nil {
		return nil, reason.Usage(fmt.Errorf("reading the audit key: %w", err))
	}
	bundle := &evidence.Bundle{VerifierKey: strings.TrimSpace(string(key)), Question: x.Asked}
	for _, path := range []string{x.Dir.Root(), x.Dir.Issuing(), x.Dir.AuditCertificate()} {
		certificate, err := workdir.ReadCertificate(path)
		if errors.Is(err, fs.ErrNotExist) && path == x.Dir.AuditCertificate() {
			continue // a directory of an older version
		} else if err != nil {
			return nil, err
		}
		bundle.Authorities = append(bundle.Authorities, certificate)
	}
	return bundle, nil
}

func (x *Export) write(ctx context.Context, bundle *evidence.Bundle) (made Exported, err error) {
	reader, err := OpenReader(ctx, x.Dir)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	done, err := OpenArchives(ctx, x.Dir, reader, x.Archives)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(reader.Why(err), done()) }()
	bundle.Source, bundle.Timestamp = reader, reader.Timestamp
	switch {
	case x.Question != nil:
		made.Selected, made.Head, err = bundle.WritePart(ctx, &registry.Answer{Reader: reader, Question: *x.Question}, x.Out)
	case !x.Selection.Empty():
		made.Selected, made.Head, err = bundle.WritePart(ctx, &registry.Selected{Reader: reader, Selection: x.Selection}, x.Out)
	default:
		var newest []byte
		if newest, err = reader.LastCheckpoint(ctx); err == nil {
			made.Head, err = writeReported(ctx, bundle, newest, x.Out, x.Language)
		}
	}
	if err != nil {
		return made, err
	}
	size, err := reader.LogSize(ctx)
	made.Beyond = size - made.Size
	return made, err
}

// notice tells the audit log of the export. The digest of SHA256SUMS stands for the whole bundle.
func (x *Export) notice(made *Exported, sums [sha256.Size]byte) Notice {
	return Notice{Type: ExportDone, Operator: LocalUser(), Details: map[string]string{
		"size": strconv.FormatInt(made.Size, 10), "root": made.Root.String(), "selected": strconv.Itoa(made.Selected), "to": filepath.Base(x.Out),
		"sums_sha256": hex.EncodeToString(sums[:]), "signed": strconv.FormatBool(made.Signed), "done": time.Now().UTC().Format(time.RFC3339),
	}}
}

// moment is a record whose newest checkpoint stays as it was, also while a station signs new ones.
type moment struct {
	evidence.Source
	newest []byte
}

// LastCheckpoint implements evidence.Source.
func (m moment) LastCheckpoint(context.Context) ([]byte, error) { return m.newest, nil }

// writeReported writes a bundle up to a checkpoint, with a report that shows this checkpoint; nil: there is no checkpoint.
func writeReported(ctx context.Context, bundle *evidence.Bundle, newest []byte, out, language string) (head audit.Head, err error) {
	if bundle.Report, err = html.New(html.Options{Language: language, Checkpoint: newest}); err != nil {
		return head, reason.Usage(err)
	}
	bundle.Source = moment{bundle.Source, newest}
	return bundle.Write(ctx, out)
}
