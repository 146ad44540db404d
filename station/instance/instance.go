// Package instance opens and closes a station directory. It opens the parts in the order
// in which they need each other. Only this package puts the parts of the product together:
// commands, benchmark and tests all use this package.
//
// Each part has its own type, and only an open part can open the next part:
//
//	Files ─► Record ─┬─► Keys ─┬─► issuer ────┐
//	                 │         └─► audit key ─┼─► Instance ─► engine
//	                 └─► Endpoint ────────────┘
package instance

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"time"

	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/outbox"
	"hallmark/station/sender"
	"hallmark/station/verifier"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// Options say how to open a station directory. Production uses the zero value.
type Options struct {
	// AcceptClock is usually empty. If the clock is behind the audit log, AcceptClock
	// names the operator who says that the clock is right.
	AcceptClock string
	// AcceptRegistry is usually empty. If the registry does not fit its mark, AcceptRegistry
	// names the operator who goes on with the registry nevertheless.
	AcceptRegistry string
	PIN            hsm.PINSource         // nil: the source that the configuration names
	Show           func(workdir.LogLine) // gets each line of the log and must not block; may be nil
	// Migrating is told what a migration of the registry does next; nil: only the log is.
	Migrating func(what string)
	// Token is an open token to use instead of the configured token. The caller closes it.
	Token *hsm.Token
	Now   func() time.Time // nil: time.Now
	// Random is for nonces, serial numbers and ids; safe for concurrent use; nil: crypto/rand.
	Random io.Reader
	// Adopting takes the place of the profile in the directory; nil: none does.
	Adopting *Adoption
	Root     string // directory that holds sys and dev of this machine; "": "/"

	TestingOnly Hooks
}

// Hooks let a test change or wrap the parts. Each hook may be nil.
type Hooks struct {
	Issuance func(*issuance.Config)              // called before the issuer is made
	Known    func(verifier.Known) verifier.Known // wraps the registry of the verifier
	Engine   func(*station.Config)               // called before the engine is made
}

func (o Options) completed() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return o
}

// LocalUser returns the name of the user who runs the program.
func LocalUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid-%d", os.Getuid())
}

// UserName returns the name of a user, or "uid-NUMBER" if there is no name.
func UserName(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid-" + number
}

// An Instance is a station directory with all its parts open. The registry's lock makes sure
// that only one process has an Instance of a directory.
type Instance struct {
	*Keys
	Audit    crypto.Signer // signs checkpoints
	Issuer   *issuance.Issuer
	Endpoint *Endpoint

	witnesses *witness.Submitter // nil: none is configured
	senders   []*sender.Sender   // in the order of the configuration
	hub       *outbox.Sender     // nil: the station belongs to no hub
	// EndWitnesses sends the newest checkpoint to the witnesses that answer, and then no other. WitnessWarning says
	// afterwards how that went. Close calls it, too.
	EndWitnesses func()
}

// Open opens all parts. Closing the Instance closes them.
func Open(ctx context.Context, dir workdir.Dir, options Options) (_ *Instance, err error) {
	files, err := OpenFiles(dir, options)
	if err != nil {
		return nil, err
	}
	return files.Open(ctx)
}

// Open opens the parts that the Files do not have. After an error the Files are closed, too.
func (f *Files) Open(ctx context.Context) (*Instance, error) {
	i, err := f.openAll(ctx)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return i, nil
}

func (f *Files) openAll(ctx context.Context) (*Instance, error) {
	record, err := f.OpenRecord(ctx)
	if err != nil {
		return nil, err
	}
	return record.OpenAll(ctx)
}

// OpenAll opens the parts that are not open yet. After an error, the parts that were opened
// before the error stay open until Close.
func (r *Record) OpenAll(ctx context.Context) (*Instance, error) {
	if err := r.CheckProfiles(ctx); err != nil { // before a person has to type a PIN
		return nil, err
	}
	keys, err := r.OpenKeys(ctx, nil)
	if err != nil {
		return nil, err
	}
	audit, err := keys.AuditSigner(ctx)
	if err != nil {
		return nil, err
	}
	issuer, err := keys.OpenIssuer(ctx)
	if err != nil {
		return nil, err
	}
	endpoint, err := r.OpenEndpoint(ctx)
	if err != nil {
		return nil, err
	}
	return Assemble(keys, audit, issuer, endpoint)
}

// Assemble makes an Instance of open parts. First it compares the log with the checkpoint on the
// token, then the registry begins. A checkpoint covers the entries that a killed station left without a
// checkpoint, and the entries of the recovery, before new entries are added.
func Assemble(keys *Keys, audit crypto.Signer, issuer *issuance.Issuer, endpoint *Endpoint) (*Instance, error) {
	i := &Instance{Keys: keys, Audit: audit, Issuer: issuer, Endpoint: endpoint, EndWitnesses: func() {}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := keys.Begin(ctx); err != nil {
		return nil, err
	}
	if err := i.Checkpoint(); err != nil {
		return nil, err
	}
	if err := i.startWebhooks(ctx); err != nil {
		return nil, err
	}
	if err := i.startHub(); err != nil {
		return nil, err
	}
	return i, i.startWitnesses(ctx)
}

// Checkpoint signs a checkpoint over the whole audit log, and stores the checkpoint on the token, too.
// The witnesses get the checkpoint later, and nobody waits for them.
func (i *Instance) Checkpoint() error {
	err := i.Keys.Checkpoint(i.Audit)
	if err == nil && i.witnesses != nil {
		i.witnesses.Wake()
	}
	return err
}

// Engine makes an engine, which sends its events to events; events may be nil. A drained
// engine stays drained, so the caller makes a new engine to go on.
func (i *Instance) Engine(events func(station.Event)) (*station.Station, error) {
	config := station.Config{
		Issuer: i.Issuer, Registry: i.Registry, Known: i.Registry, Verifier: i.Endpoint.Server,
		Keys:   i.Files.Keys(),
		Anchor: i.Root.Raw, Chain: chain(i.Root, i.Issuing),
		AllowedHUK: i.Config.HUKSources(), Callers: i.Config.Boards.TFMCallers, Seal: i.Config.Boards.Seal,
		Flash: i.flashes(), ReadFirmware: i.Config.Boards.ReadFirmware, RequireReceipt: i.Config.Boards.RequireReceipt, LockDebugPort: i.Config.Boards.Lock, RenewBefore: i.Config.Renewal(), FirmwareAllow: i.Config.Boards.AllowedFirmware(),
		Timeouts: i.Config.StationTimeouts(), Events: events,
		Now: i.options.Now, Random: i.options.Random,
	}
	if i.OverNetwork() {
		config.NetworkSessions = i.Endpoint.Server
	}
	if hook := i.options.TestingOnly.Engine; hook != nil {
		hook(&config)
	}
	return station.New(config)
}
