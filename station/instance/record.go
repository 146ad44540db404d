package instance

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"hallmark/configs"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A Record is a station whose registry and audit log are open. Begin writes what a start writes
// into the registry; before, the registry can still be refused, and stays as it was. Notes until
// then wait in the directory as notices.
type Record struct {
	*Files
	Registry *registry.Registry

	served bool // the control socket is there

	// issuing keeps lists of revoked certificates and status bundles apart: each has a number of its own, and a list never
	// replaces a newer one.
	issuing sync.Mutex
	bundled uint64 // number of the newest status bundle of this process; guarded by issuing
	// marking keeps two checkpoints from being stored on the token at the same moment.
	marking sync.Mutex

	// beginning keeps an action from being left as a notice while Begin records the notices: the
	// entry would come after those of later actions.
	beginning sync.RWMutex
}

var (
	errNoRegistry    = errors.New("registry.db is missing; restore it, with the whole directory, from its backup: a station that starts empty would sign again what it signed before")
	errOtherRegistry = errors.New("registry.db belongs to another station: its log was begun with another audit key; restore the registry.db of this directory from its backup")
	errOtherName     = errors.New("a station keeps its name; write the old one back into station.yaml, or make a new station with `station init`")
)

// Origin returns the name of the audit log in its checkpoints (C2SP tlog-checkpoint: no space, no plus).
func Origin(config *configs.Config) string {
	return "hallmark/" + strings.ReplaceAll(config.Station, " ", "-")
}

// migrating puts a part of a migration into the log, so that a start that takes longer than others says why, and tells who opens.
func (f *Files) migrating(what string) {
	f.Log.Info("migrating the registry", "part", what)
	if f.options.Migrating != nil {
		f.options.Migrating(what)
	}
}

// RegistryConfig returns the configuration of a station's registry.
func RegistryConfig(dir workdir.Dir, config *configs.Config) registry.Config {
	return registry.Config{Path: dir.Registry(), Now: time.Now, Station: config.Station}
}

// OpenRecord opens the registry, and compares it with its mark. It writes nothing into the
// registry: a caller who opens the HSM next compares the registry with the checkpoint on the token
// before Begin. The registry is opened before the HSM, so that a second process is refused before it uses the token.
func (f *Files) OpenRecord(ctx context.Context) (_ *Record, err error) {
	if err := f.ownLog(ctx); err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	misfits, err := f.compareAnchors(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	config := RegistryConfig(f.Dir, f.Config)
	config.Now, config.AcceptClock, config.AcceptRegistry = f.options.Now, f.options.AcceptClock, f.options.AcceptRegistry
	config.Migrating = f.migrating
	if config.Startup, err = f.startupFacts(); err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	config.RequireOrder, config.SignedOnly, config.Owners = f.Config.NeedsOrder(), f.Config.Orders.SignedOnly, f.ownerSums()
	if f.options.Adopting == nil {
		config.Profiles = f.inUse()
	}
	opened, err := registry.Compare(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	record := &Record{Files: f, Registry: opened}
	f.OnClose(record.close)
	if err := f.Dir.EndFinished(); err != nil {
		f.Log.Warn("removing the journal of an init that was finished", "error", err)
	}
	if err := record.acceptMisfits(ctx, misfits); err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	return record, nil
}

// Begin writes what a start writes into the registry, and the entries of the notices. A second
// call writes only the notices.
func (r *Record) Begin(ctx context.Context) error {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	if err := r.Registry.Begin(ctx); err != nil {
		return fmt.Errorf("opening the registry: %w", err)
	}
	if err := r.recordNotices(ctx); err != nil {
		return fmt.Errorf("opening the registry: %w", err)
	}
	return nil
}

// Migrate begins a registry of an older schema at once. A client that shows the record while the
// registry begins would otherwise read from a copy.
func (r *Record) Migrate(ctx context.Context) error {
	if !r.Registry.IsOlder() {
		return nil
	}
	return r.Begin(ctx)
}

// close begins a registry that nobody has begun and nothing has refused, so that the notes of this
// start are on record. It has its own time-out of 30 s, because the context of the caller has
// often ended already.
func (r *Record) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var err error
	if r.Registry.Waits() {
		err = r.Begin(ctx)
	}
	return errors.Join(err, r.Registry.Shutdown())
}

// startupFacts gives what the entry of a start says: the version of the program, and the
// digest of each file that decides what is signed. A file that is not there has no fact.
func (f *Files) startupFacts() (map[string]string, error) {
	facts := map[string]string{"version": station.ThisBuild().Version}
	for name, path := range map[string]string{
		"configuration_sha256": f.Dir.Config(), "profile_sha256": f.Dir.Profile(),
		"profile_cose_sha256": f.Dir.COSEProfile(), "badges_sha256": f.Dir.Badges(),
	} {
		content, err := workdir.ReadUpTo(path, configs.MaxBadges)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, reason.Usage(fmt.Errorf("reading a file for the entry of this start: %w", err))
		}
		facts[name] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	if f.Operators != nil {
		facts[registry.OperatorsFact] = f.operatorsFact()
	}
	if owners := f.ownersFact(); owners != "" {
		facts["order_owners"] = owners
	}
	return facts, nil
}

// OpenReader opens the registry for reading. Another process may be writing to the registry.
func OpenReader(ctx context.Context, dir workdir.Dir) (*registry.Reader, error) {
	if err := registryPresent(dir); err != nil {
		return nil, err
	}
	return registry.OpenReader(ctx, dir.Registry())
}

// PlanMigration says what a start would do to a registry of an older schema.
func PlanMigration(ctx context.Context, dir workdir.Dir) (*registry.Migration, error) {
	if err := registryPresent(dir); err != nil {
		return nil, err
	}
	return registry.PlanMigration(ctx, dir.Registry())
}

// OpenFollower opens the registry for a server beside a station that writes it. Files.Close closes it.
func (f *Files) OpenFollower(ctx context.Context) (*registry.Follower, error) {
	if err := registryPresent(f.Dir); err != nil {
		return nil, err
	}
	follower, err := registry.OpenFollower(ctx, f.Dir.Registry())
	if err == nil {
		f.OnClose(follower.Close)
	}
	return follower, err
}

// registryPresent refuses a station directory without a registry. Only `init` makes a registry.
func registryPresent(dir workdir.Dir) error {
	if _, err := os.Stat(dir.Registry()); errors.Is(err, fs.ErrNotExist) {
		return reason.Usage(fmt.Errorf("%s: %w", dir, errNoRegistry))
	} else if err != nil {
		return fmt.Errorf("looking for the registry: %w", err)
	}
	return nil
}

// ownLog refuses a registry whose audit log has another name or another key, because entries
// in such a log are no evidence of this station. ownLog only reads, so that no entry of this
// station gets into the log of another station.
func (f *Files) ownLog(ctx context.Context) (err error) {
	public, err := workdir.ReadPublicKey(f.Dir.AuditPublic())
	if err != nil {
		return err
	}
	origin := Origin(f.Config)
	ours, err := audit.VerifierKey(origin, public)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Dir.AuditPublic(), err)
	}
	reader, err := OpenReader(ctx, f.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	begun, err := reader.VerifierKey(ctx)
	if err != nil {
		return err
	}
	name, key, _ := strings.Cut(begun, "+")
	_, ourKey, _ := strings.Cut(ours, "+")
	switch {
	case key != ourKey:
		return reason.Usage(fmt.Errorf("%s: %w", f.Dir.Registry(), errOtherRegistry))
	case name != origin:
		return reason.Usage(fmt.Errorf("%s began as %q, station.yaml says %q: %w", f.Dir.Registry(), name, origin, errOtherName))
	}
	return nil
}

