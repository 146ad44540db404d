package evidence

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// Names of the other files of a bundle.
const (
	CheckpointFile  = "checkpoint" // C2SP tlog-tiles: the newest checkpoint, over all entries of the bundle
	KeyFile         = "log.vkey"   // C2SP signed-note verifier key of the log
	CheckpointsFile = "checkpoints.txt"
	AuthoritiesFile = "authorities.pem" // root and issuing CA, and the audit signer if there is one
	ReadmeFile      = "README.txt"
	ScriptFile      = "check.py"
	SumsFile        = "SHA256SUMS"
	TimestampFile   = "checkpoint.tsr" // RFC 3161 TimeStampResp over the text of the checkpoint; optional
	certificateDir  = "certificates/"  // SHA-256.der
)

//go:embed readme.txt
var readme []byte

//go:embed check.py
var script []byte

// A Source is the record of a station, as of one moment.
type Source interface {
	// LastCheckpoint gives the newest stored checkpoint, or nil.
	LastCheckpoint(ctx context.Context) ([]byte, error)
	// EachCheckpoint calls each for the stored checkpoints over less than size entries, the oldest first. note is valid
	// during the call only.
	EachCheckpoint(ctx context.Context, size int64, each func(note []byte) error) error
	// EachBody calls each for the entries before size, in order. body is valid during the call only.
	EachBody(ctx context.Context, size int64, each func(seq int64, body []byte) error) error
	// EachCertificate calls each for every certificate of a board (DER).
	EachCertificate(ctx context.Context, each func(der []byte) error) error
}

// Bundle is what a bundle is made of.
type Bundle struct {
	Source      Source
	VerifierKey string              // of the log
	Authorities []*x509.Certificate // root, issuing CA, and those that auditors need to trust the audit key
	Report      Report              // nil: no report.html
	// Timestamp gives the time stamp of the checkpoint of a size, or nothing; may be nil.
	Timestamp func(ctx context.Context, size int64) ([]byte, error)
	Signer    *Signer  // nil: the bundle is not signed, only its checkpoint is
	Question  Question // what a part answers; WritePart adds the size of the answer

	Sums [sha256.Size]byte // set by Write and WritePart: digest of SHA256SUMS, which stands for the whole bundle
}

// A Report makes the report for people who read no log.
type Report interface {
	Add(e *audit.Entry) // takes the entries in order
	Write(w io.Writer, head audit.Head) error
}

// ErrNoCheckpoint: nothing was signed yet, so there is nothing to prove.
var ErrNoCheckpoint = errors.New("the log has no checkpoint yet: start the station once, so that it signs one")

// Write makes a bundle in a directory that does not exist yet. The directory appears under
// its name when it is whole and on the disk. It returns the head that the bundle proves.
func (b *Bundle) Write(ctx context.Context, dir string) (head audit.Head, err error) {
	err = writeBundle(dir, func(w *writer) (err error) { head, err = w.all(ctx, b); return err })
	return head, err
}

// writeBundle gives a bundle its name when write has written all of it. After an error nothing
// is left.
func writeBundle(name string, write func(*writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("making the bundle: %w", err)
		}
	}()
	w, err := newWriter(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	if err := write(w); err != nil {
		return err
	}
	return w.publish(name)
}

func (w *writer) all(ctx context.Context, b *Bundle) (head audit.Head, err error) {
	// 1. What does not depend on the entries.
	newest, head, err := w.begin(ctx, b, b.Source)
	if err != nil {
		return head, err
	}
	if err := w.checkpoints(ctx, b.Source, head, newest); err != nil {
		return head, err
	}
	// 2. One pass over the entries makes tiles, entry bundles and views.
	wanted, err := w.entries(ctx, b, head)
	if err != nil {
		return head, err
	}
	// 3. The certificates that the entries name.
	if err := w.certificates(ctx, b.Source, wanted); err != nil {
		return head, err
	}
	// 4. The digests of all files, and the signatures.
	return head, w.end(b)
}

