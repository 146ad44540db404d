package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"

	"hallmark/station"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Options say which files a batch or a shift writes beside the registry.
type Options struct {
	Dir     workdir.Dir
	Issuing []byte // DER of the issuing CA certificate, for the chain files
	Station string // name of the station
	// Exceptions are the exceptions of the HSM, with commas between them; empty: none.
	Exceptions string
	Log        *slog.Logger // nil: no log
	// Paths of the reports; an empty path means no report. Standard as JSONL means Stdout.
	JSONL, JUnit string
	Stdout       io.Writer
	Follow       bool // add to the JSON lines that the file has: a shift goes on when its screen is opened again
}

// Files are the files that a batch or a shift writes beside the registry: certificates, and
// the reports that a flag names. One goroutine writes: no Run waits for it. First it writes
// the certificates of Runs that passed, then their JSON lines: who reads a line finds the file.
type Files struct {
	options      Options
	certificates Certificates
	jsonl, junit *sink // nil: no flag names the report

	writes  sync.WaitGroup // the goroutine of Add, while Runs wait for it
	rebuild sync.WaitGroup
	losing  sync.Once // says once in the log that JSON lines are lost

	disk  sync.Mutex              // held by the one that writes certificates
	fresh map[certificateKey]bool // written for a Run since the rebuild began; nil: no rebuild. disk covers it

	mu      sync.Mutex // covers the following fields
	waiting []*station.Run
	works   bool
	lines   int // JSON lines
	mended  int // certificates that the rebuild wrote
	errs    []error
	ended   bool
}

// Open opens both reports before the first Run. What an earlier batch wrote stays until Begin,
// because a mistake in usage must not cost its reports.
func Open(o Options) (_ *Files, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Files{options: o, certificates: Certificates{o.Dir.Certificates(), o.Issuing}}
	defer func() {
		if err != nil {
			err = reason.Usage(errors.Join(err, f.Close()))
		}
	}()
	if o.JSONL != "" && o.JUnit != "" && filepath.Clean(o.JSONL) == filepath.Clean(o.JUnit) {
		return nil, errSameFile
	}
	if o.JUnit == Standard {
		return nil, fmt.Errorf("--junit %s: %w", o.JUnit, errStandard)
	}
	if err := errors.Join(o.mayWrite("--jsonl", o.JSONL), o.mayWrite("--junit", o.JUnit)); err != nil {
		return nil, err
	}
	if o.JSONL == Standard {
		f.jsonl = standardSink(o.Stdout)
	} else if f.jsonl, err = openSink(o.JSONL, true); err != nil {
		return nil, fmt.Errorf("--jsonl: %w", err)
	}
	if o.Follow {
		if err := f.jsonl.follow(); err != nil {
			return nil, fmt.Errorf("--jsonl: %w", err)
		}
	}
	if f.junit, err = openSink(o.JUnit, false); err != nil {
		return nil, fmt.Errorf("--junit: %w", err)
	}
	return f, nil
}

// Begin empties the reports, so that nobody mistakes the content of an earlier batch for this batch.
func (f *Files) Begin() error { return errors.Join(f.jsonl.empty(), f.junit.empty()) }

// NoneBegun replaces the reports of an earlier batch by those of a batch that ended before its
// first Run; Short of the Suite says why. A mistake in usage or configuration replaces nothing.
func NoneBegun(o Options, s Suite) error {
	if reason.ExitOf(s.Short) == reason.ExitUsage {
		return nil
	}
	f, err := Open(o)
	if err != nil {
		return err
	}
	return errors.Join(f.Begin(), f.Finish(s, nil))
}

