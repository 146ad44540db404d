package verifier

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"sync/atomic"
	"time"

	"hallmark/station"
	"hallmark/station/reason"
)

// A StalePolicy says what to do with a status bundle or CRL whose next update has passed.
type StalePolicy string

// The policies. StaleRefuse accepts no client until a newer file comes; StaleWarn goes on and says so in the log.
const (
	StaleRefuse StalePolicy = "refuse"
	StaleWarn   StalePolicy = "warn"
)

// clockTolerance is how far the clock of a verifier may be behind the clock of the station.
const clockTolerance = 5 * time.Minute

// A StatusConfig names the signed files from which a verifier knows the status of certificates.
type StatusConfig struct {
	Bundle      string   // path of a status bundle; may be empty
	CRLs        []string // paths of CRLs, at most one of each CA
	Authorities []*x509.Certificate
	Stale       StalePolicy
	Memory      *Memory
	Now         func() time.Time
	Log         *slog.Logger
}

// A Status has the newest content of signed files. Lookup and Check may be called at any time; only one goroutine
// may call Reload.
type Status struct {
	config StatusConfig
	bundle *signedFile[*Bundle] // nil without a bundle
	crls   []*signedFile[*crl]
}

var _ Known = (*Status)(nil)

// OpenStatus reads all files. It refuses a file that is forged, of another CA, older than one before, or stale under StaleRefuse.
func OpenStatus(c StatusConfig) (*Status, error) {
	s := &Status{config: c}
	if c.Bundle != "" {
		s.bundle = &signedFile[*Bundle]{path: c.Bundle, read: ReadBundle}
		if err := s.bundle.load(&c); err != nil {
			return nil, err
		}
	}
	for _, path := range c.CRLs {
		file := &signedFile[*crl]{path: path, read: readCRL}
		if err := file.load(&c); err != nil {
			return nil, err
		}
		issuer := (*file.current.Load()).issuer
		if s.crlOf(issuer) != nil {
			return nil, reason.Usage(fmt.Errorf("%s is a second CRL of %q: name one of each CA", path, issuer.Subject))
		}
		s.crls = append(s.crls, file)
	}
	return s, nil
}

// Bundle returns the newest bundle, or nil.
func (s *Status) Bundle() *Bundle {
	if s.bundle == nil {
		return nil
	}
	return *s.bundle.current.Load()
}

// Describe says what the files are.
func (s *Status) Describe() (all []string) {
	if b := s.Bundle(); b != nil {
		all = append(all, reason.Count(b.Len(), "certificate", "certificates")+" known", b.describe())
	}
	for _, file := range s.crls {
		all = append(all, (*file.current.Load()).describe())
	}
	return all
}

// Lookup implements [Known] with the bundle.
func (s *Status) Lookup(ctx context.Context, serial [serialSize]byte) (station.Record, error) {
	bundle := s.Bundle()
	if err := s.bundle.usable(&s.config, bundle); err != nil {
		return station.Record{}, err
	}
	return bundle.Lookup(ctx, serial)
}

// Check implements [Revocations] with the CRLs. The CA of the leaf needs a CRL; the CAs above need none.
func (s *Status) Check(chain []*x509.Certificate) error {
	for n := range len(chain) - 1 {
		file := s.crlOf(chain[n+1])
		if file == nil && n == 0 {
			return fmt.Errorf("%w: %q", ErrNoCRL, chain[1].Subject)
		} else if file == nil {
			continue
		}
		list := *file.current.Load()
		if err := file.usable(&s.config, list); err != nil {
			return err
		}
		if list.revoked[string(chain[n].SerialNumber.Bytes())] {
			return fmt.Errorf("%w: serial number %x is on the CRL %v of %q", ErrRevoked, chain[n].SerialNumber, list.number, list.issuer.Subject)
		}
	}
	return nil
}

