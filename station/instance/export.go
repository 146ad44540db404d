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

// Export writes an evidence bundle of a station directory. It only reads: another process may
// be writing to the registry, and the directory may be on a medium that is read-only.
//
// A selection that is not empty gives a bundle with the selected entries and a proof for each.
func Export(ctx context.Context, dir workdir.Dir, out string, selection registry.Selection) (Exported, error) {
	return export(ctx, dir, out, func(r *registry.Reader) evidence.PartSource {
		if selection.Empty() {
			return nil
		}
		return &registry.Selected{Reader: r, Selection: selection}
	})
}

// ExportAnswer writes a bundle with the entries that the answer to a question rests on.
func ExportAnswer(ctx context.Context, dir workdir.Dir, out string, question registry.Question) (Exported, error) {
	return export(ctx, dir, out, func(r *registry.Reader) evidence.PartSource { return &registry.Answer{Reader: r, Question: question} })
}

// export writes a whole bundle if part gives nil.
func export(ctx context.Context, dir workdir.Dir, out string, part func(*registry.Reader) evidence.PartSource) (made Exported, err error) {
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
	bundle := evidence.Bundle{Source: reader, VerifierKey: strings.TrimSpace(string(key)), Authorities: []*x509.Certificate{root, issuing}}
	if some := part(reader); some != nil {
		made.Selected, made.Head, err = bundle.WritePart(ctx, some, out)
	} else {
		made.Head, err = bundle.Write(ctx, out)
	}
	if err != nil {
		return made, err
	}
	size, err := reader.LogSize(ctx)
	made.Beyond = size - made.Size
	return made, err
}
