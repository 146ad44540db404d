package serve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/reason"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// maxExcess is how many entries an upload may send again. More are refused with the entry to begin at.
const maxExcess = 32 * witness.PackageWidth

func (l *log) mirrorCheckpoint() string { return filepath.Join(l.mirrorDir, evidence.CheckpointFile) }

func (l *log) mirrorFile(path string) string {
	return filepath.Join(l.mirrorDir, filepath.FromSlash(path))
}

// loadMirror reads the checkpoint of the mirror, and finds the first entry that the mirror lacks.
func (l *log) loadMirror() error {
	head, _, err := l.readSigned(l.mirrorCheckpoint(), l.mirrorsVerifier)
	if err != nil {
		return err
	}
	l.mirrored, l.next = head, 0
	for { // also the bundles that an interrupted upload left
		width, err := l.bundleWidth(l.next)
		if err != nil {
			return err
		}
		if l.next += int64(width); width < evidence.TileWidth {
			break
		}
	}
	if l.next < head.Size {
		return fmt.Errorf("%w: %s is over %s, and the mirror has %d", errDamaged, l.mirrorCheckpoint(), reason.Count(head.Size, "entry", "entries"), l.next)
	}
	return nil
}

// bundleWidth gives the number of entries in the widest entry bundle that begins with an entry.
func (l *log) bundleWidth(first int64) (int, error) {
	full := l.mirrorFile(evidence.TilePath("entries", first/evidence.TileWidth, evidence.TileWidth))
	if workdir.Exists(full) {
		return evidence.TileWidth, nil
	}
	files, err := os.ReadDir(full + ".p")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	widest := 0
	for _, file := range files {
		if width, bad := strconv.Atoi(file.Name()); bad == nil && width < evidence.TileWidth {
			widest = max(widest, width)
		}
	}
	return widest, err
}

// bundle reads the first count entries of the entry bundle that begins with an entry.
func (l *log) bundle(first int64, count int) (entries [][]byte, err error) {
	width, err := l.bundleWidth(first)
	if err != nil {
		return nil, err
	}
	if width < count {
		return nil, fmt.Errorf("the mirror has %d of %s from entry %d on", width, reason.Count(count, "entry", "entries"), first)
	}
	if count == 0 {
		return nil, nil
	}
	content, err := os.ReadFile(l.mirrorFile(evidence.TilePath("entries", first/evidence.TileWidth, width)))
	if err != nil {
		return nil, err
	}
	err = evidence.SplitEntries(content, func(entry []byte) error {
		if len(entries) < count {
			entries = append(entries, entry)
		}
		return nil
	})
	if err == nil && len(entries) < count {
		err = fmt.Errorf("entry bundle %d has %s, want %d", first/evidence.TileWidth, reason.Count(len(entries), "entry", "entries"), count)
	}
	return entries, err
}

// AddEntries answers add-entries (C2SP tlog-mirror): it takes the packages one by one, and
// returns the signature line of the mirror when all are there.
func (s *Store) AddEntries(body io.Reader) (string, error) {
	up, err := witness.ReadUpload(body)
	if err != nil {
		return "", refuse(http.StatusBadRequest, err)
	}
	l, known := s.logs[up.Origin]
	if !known {
		return "", refuse(http.StatusNotFound, errUnknownLog)
	}
	checkpoint, head, err := l.wanted(up)
	if err != nil {
		return "", err
	}
	for start := up.Start; start < up.End; start = up.Bounds(start) {
		if err := l.take(body, start, up.Bounds(start), head); err != nil {
			return "", l.interrupted(err, start > up.Start, checkpoint, head)
		}
	}
	return l.commit(checkpoint, head)
}

// wanted finds the checkpoint that an upload goes up to, and checks where the upload begins.
func (l *log) wanted(up *witness.Upload) ([]byte, audit.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unsure {
		if err := l.load(); err != nil {
			return nil, audit.Head{}, refuse(http.StatusInternalServerError, err)
		}
	}
	if l.newest == nil {
		return nil, audit.Head{}, refuse(http.StatusUnprocessableEntity, errors.New("add-checkpoint comes first: the log has no checkpoint here"))
	}
	checkpoint, head := l.newest, l.head
	if up.End != head.Size { // a ticket is an older checkpoint that this witness has cosigned
		older, err := l.opened(up.Ticket, l.mine)
		if err != nil || older.Size != up.End {
			return nil, head, l.other(l.newest, head, errors.New("the end of the upload is no checkpoint that this mirror knows"))
		}
		checkpoint, head = up.Ticket, older
	}
	if up.End < l.mirrored.Size || up.Start > l.next || min(up.End, l.next)-up.Start > maxExcess {
		return nil, head, l.other(checkpoint, head, errors.New("the upload does not begin or end where it should"))
	}
	return checkpoint, head, nil
}

// other says where an upload should begin and end. The caller holds mu.
func (l *log) other(checkpoint []byte, head audit.Head, why error) *refusal {
	if head.Size < l.mirrored.Size {
		checkpoint, head = l.newest, l.head
	}
	return l.state(http.StatusConflict, checkpoint, head, why)
}