func (s *Status) crlOf(issuer *x509.Certificate) *signedFile[*crl] {
	for _, file := range s.crls {
		if keyOf((*file.current.Load()).issuer) == keyOf(issuer) {
			return file
		}
	}
	return nil
}

// Reload reads each file that was replaced since it was read. If a new file is bad, the old content stays.
func (s *Status) Reload() {
	if s.bundle != nil {
		s.bundle.reload(&s.config)
	}
	for _, file := range s.crls {
		file.reload(&s.config)
	}
}

// A signedStatus is the content of a file: a bundle or a CRL.
type signedStatus interface {
	key() string // the same for all files of which only the newest counts
	version() (number *big.Int, sum [sha256.Size]byte)
	times() (issued, nextUpdate time.Time)
	describe() string
}

func (b *Bundle) key() string { return "bundle" }
func (b *Bundle) version() (*big.Int, [sha256.Size]byte) {
	return new(big.Int).SetUint64(b.Number), b.SHA256
}
func (b *Bundle) times() (issued, nextUpdate time.Time) { return b.Issued, b.NextUpdate }
func (b *Bundle) describe() string {
	return fmt.Sprintf("status bundle %d of %s, next update %s", b.Number, b.Issued.Format(time.RFC3339), b.NextUpdate.Format(time.RFC3339))
}

// A signedFile is a file that another program replaces with a newer one.
type signedFile[T signedStatus] struct {
	path    string
	read    func(path string, authorities []*x509.Certificate) (T, error)
	seen    fs.FileInfo // of the file that was read last, also if it was refused
	current atomic.Pointer[T]
	warned  atomic.Bool // the log says that the current content is stale
}

// load reads the file, and uses it unless something refuses it.
func (f *signedFile[T]) load(c *StatusConfig) error {
	var err error
	if f.seen, err = os.Stat(f.path); err != nil {
		return err
	}
	content, err := f.read(f.path, c.Authorities)
	if err != nil {
		return err
	}
	stale := timely(c.Now(), content)
	if stale != nil && c.Stale != StaleWarn {
		return fmt.Errorf("%s: %w", f.path, stale)
	}
	// The newest number is on the disk before the file is used, so that no restart forgets it.
	if err := c.Memory.accept(content); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.warned.Store(false)
	f.current.Store(&content)
	return f.usable(c, content)
}

// reload loads the file if it is another one than before.
func (f *signedFile[T]) reload(c *StatusConfig) {
	now, err := os.Stat(f.path)
	if err == nil && f.seen != nil && os.SameFile(now, f.seen) && now.ModTime().Equal(f.seen.ModTime()) && now.Size() == f.seen.Size() {
		return
	}
	if err != nil && f.seen == nil {
		return // the log says so already
	}
	if err = cmp.Or(err, f.load(c)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			f.seen = nil
		}
		c.Log.Error("reading a new status file; the one from before stays", "error", err)
		return
	}
	c.Log.Info("reloaded", "path", f.path, "content", (*f.current.Load()).describe())
}

// usable refuses stale content under StaleRefuse. Under StaleWarn the log names it once.
func (f *signedFile[T]) usable(c *StatusConfig, content T) error {
	err := timely(c.Now(), content)
	if err == nil || c.Stale != StaleWarn {
		return err
	}
	if !f.warned.Swap(true) {
		c.Log.Warn("using a stale status file", "path", f.path, "error", err)
	}
	return nil
}

// timely refuses content whose next update has passed, or that is from the future.
func timely(now time.Time, content signedStatus) error {
	issued, nextUpdate := content.times()
	switch {
	case !now.Before(nextUpdate):
		return fmt.Errorf("%w: its next update was due at %s", ErrStatusStale, nextUpdate.UTC().Format(time.RFC3339))
	case issued.After(now.Add(clockTolerance)):
		return fmt.Errorf("%w: it was issued at %s, which is later than the clock of this machine", ErrStatusStale, issued.UTC().Format(time.RFC3339))
	}
	return nil
}
