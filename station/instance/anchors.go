package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// At each start the log is compared with checkpoints that lie outside of the station: the newest
// checkpoint of each witness, and those in the directory of anchors (I16). The comparison comes before
// the registry is opened for writing, so that a refused start changes nothing.

// Limits of the directory of anchors.
const (
	maxAnchorFiles = 10_000
	maxAnchorFile  = 1 << 20
)

var (
	// ErrAnchorFile: a file in the directory of anchors is no checkpoint of this log.
	ErrAnchorFile = reason.New("anchor-unreadable", "a file in the directory of anchors cannot be used")
	// ErrNoWitness: require_witness is set, and no witness says what it has seen.
	ErrNoWitness = reason.New("witness-required", "no witness says what it has seen, and require_witness is set in station.yaml; restore the network to a witness, or set require_witness: false")
)

// ErrNoAnchors: the directory that `anchors` in station.yaml names is not there. The line goes on.
var ErrNoAnchors = errors.New("the directory of anchors is not there, so the log is not compared with its checkpoints")

// A misfit is an anchor that the log does not fit.
type misfit struct {
	head audit.Head
	err  error
}

// compareAnchors compares the log with all anchors. It returns those that the log does not fit if an
// operator accepts that, and an error otherwise.
func (f *Files) compareAnchors(ctx context.Context) (misfits []misfit, err error) {
	if len(f.Config.Witnesses) == 0 && f.Config.Anchors == "" {
		return nil, nil
	}
	reader, err := OpenReader(ctx, f.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	findings, err := f.anchors(ctx, reader)
	if err != nil {
		return nil, err
	}
	for _, found := range findings {
		bad := named(found.name, reader.FitsAnchor(ctx, found.head))
		switch {
		case bad == nil:
		case f.options.AcceptRegistry != "" && (errors.Is(bad, registry.ErrAnchorOlder) || errors.Is(bad, registry.ErrAnchorOther)):
			misfits = append(misfits, misfit{found.head, bad})
		default:
			err = errors.Join(err, bad)
		}
	}
	return misfits, err
}

// anchors gives the anchors that say something.
func (f *Files) anchors(ctx context.Context, reader *registry.Reader) ([]finding, error) {
	key, err := reader.VerifierKey(ctx)
	if err != nil {
		return nil, err
	}
	asked, err := f.askWitnesses(ctx, key, reader)
	if err != nil {
		return nil, err
	}
	found, err := f.readAnchors(key)
	if errors.Is(err, ErrNoAnchors) {
		f.noAnchors = err
		f.Log.Warn("the log is not compared with anchors", "error", err)
	} else if err != nil {
		return nil, err
	}
	answered, silent := false, error(nil)
	f.away = map[string]error{}
	for _, one := range asked {
		switch {
		case one.err == nil:
			found, answered = append(found, one), true
		case errors.Is(one.err, witness.ErrNothingSeen):
			answered = true
		default:
			f.away[one.witness] = one.err
			silent = errors.Join(silent, named(one.name, one.err))
			f.Log.Warn("a witness does not say what it has seen", "witness", one.witness, "error", one.err)
		}
	}
	if f.Config.RequireWitness && !answered {
		return nil, errors.Join(ErrNoWitness, silent)
	}
	return found, nil
}

// readAnchors reads the checkpoints of this log in the directory of anchors. For a directory that is not
// there, for example on a stick that was taken out, it returns ErrNoAnchors.
func (f *Files) readAnchors(key string) (found []finding, err error) {
	if f.Config.Anchors == "" {
		return nil, nil
	}
	dir := f.Config.Anchors
	if !filepath.IsAbs(dir) {
		dir = f.Dir.In(dir)
	}
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoAnchors, dir)
	}
	if err == nil && len(files) > maxAnchorFiles {
		err = fmt.Errorf("it has %s, want at most %d", reason.Count(len(files), "file", "files"), maxAnchorFiles)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrAnchorFile, dir, err)
	}
	for _, file := range files {
		if strings.HasPrefix(file.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, file.Name())
		info, err := os.Stat(path) // of the file that a link names
		if err == nil && !info.Mode().IsRegular() {
			continue
		}
		var some []finding
		if err == nil {
			some, err = readAnchor(path, key)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrAnchorFile, path, err)
		}
		found = append(found, some...)
	}
	return found, nil
}

// readAnchor reads the checkpoints of one file. Those of other logs are left out: one directory
// may serve many stations.
func readAnchor(path, key string) (found []finding, err error) {
	text, err := workdir.ReadUpTo(path, maxAnchorFile)
	if err != nil {
		return nil, err
	}
	notes, err := audit.ParseAnchors(text)
	origin, _, _ := strings.Cut(key, "+")
	for _, note := range notes {
		if !bytes.HasPrefix(note, []byte(origin+"\n")) {
			continue
		}
		head, err := audit.OpenCheckpoint(note, key)
		if err != nil {
			return nil, err
		}
		found = append(found, finding{name: "the anchor " + filepath.Base(path), head: head})
	}
	return found, err
}

// acceptMisfits records that an operator goes on although the log does not fit some anchors.
func (r *Record) acceptMisfits(ctx context.Context, misfits []misfit) error {
	for _, m := range misfits {
		if err := r.Registry.Accept(ctx, m.head, m.err); err != nil {
			return err
		}
	}
	return nil
}
