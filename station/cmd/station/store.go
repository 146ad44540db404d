package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"hallmark/configs"
	"hallmark/hsm"
	"hallmark/station/audit"
	"hallmark/station/registry"
)

// origin names the audit log in its checkpoints (C2SP tlog-checkpoint: no space, no plus).
func origin(config *configs.Config) string {
	return "hallmark/" + strings.ReplaceAll(config.Station, " ", "-")
}

// begin makes the registry and writes entry 0 of the audit log: what the
// ceremony made, and the key that checkpoints are signed with.
func begin(ctx context.Context, s state, p *plan, made *ceremony) (err error) {
	profile, cose, err := p.profiles()
	if err != nil {
		return err
	}
	book, err := registry.Open(ctx, registryConfig(s, p.config))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, book.Shutdown()) }()
	keys, err := made.evidence(ctx)
	if err != nil {
		return err
	}
	key, err := book.Genesis(ctx, registry.Genesis{
		Origin: origin(p.config), AuditKey: made.audit.Public(), Operator: operator(), Profile: profile, COSE: cose,
		Certificates: map[string]*x509.Certificate{"root": made.root, "issuing": made.issuing, "server": made.server},
		HSM:          describe(made.token.Info()), Keys: keys,
	})
	if err != nil {
		return err
	}
	if err := writeFile(s.auditKey(), []byte(key+"\n")); err != nil {
		return err
	}
	return book.Checkpoint(ctx, origin(p.config), made.audit)
}

func describe(info hsm.Info) map[string]string {
	return map[string]string{
		"label": info.Label, "serial": info.Serial, "manufacturer": info.Manufacturer, "model": info.Model,
		"firmware": info.Firmware, "software": strconv.FormatBool(info.Software),
	}
}

// auditSigner adopts the audit key by the public key that `init` wrote down.
func (b *bench) auditSigner(ctx context.Context) (crypto.Signer, error) {
	public, err := readPublic(b.state.auditPublic())
	if err != nil {
		return nil, err
	}
	return b.signer(ctx, b.config.Authority.AuditLabel, public)
}

func readPublic(path string) (crypto.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the audit key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: want a public key in PEM", path)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return public, nil
}

var (
	errNoRegistry    = errors.New("registry.db is missing; restore it, with the whole directory, from its backup: a station that starts empty would sign again what it signed before")
	errOtherRegistry = errors.New("registry.db belongs to another station: its log was begun with another audit key; restore the registry.db of this directory from its backup")
	errOtherName     = errors.New("a station keeps its name; write the old one back into station.yaml, or make a new station with `station init`")
)

// present refuses a station without its registry: only `init` makes one.
func present(s state) error {
	if _, err := os.Stat(s.registry()); errors.Is(err, fs.ErrNotExist) {
		return usage(fmt.Errorf("%s: %w", s, errNoRegistry))
	} else if err != nil {
		return fmt.Errorf("looking for the registry: %w", err)
	}
	return nil
}

// openReader opens the registry beside a station that may be working with it.
func openReader(ctx context.Context, s state) (*registry.Reader, error) {
	if err := present(s); err != nil {
		return nil, err
	}
	return registry.OpenReader(ctx, s.registry())
}

// ownLog refuses a registry whose log was begun under another name or key,
// because nothing that is recorded there would count as evidence of this station.
// It only reads: nothing of ours may get into another station's log.
func (b *bench) ownLog(ctx context.Context) (err error) {
	public, err := readPublic(b.state.auditPublic())
	if err != nil {
		return err
	}
	ours, err := audit.VerifierKey(origin(b.config), public)
	if err != nil {
		return fmt.Errorf("%s: %w", b.state.auditPublic(), err)
	}
	reader, err := openReader(ctx, b.state)
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
		return usage(fmt.Errorf("%s: %w", b.state.registry(), errOtherRegistry))
	case name != origin(b.config):
		return usage(fmt.Errorf("%s began as %q, station.yaml says %q: %w", b.state.registry(), name, origin(b.config), errOtherName))
	}
	return nil
}

// checkpointEvery is the number of Runs after which a batch signs over the log,
// so that a kill leaves little that a cut tail could hide.
const checkpointEvery = 50

// checkpoint signs the audit log as it stands. It is done when the bench is
// open, during a batch and at its end, with its own bound because the batch may
// have been stopped.
func (b *bench) checkpoint() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return b.registry.Checkpoint(ctx, origin(b.config), b.audit)
}

// note puts something of the station itself on record, with a bound of its own.
func (b *bench) note(what string, outcome audit.Outcome, details map[string]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return b.registry.Event(ctx, registry.Event{Type: what, Outcome: outcome, Operator: operator(), Details: details})
}

// said puts an operator's act on record.
func (b *bench) said(ctx context.Context, what string, outcome audit.Outcome, operator string, details map[string]string) error {
	return b.registry.Event(ctx, registry.Event{Type: what, Outcome: outcome, Operator: operator, Details: details})
}