// begin writes what stands in each bundle and does not depend on its entries. It gives the newest checkpoint with its head.
func (w *writer) begin(ctx context.Context, b *Bundle, source Source) (newest []byte, head audit.Head, err error) {
	if newest, err = source.LastCheckpoint(ctx); err != nil {
		return nil, head, err
	}
	if newest == nil {
		return nil, head, ErrNoCheckpoint
	}
	if head, err = audit.OpenCheckpoint(newest, b.VerifierKey); err != nil {
		return nil, head, err
	}
	err = w.putAll(map[string][]byte{CheckpointFile: newest, KeyFile: []byte(b.VerifierKey + "\n"), AuthoritiesFile: pemOf(b.Authorities), ReadmeFile: readme, ScriptFile: script})
	if err != nil {
		return nil, head, err
	}
	return newest, head, w.timestamp(ctx, b, head.Size)
}

// checkpoints writes all checkpoints, with an empty line between two of them. The newest one is the one of the bundle, also if
// a witness signs it meanwhile.
func (w *writer) checkpoints(ctx context.Context, source Source, head audit.Head, newest []byte) error {
	return w.stream(CheckpointsFile, func(out io.Writer) error {
		err := source.EachCheckpoint(ctx, head.Size, func(note []byte) error {
			_, err := out.Write(append(note, '\n'))
			return err
		})
		if err == nil {
			_, err = out.Write(newest)
		}
		return err
	})
}

// entries writes everything that follows from the entries. It gives the digests of the
// certificates that the entries say were issued.
func (w *writer) entries(ctx context.Context, b *Bundle, head audit.Head) (wanted wanted, err error) {
	tiles := &tree{put: w.put}
	wanted = newWanted()
	views, closeViews, err := w.openViews()
	if err != nil {
		return wanted, err
	}
	defer func() { err = errors.Join(err, closeViews()) }()
	produce := func(p *pieces) error { return p.giveBodies(ctx, b.Source, head.Size) }
	err = inOrder(ctx, produce, func(p *piece) error {
		if err := w.put(tilePath("entries", p.first/tileWidth, len(p.entries)), p.content); err != nil {
			return err
		}
		for i := range p.entries {
			e := &p.entries[i]
			if e.bad != nil {
				return fmt.Errorf("entry %d: %w", p.first+int64(i), e.bad)
			}
			wanted.note(&e.Entry)
			if b.Report != nil {
				b.Report.Add(&e.Entry)
			}
			views.boards.add(&e.Entry)
			if err := tiles.add(e.leaf); err != nil {
				return err
			}
		}
		return views.put(&p.rows)
	})
	if err != nil {
		return wanted, err
	}
	root, err := tiles.end()
	if err == nil && (tiles.size != head.Size || root != head.Root) {
		err = fmt.Errorf("%w: %s the root %v, the checkpoint over %d says %v", audit.ErrRoot, reason.Count(tiles.size, "entry has", "entries have"), root, head.Size, head.Root)
	}
	if err = errors.Join(err, views.End()); err != nil || b.Report == nil {
		return wanted, err
	}
	return wanted, w.stream(ReportFile, func(out io.Writer) error { return b.Report.Write(out, head) })
}

// giveBodies gives the entries before size.
func (p *pieces) giveBodies(ctx context.Context, source Source, size int64) error {
	var next *piece
	return source.EachBody(ctx, size, func(seq int64, body []byte) error {
		if seq%tileWidth == 0 {
			next = p.empty()
			next.first, next.width = seq, int(min(tileWidth, size-seq))
		}
		next.content = appendEntry(next.content, body)
		if seq%tileWidth < tileWidth-1 && seq < size-1 {
			return nil
		}
		return p.give(next)
	})
}

// ReportFile is the report for people who read no log.
const ReportFile = "report.html"

func (w *writer) openViews() (*Views, func() error, error) {
	var files []*hashedFile
	closeAll := func() error {
		var errs []error
		for _, f := range files {
			errs = append(errs, f.close())
		}
		return errors.Join(errs...)
	}
	views, err := NewViews(func(name string) (io.Writer, error) {
		f, err := w.create(name)
		if err == nil {
			files = append(files, f)
		}
		return f, err
	})
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return views, closeAll, nil
}

func pemOf(certificates []*x509.Certificate) (text []byte) {
	for _, certificate := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})...)
	}
	return text
}

func (w *writer) stream(name string, write func(io.Writer) error) error {
	f, err := w.create(name)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(f)
	return errors.Join(write(buffered), buffered.Flush(), f.close())
}
