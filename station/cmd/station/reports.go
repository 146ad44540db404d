package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"hallmark/devices"
	"hallmark/station"
)

// reports are what a batch or a shift leaves behind beside the registry. add is safe
// for concurrent use.
type reports struct {
	mu sync.Mutex // one add at a time

	state        state
	issuing      []byte   // DER, for the chain file
	jsonl, junit *os.File // nil: not asked for
	errs         []error
}

// What a report begins with, to know one that may be replaced.
const (
	jsonlStart = `{"run":`
	junitStart = xml.Header + "<testsuite"
)

var (
	errOwnFile  = errors.New("it exists and is no report: the station's own files are never overwritten; name another file")
	errSameFile = errors.New("--jsonl and --junit name the same file; want one for each")
)

// openReports makes sure of both files before a board is touched. What an
// earlier batch left in them is emptied, so that nobody takes it for this one's.
func openReports(b *bench, jsonl, junit string) (_ *reports, err error) {
	r := &reports{state: b.state, issuing: b.issuing.Raw}
	defer func() {
		if err != nil {
			err = usage(errors.Join(err, r.close()))
		}
	}()
	if jsonl != "" && junit != "" && filepath.Clean(jsonl) == filepath.Clean(junit) {
		return nil, errSameFile
	}
	if r.jsonl, err = openReport(b.state, jsonl, jsonlStart); err != nil {
		return nil, fmt.Errorf("--jsonl: %w", err)
	}
	if r.junit, err = openReport(b.state, junit, junitStart); err != nil {
		return nil, fmt.Errorf("--junit: %w", err)
	}
	return r, nil
}

// openReport makes or empties one file, in a directory that is there.
func openReport(s state, path, start string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	if mine, err := ownFile(s, path, start); err != nil {
		return nil, err
	} else if mine {
		return nil, fmt.Errorf("%s: %w", path, errOwnFile)
	}
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
}

// ownFile says whether path leads, past symbolic links, to something in the
// station's directory that is neither empty nor a report.
func ownFile(s state, path, start string) (bool, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if real, err = filepath.Abs(real); err != nil {
		return false, err
	}
	home, err := filepath.EvalSymlinks(string(s))
	if err != nil || !strings.HasPrefix(real, home+string(filepath.Separator)) {
		return false, err
	}
	file, err := os.Open(real)
	if err != nil {
		return false, err
	}
	defer file.Close()
	held, err := io.ReadAll(io.LimitReader(file, int64(len(start))))
	return len(held) > 0 && string(held) != start, err
}

// add reports one Run. The registry has it already, so a report that cannot be
// written is remembered and does not stop the line.
func (r *reports) add(run *station.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
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
	if run.Purpose != devices.PurposeTLS {
		stem += "." + string(run.Purpose)
	}
	return errors.Join(
		writeFile(stem+".pem", certificatePEM(run.Certificate.DER)),
		writeFile(stem+".chain.pem", certificatePEM(run.Certificate.DER, r.issuing)),
	)
}

// finish writes what is known only at the end, and gives every error so far.
func (r *reports) finish(s suite, runs []*station.Run) error {
	if r.junit != nil {
		text, err := s.junit(runs)
		if err == nil {
			_, err = r.junit.Write(text)
		}
		r.errs = append(r.errs, err)
	}
	return errors.Join(r.errs...)
}

func (r *reports) close() error {
	var errs []error
	for _, file := range []*os.File{r.jsonl, r.junit} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}
