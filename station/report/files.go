package report

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
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Files are the files that a batch or a shift writes beside the registry: certificates, and
// the reports that a flag names. Add is safe for concurrent use.
type Files struct {
	dir          workdir.Dir
	issuing      []byte   // DER, for the chain file
	jsonl, junit *os.File // nil: no flag names the report

	mu   sync.Mutex // covers errs; only one Add works at a time
	errs []error
}

// The first octets of a report. A file that begins so may be replaced.
const (
	jsonlStart = `{"run":`
	junitStart = xml.Header + "<testsuite"
)

var (
	errOwnFile  = errors.New("it exists and is no report: the station's own files are never overwritten; name another file")
	errSameFile = errors.New("--jsonl and --junit name the same file; want one for each")
)

// Open opens both reports before the first Run; an empty path means no report. Open empties
// the report of an earlier batch, so that nobody mistakes it for the report of this batch.
// issuing is the DER of the issuing CA certificate.
func Open(dir workdir.Dir, issuing []byte, jsonl, junit string) (_ *Files, err error) {
	r := &Files{dir: dir, issuing: issuing}
	defer func() {
		if err != nil {
			err = reason.Usage(errors.Join(err, r.Close()))
		}
	}()
	if jsonl != "" && junit != "" && filepath.Clean(jsonl) == filepath.Clean(junit) {
		return nil, errSameFile
	}
	if r.jsonl, err = openReport(dir, jsonl, jsonlStart); err != nil {
		return nil, fmt.Errorf("--jsonl: %w", err)
	}
	if r.junit, err = openReport(dir, junit, junitStart); err != nil {
		return nil, fmt.Errorf("--junit: %w", err)
	}
	return r, nil
}

// openReport makes or empties one report. The directory must exist.
func openReport(dir workdir.Dir, path, start string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	if mine, err := ownFile(dir, path, start); err != nil {
		return nil, err
	} else if mine {
		return nil, fmt.Errorf("%s: %w", path, errOwnFile)
	}
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
}

// ownFile reports whether path, after symbolic links are followed, is a file of the station
// directory that is neither empty nor a report. Such a file must not be overwritten.
func ownFile(dir workdir.Dir, path, start string) (bool, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if real, err = filepath.Abs(real); err != nil {
		return false, err
	}
	home, err := filepath.EvalSymlinks(string(dir))
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

// Add writes Runs to the reports. Errors of writing are kept for Errors and stop nothing,
// because the registry already holds the Runs.
func (r *Files) Add(runs []*station.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range runs {
		r.add(run)
	}
}

// add writes one Run to the reports. The caller holds mu.
func (r *Files) add(run *station.Run) {
	if r.jsonl != nil {
		if err := writeRecord(r.jsonl, run); err != nil {
			r.errs = append(r.errs, fmt.Errorf("writing the JSON line of Run %v: %w", run.ID, err))
		}
	}
	if run.Ending == station.Pass {
		r.errs = append(r.errs, r.certificate(run))
	}
}

// certificate writes the chain file of a board, for `openssl verify` and for TLS servers.
func (r *Files) certificate(run *station.Run) error {
	stem := filepath.Join(r.dir.Certificates(), boardID(run))
	if run.Purpose != devices.PurposeTLS {
		stem += "." + string(run.Purpose)
	}
	return errors.Join(
		workdir.WriteFile(stem+".pem", workdir.CertificatePEM(run.Certificate.DER)),
		workdir.WriteFile(stem+".chain.pem", workdir.CertificatePEM(run.Certificate.DER, r.issuing)),
	)
}

// Finish writes the JUnit report, which needs all Runs, and returns all errors so far.
func (r *Files) Finish(s Suite, runs []*station.Run) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.junit != nil {
		text, err := s.junit(runs)
		if err == nil {
			_, err = r.junit.Write(text)
		}
		r.errs = append(r.errs, err)
	}
	return errors.Join(r.errs...)
}

// Errors returns all errors so far.
func (r *Files) Errors() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.errs...)
}

// Close closes the reports.
func (r *Files) Close() error {
	var errs []error
	for _, file := range []*os.File{r.jsonl, r.junit} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}