func (l *log) state(status int, checkpoint []byte, head audit.Head, why error) *refusal {
	info := witness.Info{Size: head.Size, Next: l.next, Ticket: checkpoint}
	return &refusal{status, witness.TypeMirrorInfo, info.Encode(), why}
}

// interrupted answers an upload that ended before its last package.
func (l *log) interrupted(err error, some bool, checkpoint []byte, head audit.Head) error {
	var r *refusal
	if errors.As(err, &r) {
		return err
	}
	if !some {
		return refuse(http.StatusBadRequest, fmt.Errorf("reading the first entry package: %w", err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state(http.StatusAccepted, checkpoint, head, err)
}

// take reads one package, checks that its entries belong to the checkpoint, and stores them.
func (l *log) take(body io.Reader, start, end int64, head audit.Head) error {
	p, err := witness.ReadPackage(body, start, end)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	first := witness.Floor(start)
	before, err := l.bundle(first, int(start-first))
	if err != nil {
		return refuse(http.StatusInternalServerError, err)
	}
	entries := append(before, p.Entries...)
	hashes := make([]tlog.Hash, 0, len(entries))
	for _, entry := range entries {
		hashes = append(hashes, tlog.RecordHash(entry))
	}
	if err := witness.CheckSubtree(p.Proof, first, end, witness.RootOf(hashes), head.Size, head.Root); err != nil {
		return refuse(http.StatusUnprocessableEntity, err)
	}
	return l.keep(first, end, entries)
}

// keep stores an entry bundle, unless an upload beside this one has stored its entries. The caller holds mu.
func (l *log) keep(first, end int64, entries [][]byte) error {
	if end <= l.next {
		return nil
	}
	path := l.mirrorFile(evidence.TilePath("entries", first/evidence.TileWidth, len(entries)))
	if err := workdir.WriteFile(path, bundleOf(entries)); err != nil {
		l.unsure = true
		return refuse(http.StatusInternalServerError, fmt.Errorf("storing entries: %w", err))
	}
	l.next = end
	return nil
}

func bundleOf(entries [][]byte) (content []byte) {
	for _, entry := range entries {
		content = evidence.AppendEntry(content, entry)
	}
	return content
}

// commit brings the mirror up to a checkpoint whose entries are all there.
func (l *log) commit(checkpoint []byte, head audit.Head) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if head.Size < l.mirrored.Size || l.next < head.Size {
		return "", l.other(checkpoint, head, errors.New("another upload was faster"))
	}
	signed, err := note.Open(checkpoint, note.VerifierList(l.verifier))
	if err != nil {
		return "", refuse(http.StatusInternalServerError, err)
	}
	if err := l.writeTiles(head); err != nil {
		return "", refuse(http.StatusInternalServerError, fmt.Errorf("writing the tiles: %w", err))
	}
	line := l.store.mirror.Cosign(signed.Text, l.store.now())
	err = workdir.WriteFiles(
		workdir.File{Path: l.mirrorFile(evidence.KeyFile), Content: []byte(l.key + "\n")},
		workdir.File{Path: l.mirrorCheckpoint(), Content: []byte(noteText(signed) + line)})
	if err != nil {
		l.unsure = true
		return "", refuse(http.StatusInternalServerError, fmt.Errorf("storing the checkpoint of the mirror: %w", err))
	}
	before := l.mirrored
	l.mirrored = head
	return line, l.removePartial(before.Size, head.Size)
}

// removePartial removes the partial tiles of an older checkpoint whose full tiles are there now
// (C2SP tlog-tiles, "Partial Tiles"). The caller holds mu.
func (l *log) removePartial(before, now int64) error {
	for level, was, is := 0, before, now; was > 0; level, was, is = level+1, was/evidence.TileWidth, is/evidence.TileWidth {
		index := was / evidence.TileWidth
		if was%evidence.TileWidth == 0 || is/evidence.TileWidth == index {
			continue
		}
		names := []string{strconv.Itoa(level)}
		if level == 0 {
			names = append(names, "entries")
		}
		for _, name := range names {
			full := l.mirrorFile(evidence.TilePath(name, index, evidence.TileWidth))
			if err := os.RemoveAll(full + ".p"); err != nil {
				return refuse(http.StatusInternalServerError, fmt.Errorf("removing partial tiles: %w", err))
			}
		}
	}
	return nil
}

// monitored gives the file of a log below a monitoring prefix.
func (s *Store) monitored(hash, path string, mirror bool) (string, bool) {
	l, known := s.byHash[hash]
	switch {
	case !known:
		return "", false
	case mirror && (path == evidence.CheckpointFile || strings.HasPrefix(path, "tile/")) && filepath.IsLocal(path):
		return l.mirrorFile(path), true
	case !mirror && path == evidence.CheckpointFile:
		return l.checkpointFile(), true
	}
	return "", false
}
