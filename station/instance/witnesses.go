package instance

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// Bounds of waiting for witnesses. No Run waits for a witness.
const (
	anchorTimeout = 5 * time.Second // at the start, for all witnesses together
	witnessGrace  = 5 * time.Second // at the end, for those that have answered before, all together
)

// ErrWitness: a witness does not confirm the log at present. The line goes on.
var ErrWitness = errors.New("a witness does not confirm the audit log")

// WitnessClients makes a client for each configured witness.
func (f *Files) WitnessClients() ([]*witness.Client, error) {
	var clients []*witness.Client
	for _, w := range f.Config.Witnesses {
		cas, err := readCAs(w.CA)
		if err != nil {
			return nil, reason.Usage(fmt.Errorf("witness %s: %w", w.Name, err))
		}
		client, err := witness.NewClient(witness.Config{Name: w.Name, URL: w.URL, Key: w.Key, MirrorKey: w.MirrorKey, CAs: cas})
		if err != nil {
			return nil, reason.Usage(err)
		}
		clients = append(clients, client)
	}
	return clients, nil
}

var errNoCA = errors.New("the file has no certificate in PEM")

// maxCAs is the largest file of CAs, in octets. The files of the systems have about 300,000.
const maxCAs = 4 << 20

// readCAs reads CAs. Without a file it returns nil, which stands for those of the system.
func readCAs(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := workdir.ReadUpTo(path, maxCAs)
	if err != nil {
		return nil, fmt.Errorf("reading the CAs: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %w", path, errNoCA)
	}
	return pool, nil
}

// destinations are all to whom checkpoints go: the witnesses and the time stamping authority.
func (i *Instance) destinations(ctx context.Context) (all []witness.Destination, err error) {
	clients, err := i.WitnessClients()
	if err != nil {
		return nil, err
	}
	key, err := i.Registry.VerifierKey(ctx)
	for _, client := range clients {
		to := witness.To(i.Registry, key, client)
		to.Away = i.away[client.Name()]
		all = append(all, to)
	}
	if err == nil && i.Config.Timestamp.URL != "" {
		var authority witness.Destination
		authority, err = i.authority()
		all = append(all, authority)
	}
	return all, err
}

// startWitnesses begins to send checkpoints to the witnesses, until Close.
func (i *Instance) startWitnesses(ctx context.Context) error {
	destinations, err := i.destinations(ctx)
	if err != nil || len(destinations) == 0 {
		return err
	}
	i.witnesses = witness.Start(destinations, i.witnessChanged)
	i.EndWitnesses = sync.OnceFunc(func() { i.witnesses.End(witnessGrace) })
	i.OnClose(func() error { i.EndWitnesses(); return nil })
	return nil
}

// witnessChanged records that a witness began to fail, or works again.
func (i *Instance) witnessChanged(s witness.State) {
	var err error
	if s.Err != nil {
		i.Log.Warn("a witness does not confirm the audit log; the line goes on", "witness", s.Name, "error", s.Err)
		err = i.noteWitness("witness.failed", audit.Failure, map[string]string{"witness": s.Name, "reason": reason.Of(s.Err).Word, "error": s.Err.Error()})
	} else {
		i.Log.Info("a witness confirms the audit log again", "witness", s.Name)
		err = i.noteWitness("witness.back", audit.Success, map[string]string{"witness": s.Name})
	}
	if err != nil {
		i.Log.Error("recording the state of a witness", "error", err)
	}
}

// noteWitness records an entry of the station itself, with a time-out of its own.
func (i *Instance) noteWitness(what string, outcome audit.Outcome, details map[string]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return i.NoteBy(ctx, what, outcome, "", details)
}

// Witnesses gives the state of each witness.
func (i *Instance) Witnesses() []witness.State {
	if i.witnesses == nil {
		return nil
	}
	return i.witnesses.States()
}

// WitnessWarning says which witnesses do not confirm the log, and why, and whether anchors are missing. It
// is empty while all is well.
func (i *Instance) WitnessWarning() string {
	var failing []string
	if i.noAnchors != nil {
		failing = append(failing, reason.OneLine(i.noAnchors))
	}
	for _, s := range i.Witnesses() {
		if s.Err != nil {
			failing = append(failing, s.Name+": "+reason.OneLine(s.Err))
		}
	}
	return strings.Join(failing, "; ")
}

// A finding is what one witness or one anchor says at a start.
type finding struct {
	name    string // for people
	witness string // name of the witness; empty: an anchor
	head    audit.Head
	err     error
}

// askWitnesses asks all witnesses at once for the newest checkpoint that they have seen.
func (f *Files) askWitnesses(ctx context.Context, key string, stored witness.Cosigned) ([]finding, error) {
	clients, err := f.WitnessClients()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, anchorTimeout)
	defer cancel()
	findings := make([]finding, len(clients))
	var asked sync.WaitGroup
	for i, client := range clients {
		asked.Go(func() {
			defer client.Close()
			head, err := client.NewestOf(ctx, key, stored)
			findings[i] = finding{"the witness " + client.Name(), client.Name(), head, err}
		})
	}
	asked.Wait()
	return findings, nil
}

// CheckWitnesses asks each witness, and compares its newest checkpoint with the log, as it does with each
// anchor. It gives a line for each witness. The error wraps a refusal of the registry if the log does not fit, and
// otherwise ErrWitness if a witness does not answer, and ErrNoAnchors.
func (r *Record) CheckWitnesses(ctx context.Context) (lines []string, err error) {
	key, err := r.Registry.VerifierKey(ctx)
	if err != nil {
		return nil, err
	}
	findings, err := r.askWitnesses(ctx, key, r.Registry)
	if err != nil {
		return nil, err
	}
	anchors, away := r.readAnchors(key)
	if away != nil && !errors.Is(away, ErrNoAnchors) {
		return nil, away
	}
	if r.Config.Anchors != "" && away == nil {
		lines = append(lines, fmt.Sprintf("the directory of anchors has %s of this log", reason.Count(len(anchors), "checkpoint", "checkpoints")))
	}
	var misfits error
	for _, anchor := range anchors {
		misfits = errors.Join(misfits, named(anchor.name, r.Registry.FitsAnchor(ctx, anchor.head)))
	}
	for _, found := range findings {
		switch {
		case errors.Is(found.err, witness.ErrNothingSeen):
			lines = append(lines, found.name+" shows no checkpoint of this log")
		case found.err != nil:
			away = errors.Join(away, fmt.Errorf("%w: %s: %w", ErrWitness, found.name, found.err))
		default:
			misfits = errors.Join(misfits, named(found.name, r.Registry.FitsAnchor(ctx, found.head)))
			lines = append(lines, fmt.Sprintf("%s has cosigned %s", found.name, reason.Count(found.head.Size, "entry", "entries")))
		}
	}
	return lines, cmp.Or(misfits, away)
}

// named says with which anchor a log was compared.
func named(anchor string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("comparing with %s: %w", anchor, err)
}
