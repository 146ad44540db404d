package instance

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

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
}

// Export writes an evidence bundle of a station directory, with a report in one of the languages
// of package html. It only reads: another process may be writing to the registry, and the
// directory may be on a medium that is read-only.
//
// A selection that is not empty gives a bundle with the selected entries and a proof for each. Such
// a bundle has no report, because the sums of a part do not agree.
func Export(ctx context.Context, dir workdir.Dir, out, language string, selection registry.Selection) (Exported, error) {
	return export(ctx, dir, out, language, func(r *registry.Reader) evidence.PartSource {
		if selection.Empty() {
			return nil
		}
		return &registry.Selected{Reader: r, Selection: selection}
	})
}

// ExportAnswer writes a bundle with the entries that the answer to a question rests on.
func ExportAnswer(ctx context.Context, dir workdir.Dir, out string, question registry.Question) (Exported, error) {
	return export(ctx, dir, out, "", func(r *registry.Reader) evidence.PartSource { return &registry.Answer{Reader: r, Question: question} })
}

// export writes a whole bundle if part gives nil.
func export(ctx context.Context, dir workdir.Dir, out, language string, part func(*registry.Reader) evidence.PartSource) (made Exported, err error) {
	key, err := os.ReadFile(dir.AuditKey())
	if err != nil {
		return made, reason.Usage(fmt.Errorf("reading the audit key: %w", err))
	}
	root, err := workdir.ReadCertificate(dir.Root())
	if err != nil {
		return made, err
	}
	issuing, err := workdir.ReadCertificate(dir.Issuing())
	if err != nil {
		return made, err
	}
	reader, err := OpenReader(ctx, dir)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	bundle := evidence.Bundle{Source: reader, VerifierKey: strings.TrimSpace(string(key)), Authorities: []*x509.Certificate{root, issuing}, Timestamp: reader.Timestamp}
	if some := part(reader); some != nil {
		made.Selected, made.Head, err = bundle.WritePart(ctx, some, out)
	} else {
		made.Head, err = writeReported(ctx, bundle, out, language)
	}
	if err != nil {
		return made, err
	}
	size, err := reader.LogSize(ctx)
	made.Beyond = size - made.Size
	return made, err
}

// moment is a record whose checkpoints stay as they were, also while a station signs new ones.
type moment struct {
	evidence.Source
	checkpoints [][]byte
}

// Checkpoints implements evidence.Source.
func (m moment) Checkpoints(context.Context) ([][]byte, error) { return m.checkpoints, nil }

// writeReported writes a bundle with a report. The report shows the checkpoint of the bundle.
func writeReported(ctx context.Context, bundle evidence.Bundle, out, language string) (head audit.Head, err error) {
	checkpoints, err := bundle.Source.Checkpoints(ctx)
	if err != nil {
		return head, err
	}
	o := html.Options{Language: language}
	if len(checkpoints) > 0 {
		o.Checkpoint = checkpoints[len(checkpoints)-1]
	}
	if bundle.Report, err = html.New(o); err != nil {
		return head, reason.Usage(err)
	}
	bundle.Source = moment{bundle.Source, checkpoints}
	return bundle.Write(ctx, out)
}
