package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hallmark/station"
)

// reports are what a batch leaves behind beside the registry. The bench calls
// add for one Run at a time.
type reports struct {
	state   state
	issuing []byte // DER, for the chain file
	jsonl   *os.File
	errs    []error
}

func openReports(b *bench, jsonl string) (*reports, error) {
	r := &reports{state: b.state, issuing: b.issuing.Raw}
	if jsonl == "" {
		return r, nil
	}
	file, err := os.OpenFile(jsonl, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, usage(fmt.Errorf("--jsonl: %w", err))
	}
	r.jsonl = file
	return r, nil
}

// add reports one Run. The registry has it already, so a report that cannot be
// written is remembered and does not stop the line.
func (r *reports) add(run *station.Run) {
	if r.jsonl != nil {
		if err := writeRecord(r.jsonl, run); err != nil {
			r.errs = append(r.errs, fmt.Errorf("writing the JSON line of Run %v: %w", run.ID, err))
		}
	}
	if run.Ending == station.Pass {
		r.errs = append(r.errs, r.certificate(run))
	}
}

// certificate writes what `openssl verify` and a TLS server's operator want to have.
func (r *reports) certificate(run *station.Run) error {
	stem := filepath.Join(r.state.certificates(), boardID(run))
	return errors.Join(
		writeFile(stem+".pem", certificatePEM(run.Certificate.DER)),
		writeFile(stem+".chain.pem", certificatePEM(run.Certificate.DER, r.issuing)),
	)
}

// finish writes what is known only at the end, and gives every error so far.
func (r *reports) finish(junit string, s suite, runs []*station.Run) error {
	if junit != "" {
		text, err := s.junit(runs)
		if err == nil {
			err = writeFile(junit, text)
		}
		r.errs = append(r.errs, err)
	}
	return errors.Join(r.errs...)
}

func (r *reports) close() error {
	if r.jsonl == nil {
		return nil
	}
	return r.jsonl.Close()
}
