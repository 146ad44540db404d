package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"hallmark/station"
	"hallmark/station/reason"
	"hallmark/station/verifier"
)

// lookAgain is how often the program looks whether a bundle or CRL was replaced.
const lookAgain = 200 * time.Millisecond

// known is what the program knows of certificates, from files that other programs replace.
type known struct {
	list   *reloading       // nil without --known
	status *verifier.Status // nil without --status and --crl
}

// open reads the files, and has the verifier decide with them.
func (set *settings) open(config *verifier.Config) (*known, error) {
	k := &known{}
	if set.known != "" {
		k.list = &reloading{path: set.known}
		if err := k.list.reload(); err != nil {
			return nil, err
		}
		config.Known = k.list
	}
	if len(set.statuses) == 0 && len(set.crls) == 0 {
		return k, nil
	}
	memory, err := verifier.OpenMemory(set.state)
	if err != nil {
		return nil, err
	}
	k.status, err = verifier.OpenStatus(verifier.StatusConfig{Bundles: set.statuses, CRLs: set.crls, Stale: verifier.StalePolicy(set.stale),
		Authorities: append([]*x509.Certificate{config.Root}, config.Intermediates...), Memory: memory, Now: config.Now, Log: config.Log})
	if err != nil {
		return nil, err
	}
	if len(set.statuses) > 0 {
		config.Known = k.status
	}
	if len(set.crls) > 0 {
		config.Revocations = k.status
	}
	return k, nil
}

// describe says how many certificates are known, and from which signed files.
func (k *known) describe() string {
	var parts []string
	if k.list != nil {
		parts = append(parts, reason.Count(k.list.current.Load().Len(), "certificate", "certificates")+" known")
	}
	if k.status != nil {
		parts = append(parts, k.status.Describe()...)
	}
	return strings.Join(parts, ", ")
}

// watch reads the list again at each signal, and the signed files also when they were replaced, until ctx ends.
func (k *known) watch(ctx context.Context, hangups <-chan os.Signal, log *slog.Logger) {
	ticks := time.NewTicker(lookAgain)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			if k.list != nil {
				k.list.again(log)
			}
		case <-ticks.C:
		}
		if k.status != nil {
			k.status.Reload()
		}
	}
}

// reloading is a list of known certificates that a reload replaces.
type reloading struct {
	path    string
	current atomic.Pointer[verifier.List]
}

func (r *reloading) Lookup(ctx context.Context, serial [16]byte) (station.Record, error) {
	return r.current.Load().Lookup(ctx, serial)
}

// reload reads the file. If the file is bad, the old list stays.
func (r *reloading) reload() error {
	file, err := os.Open(r.path)
	if err != nil {
		return err
	}
	defer file.Close()
	list, err := verifier.ReadList(file)
	if err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	r.current.Store(list)
	return nil
}

// again is reload, and the log says what came of it.
func (r *reloading) again(log *slog.Logger) {
	if err := r.reload(); err != nil {
		log.Error("reloading; the list from before stays", "error", err)
		return
	}
	log.Info("reloaded", "path", r.path, "certificates", r.current.Load().Len())
}
