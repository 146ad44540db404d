package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
)

// A part is a bundle with some entries of a log. Each entry has a proof of its own, so a part
// can be checked without the other entries. A part is the birth record of one board, or the
// result of a filter. It cannot show that further entries fit the filter.
const (
	partEntries = "entries/" // NUMBER.json, the entry octet for octet
	partProofs  = "proofs/"  // NUMBER.tlog-proof
)

// PartSource is a record that can give single entries and their proofs.
type PartSource interface {
	Source
	// Hashes gives the stored hashes of the log.
	Hashes(ctx context.Context) tlog.HashReader
	// EachSelected calls each for the entries before size that are selected, in order.
	EachSelected(ctx context.Context, size int64, each func(seq int64, body []byte) error) error
}

// ErrNothingSelected: no entry fits.
var ErrNothingSelected = errors.New("no entry up to the newest checkpoint fits the filter")

// WritePart makes a bundle of the entries that source selects. b.Source is not used. The
// directory appears under its name when it is whole.
func (b *Bundle) WritePart(ctx context.Context, source PartSource, dir string) (entries int, head audit.Head, err error) {
	err = writeBundle(dir, func(w *writer) (err error) { entries, head, err = w.part(ctx, b, source); return err })
	return entries, head, err
}

func (w *writer) part(ctx context.Context, b *Bundle, source PartSource) (entries int, head audit.Head, err error) {
	notes, err := source.Checkpoints(ctx)
	if err != nil {
		return 0, head, err
	}
	if len(notes) == 0 {
		return 0, head, ErrNoCheckpoint
	}
	newest := notes[len(notes)-1]
	head, err = audit.OpenCheckpoint(newest, b.VerifierKey)
	if err != nil {
		return 0, head, err
	}
	if err := w.putAll(map[string][]byte{CheckpointFile: newest, KeyFile: []byte(b.VerifierKey + "\n"), AuthoritiesFile: pemOf(b.Authorities), ReadmeFile: readme}); err != nil {
		return 0, head, err
	}
	if err := w.timestamp(ctx, b, head.Size); err != nil {
		return 0, head, err
	}
	wanted, entries, err := w.selected(ctx, source, head, newest)
	if err != nil {
		return 0, head, err
	}
	if entries == 0 {
		return 0, head, ErrNothingSelected
	}
	b = &Bundle{Source: source}
	if err := w.certificates(ctx, b, wanted); err != nil {
		return 0, head, err
	}
	return entries, head, w.writeSums()
}

// selected writes the selected entries with their proofs, and the views of these entries.
func (w *writer) selected(ctx context.Context, source PartSource, head audit.Head, checkpoint []byte) (wanted map[string]bool, entries int, err error) {
	wanted = map[string]bool{}
	views, closeViews, err := w.openViews()
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, closeViews()) }()
	hashes := source.Hashes(ctx)
	err = source.EachSelected(ctx, head.Size, func(seq int64, body []byte) error {
		e, err := audit.Decode(body)
		if err != nil {
			return fmt.Errorf("entry %d: %w", seq, err)
		}
		if e.Type == "cert.issued" && e.Cert != nil {
			wanted[e.Cert.SHA256] = true
		}
		proof, err := NewProof(seq, head.Size, hashes, checkpoint)
		if err != nil {
			return err
		}
		entries++
		return errors.Join(w.put(fmt.Sprintf("%s%d.json", partEntries, seq), slices.Clone(body)), w.put(fmt.Sprintf("%s%d.tlog-proof", partProofs, seq), proof), views.Add(&e, body))
	})
	return wanted, entries, errors.Join(err, views.End())
}
