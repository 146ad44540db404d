// Package registry keeps boards, keys, certificates, Runs and work orders in one
// SQLite file, together with the audit log. Every row follows from an entry of the log.
//
// A call that changes something writes rows and audit entry in one transaction, and
// returns nil only after the commit was synced to the disk. When it returns an error,
// it has written nothing but the entry about a refusal. Many callers share one commit.
// If a commit fails, none of them gets nil, and so nothing is signed (I8). One process
// at a time has a registry open for writing; others may read it with [OpenReader].
//
// Compare opens a registry and refuses one that is not whole; it writes nothing into the
// registry. Begin migrates an older registry and closes what the last process left open: an
// intent without a result becomes unresolved (I10), and a Run that was never closed ends as a
// Fault, "interrupted". Open does both.
package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// Config is what Open needs.
type Config struct {
	Path    string           // of the database; Open makes a new one if there is none
	Now     func() time.Time // nil: time.Now
	Random  io.Reader        // for ids of audit entries; nil: crypto/rand
	Station string           // name of this station, for each audit entry

	// AcceptClock is the operator who says that the clock is right although it is
	// behind the newest audit entry. Empty: such a clock is refused.
	AcceptClock string
	// AcceptRegistry is the operator who accepts a registry that does not fit its mark, for
	// example after the disk was lost. Empty: such a registry is refused.
	AcceptRegistry string
	// Migrating is told what a migration does next, in a few words for people. Nil: nobody is told.
	Migrating func(what string)
	// Startup has facts for the entry of this start: version of the program, digests of
	// configuration and profiles. The entry names those that changed since the last start.
	Startup map[string]string
	// RequireOrder refuses a Run without a work order.
	RequireOrder bool
	// Profiles are those of the station directory. The first start of a registry that knows of no adoption takes them
	// as adopted, on record.
	Profiles Profiles
	// SignedOnly refuses work orders that no owner has signed, and their Runs.
	SignedOnly bool
	// Owners are the SHA-256 of the public keys of the owners whose work orders the station takes.
	Owners [][sha256.Size]byte
}

// Registry is an open registry. Its methods are safe for concurrent use.
type Registry struct {
	*Reader
	config Config
	lock   *os.File
	pool   *sql.DB // of one connection
	log    *audit.Log
	writer *writer
	mark   *mark
	once   sync.Once

	orders  sync.Map // terms of the work orders whose row was compared with the log, by id
	version int64    // of the schema of the file, before Begin
	files   *watch   // of the files that were compared
	acts    *acts

	signing chan struct{} // holds one value while a checkpoint is made

	unsigned []audit.Entry // behind the newest checkpoint, when the registry was opened: those that give rights

	beginning sync.Mutex   // covers the following fields
	begun     bool         // Begin was called
	unbegun   error        // why Begin failed
	refused   error        // why Covers refused the registry, before Begin
	accepted  []acceptance // what an operator accepted while this registry is open

	closed error
}

var (
	_ issuance.Store   = (*Registry)(nil)
	_ station.Registry = (*Registry)(nil)
	_ station.Known    = (*Registry)(nil)
)

