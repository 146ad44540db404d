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
	"slices"
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
	Bundles     []string // paths of status bundles, at most one of each CA
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
	config  StatusConfig
	bundles []*signedFile[*Bundle]
	crls    []*signedFile[*crl]
}

var _ KnownByIssuer = (*Status)(nil)

// OpenStatus reads all files. It refuses a file that is forged, of another CA, older than one before, or stale under StaleRefuse.
func OpenStatus(c StatusConfig) (*Status, error) {
	s := &Status{config: c}
	for _, path := range c.Bundles {
		file := &signedFile[*Bundle]{path: path, read: ReadBundle}
		file.fits = func(b *Bundle) error {
			if other := fileOf(s.bundles, b.Issuer); other != nil && other != file {
				return fmt.Errorf("%w: %s has the bundle of the same CA", ErrStatusTwice, other.path)
			}
			return nil
		}
		if err := file.load(&c); err != nil {
			return nil, err
		}
		s.bundles = append(s.bundles, file)
	}
	for _, path := range c.CRLs {
		file := &signedFile[*crl]{path: path, read: readCRL}
		file.fits = func(list *crl) error {
			if other := fileOf(s.crls, keyOf(list.issuer)); other != nil && other != file {
				return fmt.Errorf("%w: %s has the CRL of the same CA", ErrStatusTwice, other.path)
			}
			return nil
		}
		if err := file.load(&c); err != nil {
			return nil, err
		}
		s.crls = append(s.crls, file)
	}
	return s, nil
}

// fileOf finds the file of a CA, or gives nil.
func fileOf[T signedStatus](files []*signedFile[T], issuer [sha256.Size]byte) *signedFile[T] {
	for _, file := range files {
		if (*file.current.Load()).authorityKey() == issuer {
			return file
		}
	}
	return nil
}

// Describe says what the files are.
func (s *Status) Describe() (all []string) {
	known := 0
	for _, file := range s.bundles {
		b := *file.current.Load()
		known, all = known+b.Len(), append(all, b.describe())
	}
	if len(s.bundles) > 0 {
		all = slices.Insert(all, 0, reason.Count(known, "certificate", "certificates")+" known")
	}
	for _, file := range s.crls {
		all = append(all, (*file.current.Load()).describe())
	}
	return all
}

// Lookup implements [Known] with all bundles.
func (s *Status) Lookup(ctx context.Context, serial [serialSize]byte) (station.Record, error) {
	return bundles{&s.config, s.bundles}.Lookup(ctx, serial)
}

// By implements [KnownByIssuer]. If the CA that issued a certificate has signed a bundle, that bundle alone speaks of it: a station that
// knows a certificate of another one must not bring it back after its revocation. A certificate of another CA, such as an earlier
// issuing CA of a station, may be in any bundle.
func (s *Status) By(issuer *x509.Certificate) Known {
	if own := fileOf(s.bundles, keyOf(issuer)); own != nil {
		return bundles{&s.config, []*signedFile[*Bundle]{own}}
	}
	return bundles{&s.config, s.bundles}
}

// bundles are some of the bundles of a Status.
type bundles struct {
	config *StatusConfig
	files  []*signedFile[*Bundle]
}

// Lookup asks each bundle. If several know the serial number, one that says anything but active decides.
func (b bundles) Lookup(ctx context.Context, serial [serialSize]byte) (record station.Record, err error) {
	found := false
	for _, file := range b.files {
		bundle := *file.current.Load()
		if err := file.usable(b.config, bundle); err != nil {
			return station.Record{}, err
		}
		one, err := bundle.Lookup(ctx, serial)
		if err == nil && (!found || record.Status == station.StatusActive) {
			record, found = one, true
		}
	}
	if !found {
		return station.Record{}, station.ErrUnknownCertificate
	}
	return record, nil
}

// Check implements [Revocations] with the CRLs. The CA of the leaf needs a CRL; the CAs above need none.
func (s *Status) Check(chain []*x509.Certificate) error {
	for n := range len(chain) - 1 {
		file := fileOf(s.crls, keyOf(chain[n+1]))
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

// Reload reads each file that was replaced since it was read. If a new file is bad, the old content stays.
func (s *Status) Reload() {
	for _, file := range s.bundles {
		file.reload(&s.config)
	}
	for _, file := range s.crls {
		file.reload(&s.config)
	}
}

// A signedStatus is the content of a file: a bundle or a CRL.
type signedStatus interface {
	kind() string
	authorityKey() [sha256.Size]byte // of all files of one kind and CA, only the newest counts
	version() (number *big.Int, sum [sha256.Size]byte)
	times() (issued, nextUpdate time.Time)
	describe() string
}

func (b *Bundle) kind() string                    { return "bundle" }
func (b *Bundle) authorityKey() [sha256.Size]byte { return b.Issuer }
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
	fits    func(T) error // refuses what may not be used beside the other files
	seen    fs.FileInfo   // of the file that was read last, also if it was refused
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
	if err := f.fits(content); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
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
