// Package instance opens a station directory, in the order in which its parts need
// each other, and closes it. It is the only place that puts the parts of the product together:
// commands, benchmark and tests all come through here.
//
// Each part has a type of its own, and only an open part can open the next:
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
	"time"

	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/station/verifier"
	"hallmark/station/workdir"
)

// Options say how a station directory is opened. The zero value is what production wants.
type Options struct {
	// AcceptClock is the operator who says that the clock is right although it is
	// behind the audit log; usually empty.
	AcceptClock string
	PIN         hsm.PINSource         // nil: the source that the configuration names
	Show        func(workdir.LogLine) // gets each line of the log and must not block; may be nil
	// Token is an open token to use instead of the configured one; whoever opened it closes it.
	Token *hsm.Token
	Now   func() time.Time // nil: time.Now
	// Random is for nonces, serial numbers and ids; safe for concurrent use; nil: crypto/rand.
	Random io.Reader

	TestingOnly Hooks
}

// Hooks let a test put something in front of the parts. Each may be nil.
type Hooks struct {
	Issuance func(*issuance.Config)              // before the issuer is made
	Known    func(verifier.Known) verifier.Known // what the verifier asks
	Engine   func(*station.Config)               // before the engine is made
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

// LocalUser is who is logged in on this machine.
func LocalUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid-%d", os.Getuid())
}

// An Instance is a station directory with all its parts open. Exactly one process has
// it, which the registry's lock sees to.
type Instance struct {
	*Keys
	Audit    crypto.Signer // signs checkpoints
	Issuer   *issuance.Issuer
	Endpoint *Endpoint
}

// Open opens all parts. Closing the Instance closes them.
func Open(ctx context.Context, dir workdir.Dir, options Options) (_ *Instance, err error) {
	files, err := OpenFiles(dir, options)
	if err != nil {
		return nil, err
	}
	i, err := files.openAll(ctx)
	if err != nil {
		return nil, errors.Join(err, files.Close())
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

// OpenAll opens what a station with an open registry still lacks. What could be
// opened before an error stays open until Close.
func (r *Record) OpenAll(ctx context.Context) (*Instance, error) {
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

// Assemble puts open parts together. A checkpoint comes first: it covers what a killed
// station left uncovered, and the recovery from that, before anything is added.
func Assemble(keys *Keys, audit crypto.Signer, issuer *issuance.Issuer, endpoint *Endpoint) (*Instance, error) {
	i := &Instance{Keys: keys, Audit: audit, Issuer: issuer, Endpoint: endpoint}
	return i, i.Checkpoint()
}

// Checkpoint signs the audit log as it stands.
func (i *Instance) Checkpoint() error { return i.Record.Checkpoint(i.Audit) }

// Engine makes an engine; events, which may be nil, are told what happens. An engine
// that was drained stays drained, so whoever goes on makes another one.
func (i *Instance) Engine(events func(station.Event)) (*station.Station, error) {
	config := station.Config{
		Issuer: i.Issuer, Registry: i.Registry, Known: i.Registry, Verifier: i.Endpoint.Server,
		Keys:   i.Files.Keys(),
		Anchor: i.Root.Raw, Chain: chain(i.Root, i.Issuing),
		AllowedHUK: i.Config.HUKSources(), Callers: i.Config.Boards.TFMCallers, Seal: i.Config.Boards.Seal,
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