// Refusals.
var (
	// ErrLocked: another station has this registry open.
	ErrLocked = reason.New("registry-locked", "another station has this registry open: close it first, or use another directory")
	// ErrSettings: the database does not run with the settings that make commits durable.
	ErrSettings = reason.New("registry-settings", "database did not take a setting that durability needs")
	// ErrSchema: the file is not a registry of this version.
	ErrSchema = reason.New("registry-schema", "file is not a registry of this version")
	// ErrDiskFull: the disk has no room for the files that SQLite needs beside the registry, also for reading.
	ErrDiskFull = reason.New("disk-full", "the disk is full: free some space, then do the same again; the registry itself is as it was")
	// ErrUnread: the disk returned an error.
	ErrUnread = fmt.Errorf("%w cannot be read: check the disk, then do the same again", station.ErrRegistry)
	// ErrSchemaChanged: tables, indexes or triggers are not those that this version makes.
	ErrSchemaChanged = reason.New("registry-schema-changed", "the schema of the registry was changed")
	// ErrOlder: the registry lacks entries that its mark has seen (I16).
	ErrOlder = reason.New("registry-older", "registry.db is older than its mark")
	// ErrOther: the registry is not the one that the mark belongs to.
	ErrOther = reason.New("registry-other", "registry.db and its mark are not of one log")
	// ErrOlderThanToken: the registry lacks entries that the checkpoint on the token covers (I16).
	ErrOlderThanToken = reason.New("registry-older", "registry.db is older than the checkpoint on the token")
	// ErrOtherThanToken: the registry is not the one that the checkpoint on the token belongs to.
	ErrOtherThanToken = reason.New("registry-other", "registry.db and the checkpoint on the token are not of one log")
	// ErrMarkMissing: there is no mark beside the registry.
	ErrMarkMissing = reason.New("mark-missing", "the mark of the registry is missing, so nobody can tell whether the newest entries are there")
	// ErrMark: the mark cannot be read.
	ErrMark = reason.New("mark-unreadable", "the mark of the registry cannot be read")
	// ErrReplaced: the files of the registry were replaced or removed while it was open.
	ErrReplaced = reason.New("registry-replaced", "registry.db was replaced or removed while the station had it open")
	// ErrStartup: the row about the newest start does not name the newest start in the log.
	ErrStartup = reason.New("registry-differs", "the row about the newest start differs from the audit log")
	// ErrReleased: a bay is free although the log has no acknowledgement since the Run that stopped it (I13).
	ErrReleased = reason.New("registry-differs", "the registry says that the bay goes on, and nobody acknowledged it on record")
	// ErrBayMissing: the row of a bay is missing, and the log says that a Run stopped the bay (I13).
	ErrBayMissing = reason.New("registry-differs", "the registry has no row for the bay, and the log says that it was stopped")
	// ErrReopened: a row is open although the log says that it has ended.
	ErrReopened = reason.New("registry-reopened", "a row of the registry is open again although the audit log has its end")
	// ErrNoGenesis: the registry was opened but the ceremony never wrote entry 0.
	ErrNoGenesis = reason.New("no-genesis", "registry has no genesis entry: run the ceremony (station init) first")
	// ErrGenesis: there is a genesis entry already.
	ErrGenesis = reason.New("genesis", "registry has a genesis entry already")
	// ErrNotDurable: the commit failed; nothing was recorded and nothing may be done (I8).
	ErrNotDurable = fmt.Errorf("%w could not commit: nothing was recorded; free disk space or check the disk, then try again", station.ErrRegistry)
	// ErrUnknownOutcome: the caller gave up while the commit was under way.
	ErrUnknownOutcome = fmt.Errorf("%w: gave up waiting for the commit: it may or may not be recorded", station.ErrRegistry)
	// ErrClosed: the registry is closed.
	ErrClosed = reason.New("registry-closed", "registry is closed")

	ErrUnknownRun     = reason.New("unknown-run", "Run is not admitted, or it is closed")
	ErrUnknownBoard   = reason.New("unknown-board", "board is not registered")
	ErrUnknownOrder   = station.ErrUnknownOrder
	ErrOrderOpen      = reason.New("order-open", "work order is open already with other values")
	ErrOrderQuota     = reason.New("order-quota", "a work order can only be raised")
	ErrOrderReplayed  = reason.New("order-replayed", "this file has opened or changed the work order already")
	ErrOrderRevision  = reason.New("order-revision", "the file is no newer revision of the work order")
	ErrQuota          = station.ErrQuota
	ErrScrapped       = station.ErrScrapped
	ErrNoIntent       = reason.New("no-intent", "no open intent has this serial number")
	ErrOtherSelection = reason.New("other-selection", "the selection has other certificates than the preview")
	ErrWrongStatus    = reason.New("wrong-status", "certificate is not in a status that allows this")
	ErrNoCertificate  = reason.New("no-certificate", "Run has no certificate")
	ErrNotReadBack    = reason.New("not-read-back", "Run did not read this certificate back from the board")
	ErrMarked         = reason.New("already-marked", "the board is marked for a rework already")
	// ErrNothingToRework: the board has no certificate that a rework could replace.
	ErrNothingToRework = reason.New("nothing-to-rework", "board has no certificate that a rework could replace")
	ErrNotPresented    = reason.New("not-presented", "board did not present this certificate in a handshake of the Run")

	// errRefused has the word for an audit entry about a refusal that is no sentinel.
	errRefused = reason.New("refused", "refused")
	// errInterrupted has the word of a Run that ended without a call of Close.
	errInterrupted = reason.New("interrupted", "the station ended before the Run did")
)

// Shutdown closes the registry, after all earlier calls are committed. A registry that was not
// begun stays as it is. It is not called Close, because Close of station.Registry closes a Run.
func (r *Registry) Shutdown() error {
	r.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		var err error
		if r.isBegun() && r.log.Head().Size > 0 {
			err = r.note(ctx, audit.Entry{Category: audit.CategoryLog, Type: "log.shutdown", Outcome: audit.Success})
		}
		r.closed = errors.Join(err, r.release())
	})
	return r.closed
}

const closeTimeout = 10 * time.Second

// release closes what is open, in the opposite order. If somebody wrote over the files, the
// database stays open until the process ends: SQLite would bring the write-ahead log, which may
// be the only copy of the newest entries, into the file that is not the registry any more.
func (r *Registry) release() error {
	var errs []error
	if r.writer != nil {
		errs = append(errs, r.writer.stop())
	}
	if r.Reader != nil {
		errs = append(errs, r.Reader.Close())
	}
	if r.log != nil {
		errs = append(errs, r.log.Close())
	}
	if r.mark != nil {
		errs = append(errs, r.mark.close(r.log.Head()))
	}
	writtenOver := r.writer != nil && errors.Is(r.writer.failed, ErrReplaced)
	if r.pool != nil && !writtenOver {
		errs = append(errs, r.pool.Close())
	}
	if r.files != nil && !writtenOver {
		errs = append(errs, r.files.close())
	}
	if r.lock != nil {
		errs = append(errs, unlock(r.lock))
	}
	return errors.Join(errs...)
}

// note appends one entry that changes no row.
func (r *Registry) note(ctx context.Context, e audit.Entry) error {
	return r.write(ctx, func(w *work) error {
		if e.Actor.ID == "" {
			e.Actor = audit.Itself()
		}
		_, err := w.append(e)
		return err
	})
}
