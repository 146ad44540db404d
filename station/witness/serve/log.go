package serve

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/reason"
	"hallmark/station/witness"
	"hallmark/station/workdir"
)

// A refusal is an answer that is not 200.
type refusal struct {
	status int
	kind   string // content type; empty: text for people
	body   []byte
	error
}

func refuse(status int, err error) *refusal { return &refusal{status: status, error: err} }

// Why a checkpoint is refused.
var (
	errUnknownLog = errors.New("the origin is not in the list of logs")
	errSignature  = errors.New("no good signature of the log's key")
	errFork       = errors.New("the checkpoint does not continue the log that this witness has seen")
	errOldSize    = errors.New("the old size is not the size that this witness has seen")
	errDamaged    = errors.New("the stored checkpoint of the log is damaged; keep a copy of the directory, and make a new witness with a new key")
)

// A log is what the witness knows of one log.
type log struct {
	store           *Store
	origin, key     string
	dir, mirrorDir  string
	verifier, mine  note.Verifier // of the log, of the witness
	mirrorsVerifier note.Verifier

	mu       sync.Mutex
	unsure   bool // a write failed: what the disk has must be read again
	head     audit.Head
	newest   []byte // the newest cosigned checkpoint, nil before the first
	mirrored audit.Head
	next     int64 // the first entry that the mirror lacks
}

func openLog(s *Store, origin, key string) (*log, error) {
	hash := witness.OriginHash(origin)
	l := &log{store: s, origin: origin, key: key, dir: filepath.Join(s.dir, "logs", hash), mirrorDir: filepath.Join(s.dir, "mirror", hash)}
	var err, bad, worse error
	l.verifier, err = audit.NewVerifier(key)
	l.mine, bad = evidence.NewCosigner(s.witness.VerifierKey())
	l.mirrorsVerifier, worse = evidence.NewCosigner(s.mirror.VerifierKey())
	if err := errors.Join(err, bad, worse, removeTemporary(l.dir), removeTemporary(l.mirrorDir)); err != nil {
		return nil, err
	}
	return l, l.load()
}

func (l *log) checkpointFile() string { return filepath.Join(l.dir, "checkpoint") }

// load reads what the disk has.
func (l *log) load() error {
	head, text, err := l.readSigned(l.checkpointFile(), l.mine)
	if err != nil {
		return err
	}
	l.head, l.newest = head, text
	if err := l.loadMirror(); err != nil {
		return err
	}
	l.unsure = false
	return nil
}

// readSigned reads a checkpoint that the log and a cosigner have signed. A file that is not there is no checkpoint.
func (l *log) readSigned(path string, cosigner note.Verifier) (audit.Head, []byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return audit.Head{}, nil, nil
	} else if err != nil {
		return audit.Head{}, nil, err
	}
	head, err := l.opened(text, cosigner)
	if err != nil {
		return head, nil, fmt.Errorf("%w: %s: %w", errDamaged, path, err)
	}
	return head, text, nil
}

// opened opens a checkpoint that the log and a cosigner have signed.
func (l *log) opened(text []byte, cosigner note.Verifier) (audit.Head, error) {
	head, err := audit.OpenCheckpoint(text, l.key)
	if err != nil {
		return head, err
	}
	_, err = note.Open(text, note.VerifierList(cosigner))
	return head, err
}

// AddCheckpoint answers add-checkpoint (C2SP tlog-witness): it returns the signature line.
func (s *Store) AddCheckpoint(r *witness.Request) (string, error) {
	origin, _, _ := strings.Cut(string(r.Checkpoint), "\n")
	l, known := s.logs[origin]
	if !known {
		return "", refuse(http.StatusNotFound, errUnknownLog)
	}
	signed, head, err := l.verified(r.Checkpoint)
	if err != nil {
		return "", err
	}
	if r.Old > head.Size {
		return "", refuse(http.StatusBadRequest, fmt.Errorf("the old size %d is greater than that of the checkpoint", r.Old))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.continues(r, head); err != nil {
		return "", errors.Join(err, l.keepRefused(err, signed, head))
	}
	return l.cosign(signed, head)
}

// verified opens a checkpoint of the log. It keeps only the signature of the log.
func (l *log) verified(checkpoint []byte) (*note.Note, audit.Head, error) {
	signed, err := note.Open(checkpoint, note.VerifierList(l.verifier))
	if err != nil {
		return nil, audit.Head{}, refuse(http.StatusForbidden, fmt.Errorf("%w: %w", errSignature, err))
	}
	head, err := audit.OpenCheckpoint(checkpoint, l.key)
	if err != nil {
		return nil, audit.Head{}, refuse(http.StatusBadRequest, err)
	}
	return signed, head, nil
}

// continues checks that the checkpoint continues what was cosigned before. The caller holds mu.
func (l *log) continues(r *witness.Request, head audit.Head) error {
	if l.unsure {
		if err := l.load(); err != nil {
			return refuse(http.StatusInternalServerError, err)
		}
	}
	if r.Old != l.head.Size {
		return &refusal{http.StatusConflict, witness.TypeSize, []byte(strconv.FormatInt(l.head.Size, 10) + "\n"), errOldSize}
	}
	if head.Size == 0 {
		empty, _ := tlog.TreeHash(0, nil) // reads nothing
		if head.Root != empty {
			return refuse(http.StatusUnprocessableEntity, errors.New("the empty log has another root"))
		}
	}
	if r.Old == 0 {
		if len(r.Proof) != 0 {
			return refuse(http.StatusUnprocessableEntity, errors.New("a proof from the empty log must be empty"))
		}
		return nil
	}
	if err := tlog.CheckTree(r.Proof, head.Size, head.Root, l.head.Size, l.head.Root); err != nil {
		return refuse(http.StatusUnprocessableEntity, fmt.Errorf("%w: %s after %d", errFork, reason.Count(head.Size, "entry", "entries"), l.head.Size))
	}
	return nil
}

// cosign stores the cosigned checkpoint, and then gives the signature away. The caller holds mu.
func (l *log) cosign(signed *note.Note, head audit.Head) (string, error) {
	line := l.store.witness.Cosign(signed.Text, l.store.now())
	text := []byte(noteText(signed) + line)
	if err := workdir.WriteFile(l.checkpointFile(), text); err != nil {
		l.unsure = true
		return "", refuse(http.StatusInternalServerError, fmt.Errorf("storing the checkpoint: %w", err))
	}
	l.head, l.newest = head, text
	return line, nil
}

// noteText is the note with the signatures that were verified.
func noteText(n *note.Note) string {
	var lines strings.Builder
	lines.WriteString(n.Text + "\n")
	for _, s := range n.Sigs {
		fmt.Fprintf(&lines, "\u2014 %s %s\n", s.Name, s.Base64)
	}
	return lines.String()
}

// maxRefused is how many refused checkpoints of a log are kept.
const maxRefused = 100

// keepRefused keeps a checkpoint that the log signed and that does not continue the log: together
// with the stored one it may prove that somebody forked the log. The caller holds mu.
func (l *log) keepRefused(why error, signed *note.Note, head audit.Head) error {
	var r *refusal
	if !errors.As(why, &r) || r.status != http.StatusUnprocessableEntity {
		return nil
	}
	dir := filepath.Join(l.dir, "refused")
	kept, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(kept) >= maxRefused {
		return err
	}
	sum := sha256.Sum256([]byte(signed.Text))
	return workdir.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%x.checkpoint", head.Size, sum[:4])), []byte(noteText(signed)))
}