// mayWrite refuses a report in the station directory.
func (o Options) mayWrite(flag, path string) error {
	if path == "" || path == Standard {
		return nil
	}
	if err := o.Dir.MayWrite(path); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if err := workdir.InFolder(path); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// rebuildNewest is how many of the newest certificates Rebuild compares by content: many more
// than a kill or a power cut can damage, and few enough that a registry of 100,000 boards does
// not delay the end of a short batch.
const rebuildNewest = 2000

// Rebuild writes the certificate files that are missing or wrong, while Runs may begin: a
// station that was killed after it closed a Run has not written the Run's files. The end of
// ctx ends the rebuild; the next start does the rest. Rebuild is called at most once.
func (f *Files) Rebuild(ctx context.Context, from CertificateSource) {
	f.disk.Lock()
	f.fresh = map[certificateKey]bool{}
	f.disk.Unlock()
	e := export{Certificates: f.certificates, newest: rebuildNewest, guard: f.unlessFresh}
	f.rebuild.Go(func() {
		f.disk.Lock()
		removed := workdir.RemoveTemporary(f.certificates.Folder)
		f.disk.Unlock()
		err := errors.Join(removed, from.EachActive(ctx, registry.ActiveFilter{}, e.add), e.flush())
		f.disk.Lock()
		f.fresh = nil
		f.disk.Unlock()
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.mended = e.Now; f.mended > 0 {
			f.options.Log.Warn("certificate files were missing or wrong, and were written again from the registry", "certificates", f.mended)
		}
		if err != nil && ctx.Err() == nil {
			f.errs = append(f.errs, fmt.Errorf("rebuilding %s: %w", f.certificates.Folder, err))
		}
	})
}

// unlessFresh keeps the rebuild from replacing the certificate of a Run by an older one.
func (f *Files) unlessFresh(do func(skip func(certificateKey) bool) error) error {
	f.disk.Lock()
	defer f.disk.Unlock()
	return do(func(key certificateKey) bool { return f.fresh[key] })
}

// Add writes Runs to the reports, and returns at once. Errors of writing are kept for Close
// and stop nothing, because the registry already holds the Runs. Add is safe for concurrent use.
func (f *Files) Add(runs []*station.Run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting = append(f.waiting, runs...); !f.works {
		f.works = true
		f.writes.Go(f.work)
	}
}

// work writes until no Run waits. Runs that ended while it wrote make the next group.
func (f *Files) work() {
	for {
		f.mu.Lock()
		runs := f.waiting
		f.waiting, f.works = nil, len(runs) > 0
		f.mu.Unlock()
		if len(runs) == 0 {
			return
		}
		f.note(f.writeCertificates(runs))
		for _, run := range runs {
			f.note(f.writeLine(run))
		}
	}
}

func (f *Files) note(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

// writeCertificates writes the files of the Runs that passed, with one sync of their folder.
func (f *Files) writeCertificates(runs []*station.Run) error {
	f.disk.Lock()
	defer f.disk.Unlock()
	newest := map[certificateKey][]byte{} // a board can have two Runs in a group
	for _, run := range runs {
		if run.Ending == station.Pass {
			newest[certificateKey{run.Identity.ID, run.Purpose}] = run.Certificate.DER
		}
	}
	var files []workdir.File
	for key, der := range newest {
		files = append(files, f.certificates.files(key, der)...)
		if f.fresh != nil {
			f.fresh[key] = true
		}
	}
	return workdir.WriteFiles(files...)
}

// writeLine writes the JSON line of a Run. The Queue keeps the error of writing for Close.
func (f *Files) writeLine(run *station.Run) error {
	if f.jsonl == nil {
		return nil
	}
	f.mu.Lock()
	f.lines++
	f.mu.Unlock()
	line, err := recordOf(run, f.options.Station, f.options.Exceptions).line()
	if err != nil {
		return err
	}
	if _, err := f.jsonl.Write(line); err != nil { // Close returns it with the number of lines that are lost
		f.losing.Do(func() {
			f.options.Log.Error("JSON lines are lost: make room or start the reader, and open the station again; `station runs` and the history of the screen have all Runs", "error", err)
		})
	}
	return nil
}

// Trouble returns why JSON lines are lost by now, or nil. It is safe for concurrent use.
func (f *Files) Trouble() error {
	if f.jsonl == nil {
		return nil
	}
	return f.jsonl.Trouble()
}

// Finish writes the JUnit report, which needs all Runs, closes the reports, and returns all errors.
func (f *Files) Finish(s Suite, runs []*station.Run) error {
	if f.junit != nil {
		text, err := s.junit(runs)
		f.note(err)
		if err == nil {
			_, _ = f.junit.Write(text) // Close reports the error
		}
	}
	return f.Close()
}

// Close waits until all Runs are written, closes the reports, and returns all errors. A second
// call does nothing.
func (f *Files) Close() error {
	f.writes.Wait()
	f.rebuild.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil
	}
	f.ended = true
	if err := f.jsonl.end(); err != nil {
		f.errs = append(f.errs, fmt.Errorf("--jsonl: %w; %d of %s missing", err, f.jsonl.Lost(), reason.Count(f.lines, "line is", "lines are")))
	}
	if err := f.junit.end(); err != nil {
		f.errs = append(f.errs, fmt.Errorf("--junit: %w", err))
	}
	return errors.Join(f.errs...)
}