// Checkpoint records the notices that other processes left, and signs a checkpoint over the
// whole audit log. It has its own time-out of 30 s, because the context of the caller may have
// ended already.
func (r *Record) Checkpoint(signer crypto.Signer) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(r.recordNotices(ctx), r.Registry.Checkpoint(ctx, Origin(r.Config), signer))
}

// Note records an event of the station itself in the audit log. It has its own time-out of 10 s.
func (r *Record) Note(what string, outcome audit.Outcome, details map[string]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return r.NoteBy(ctx, what, outcome, LocalUser(), details)
}

// NoteBy records an action of an operator in the audit log. Before Begin the action waits as a
// notice: on the disk, and not in a registry that can still be refused.
func (r *Record) NoteBy(ctx context.Context, what string, outcome audit.Outcome, operator string, details map[string]string) error {
	if left, err := r.leaveBeforeBegin(Notice{Type: what, Outcome: outcome, Operator: operator, Details: details}); left {
		return err
	}
	return r.Registry.Event(ctx, registry.Event{Type: what, Outcome: outcome, Operator: operator, Details: details})
}

// leaveBeforeBegin leaves the notice unless the registry has begun.
func (r *Record) leaveBeforeBegin(n Notice) (left bool, err error) {
	r.beginning.RLock()
	defer r.beginning.RUnlock()
	if r.Registry.Begun() {
		return false, nil
	}
	return true, leaveNoticeAt(r.Dir, n, r.Now())
}

// CheckClock refuses a clock that was not set or has gone back. It reads no file.
func (r *Record) CheckClock(now time.Time) error {
	for _, certificate := range []struct {
		name                string
		notBefore, notAfter time.Time
	}{{"root", r.Root.NotBefore, r.Root.NotAfter}, {"issuing CA", r.Issuing.NotBefore, r.Issuing.NotAfter}} {
		if now.Before(certificate.notBefore) || now.After(certificate.notAfter) {
			return fmt.Errorf("it says %s, when the %s certificate is not valid", now.UTC().Format(time.RFC3339), certificate.name)
		}
	}
	return r.Registry.ClockStep()
}
