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
	// Certificate gives the certificate with a serial number (32 hexadecimal digits), or nil.
	Certificate(ctx context.Context, serial string) (der []byte, err error)
	// EachSelected calls each for the entries before size that are selected, in order.
	EachSelected(ctx context.Context, size int64, each func(seq int64, body []byte) error) error
}

// ErrNothingSelected: no entry fits.
var ErrNothingSelected = errors.New("no entry up to the newest checkpoint fits the filter, and no part can show that; a bundle of the whole log does: `station audit export --out FILE` without filters")

// WritePart makes a bundle of the entries that source selects. b.Source is not used. The
// directory appears under its name when it is whole.
func (b *Bundle) WritePart(ctx context.Context, source PartSource, dir string) (entries int, head audit.Head, err error) {
	err = writeBundle(dir, func(w *writer) (err error) { entries, head, err = w.part(ctx, b, source); return err })
	return entries, head, err
}

func (w *writer) part(ctx context.Context, b *Bundle, source PartSource) (entries int, head audit.Head, err error) {
	newest, head, err := w.begin(ctx, b, source)
	if err != nil {
		return 0, head, err
	}
	chosen, err := w.selected(ctx, source, head, newest)
	if err != nil {
		return 0, head, err
	}
	if chosen.entries == 0 {
		return 0, head, ErrNothingSelected
	}
	if err := w.certificatesOf(ctx, source, chosen); err != nil {
		return 0, head, err
	}
	question, err := b.Question.encode(chosen.entries, chosen.boards)
	if err = errors.Join(err, w.put(QuestionFile, question)); err != nil {
		return 0, head, err
	}
	return chosen.entries, head, w.end(b)
}

// chosen is what the selected entries name.
type chosen struct {
	entries int
	boards  boardSet
	wanted  wanted
	serials []string // of the wanted certificates
}

// certificatesOf writes the certificates of a part. It asks for each alone, because the part may be
// of one board among many.
func (w *writer) certificatesOf(ctx context.Context, source PartSource, chosen *chosen) error {
	for _, serial := range chosen.serials {
		der, err := source.Certificate(ctx, serial)
		if err == nil && der != nil {
			err = w.certificate(der, chosen.wanted)
		}
		if err != nil {
			return err
		}
	}
	return chosen.wanted.missing()
}

// selected writes the selected entries with their proofs, and the views of these entries.
func (w *writer) selected(ctx context.Context, source PartSource, head audit.Head, checkpoint []byte) (_ *chosen, err error) {
	c := &chosen{boards: boardSet{}, wanted: newWanted()}
	views, closeViews, err := w.openViews()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeViews()) }()
	hashes := source.Hashes(ctx)
	err = source.EachSelected(ctx, head.Size, func(seq int64, body []byte) error {
		e, err := audit.Decode(body)
		if err != nil {
			return fmt.Errorf("entry %d: %w", seq, err)
		}
		if c.wanted.note(&e) {
			c.serials = append(c.serials, e.Cert.Serial)
		}
		proof, err := NewProof(seq, head.Size, hashes, checkpoint)
		if err != nil {
			return err
		}
		c.entries++
		c.boards.add(&e)
		return errors.Join(w.put(fmt.Sprintf("%s%d.json", partEntries, seq), slices.Clone(body)), w.put(fmt.Sprintf("%s%d.tlog-proof", partProofs, seq), proof), views.Add(&e, body))
	})
	return c, errors.Join(err, views.End())
}
