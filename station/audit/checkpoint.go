package audit

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/reason"
)

// A Head is the size of a tree, in entries, and its root hash (RFC 6962 section 2.1).
type Head struct {
	Size int64
	Root tlog.Hash
}

func (e *edge) head() Head { return Head{e.size, e.root()} }

// RootAt returns the root of the first size entries, from the stored hashes.
func RootAt(ctx context.Context, q Querier, size int64) (tlog.Hash, error) {
	at, err := edgeAt(ctx, q, size)
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("%w: %w", ErrHash, err)
	}
	return at.root(), nil
}

// text is the body of a C2SP tlog-checkpoint: origin, size in decimal, root in base64.
func (h Head) text(origin string) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]))
}

// algECDSA is the type of an ECDSA signature (C2SP signed-note, "Signature types").
const algECDSA = 0x02

// Errors of checkpoints.
var (
	ErrKey                 = errors.New("audit key is not an ECDSA P-256 key")
	ErrVerifierKey         = errors.New("not a verifier key: want <name>+<8 hex digits>+<base64>, ECDSA P-256, from the genesis entry")
	ErrOrigin              = errors.New("origin of a checkpoint: want 1 to 100 printable characters without space or plus")
	ErrCheckpointSignature = errors.New("checkpoint is not signed by the audit key")
	ErrCheckpointText      = errors.New("checkpoint is not origin, size and root")
)

// VerifierKey returns public, an ECDSA P-256 key, in the form of a C2SP verifier
// key: <origin>+<8 hexadecimal digits>+<base64>. [Verify] takes this form, and the
// genesis entry records it. Errors: ErrOrigin, ErrKey.
func VerifierKey(origin string, public crypto.PublicKey) (string, error) {
	key, err := newNoteKey(origin, public)
	if err != nil {
		return "", err
	}
	encoded := base64.StdEncoding.EncodeToString(append([]byte{algECDSA}, key.spki...))
	return fmt.Sprintf("%s+%08x+%s", origin, key.hash, encoded), nil
}

// noteKey implements note.Verifier. It verifies an ECDSA signature over the SHA-256
// of the text.
type noteKey struct {
	name string
	hash uint32 // the first 4 octets of SHA-256(SPKI); for type 0x02 the name is not hashed
	spki []byte
	key  *ecdsa.PublicKey
}

func newNoteKey(origin string, public crypto.PublicKey) (*noteKey, error) {
	if !goodOrigin(origin) {
		return nil, fmt.Errorf("%w: %q", ErrOrigin, origin)
	}
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, ErrKey
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	sum := sha256.Sum256(spki)
	return &noteKey{name: origin, hash: binary.BigEndian.Uint32(sum[:]), spki: spki, key: key}, nil
}

func goodOrigin(origin string) bool {
	for _, r := range origin {
		if r <= ' ' || r > '~' || r == '+' {
			return false
		}
	}
	return origin != "" && len(origin) <= 100
}

// parseVerifierKey reads the form that VerifierKey writes, and no other form.
func parseVerifierKey(text string) (*noteKey, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return nil, ErrVerifierKey
	}
	encoded, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(encoded) == 0 || encoded[0] != algECDSA {
		return nil, ErrVerifierKey
	}
	public, err := x509.ParsePKIXPublicKey(encoded[1:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVerifierKey, err)
	}
	key, err := newNoteKey(parts[0], public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVerifierKey, err)
	}
	if again, err := VerifierKey(parts[0], public); err != nil || again != text {
		return nil, fmt.Errorf("%w: key id is not of this key", ErrVerifierKey)
	}
	return key, nil
}

func (k *noteKey) Name() string    { return k.name }
func (k *noteKey) KeyHash() uint32 { return k.hash }
func (k *noteKey) Verify(text, signature []byte) bool {
	digest := sha256.Sum256(text)
	return ecdsa.VerifyASN1(k.key, digest[:], signature)
}

// noteSigner implements note.Signer.
type noteSigner struct {
	*noteKey
	signer crypto.Signer
	random io.Reader
}

func (s *noteSigner) Sign(text []byte) ([]byte, error) {
	digest := sha256.Sum256(text)
	signature, err := s.signer.Sign(s.random, digest[:], crypto.SHA256)
	if err == nil && !ecdsa.VerifyASN1(s.key, digest[:], signature) {
		err = ErrCheckpointSignature
	}
	return signature, err
}

// Sign makes a checkpoint: a C2SP signed note with the origin and h. It verifies the
// signature before it returns the checkpoint.
func Sign(origin string, h Head, signer crypto.Signer, random io.Reader) ([]byte, error) {
	key, err := newNoteKey(origin, signer.Public())
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: h.text(origin)}, &noteSigner{key, signer, random})
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint: %w", err)
	}
	return signed, nil
}

// OpenCheckpoint verifies the signature of a checkpoint and returns its head.
// Errors: ErrVerifierKey, ErrCheckpointSignature, ErrCheckpointText.
func OpenCheckpoint(signed []byte, verifierKey string) (Head, error) {
	key, err := parseVerifierKey(verifierKey)
	if err != nil {
		return Head{}, err
	}
	return key.open(signed)
}

func (k *noteKey) open(signed []byte) (Head, error) {
	n, err := note.Open(signed, note.VerifierList(k))
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrCheckpointSignature, err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != k.name {
		return Head{}, ErrCheckpointText
	}
	size, err := strconv.ParseInt(lines[1], 10, 62)
	if err != nil {
		return Head{}, fmt.Errorf("%w: size %q", ErrCheckpointText, lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Head{}, fmt.Errorf("%w: root %q", ErrCheckpointText, lines[2])
	}
	h := Head{Size: size, Root: tlog.Hash(root)}
	if h.text(k.name) != n.Text {
		return Head{}, ErrCheckpointText
	}
	return h, nil
}

// Execer is the connection that [Store] writes to.
type Execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Store stores a checkpoint. When a checkpoint of the same size is stored, Store changes nothing.
func Store(ctx context.Context, db Execer, h Head, signed []byte) error {
	_, err := db.ExecContext(ctx, `INSERT INTO audit_checkpoint (size, note) VALUES (?, ?) ON CONFLICT (size) DO NOTHING`, h.Size, signed)
	if err != nil {
		return fmt.Errorf("storing checkpoint: %w", err)
	}
	return nil
}

// Newest returns the newest stored checkpoint, or sql.ErrNoRows.
func Newest(ctx context.Context, q Querier) (size int64, signed []byte, err error) {
	err = q.QueryRowContext(ctx, `SELECT size, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1`).Scan(&size, &signed)
	return size, signed, err
}

// checkNewest compares the stored tree with the newest stored checkpoint. The
// checkpoint is verified with the key that the genesis entry names. That key lies in
// the same database, so checkNewest finds damage and a rolled back database; only
// Verify with a key from elsewhere proves more.
func checkNewest(ctx context.Context, q Querier, newest int64, signed []byte) error {
	var body []byte
	if err := q.QueryRowContext(ctx, `SELECT body FROM audit_entry WHERE seq = 0`).Scan(&body); err != nil {
		return fmt.Errorf("reading genesis: %w: %w", ErrGap, err)
	}
	genesis, err := Decode(body)
	if err != nil {
		return fmt.Errorf("reading genesis: %w: %w", ErrEntry, err)
	}
	h, err := OpenCheckpoint(signed, genesis.Details["vkey"])
	if err != nil {
		return fmt.Errorf("newest checkpoint: %w", err)
	}
	if h.Size != newest {
		return fmt.Errorf("newest checkpoint: %w: it says %d, stored for %s", ErrCheckpointText, h.Size, reason.Count(newest, "entry", "entries"))
	}
	return Continues(ctx, q, h)
}

// announced checks that no entry tells of a checkpoint that is newer than the newest stored one, or
// of more checkpoints than are stored. Each entry beyond the newest checkpoint is looked at,
// because somebody who deleted a checkpoint can append an entry about an older one.
func announced(ctx context.Context, q Querier, newest int64, told []Entry) error {
	for _, e := range told {
		told, tells := e.Checkpoint()
		if !tells {
			continue
		}
		if told.Size > newest {
			return fmt.Errorf("%w: entry %d tells of one over %s", ErrCheckpointMissing, e.Seq, reason.Count(told.Size, "entry", "entries"))
		}
		if err := countNotes(ctx, q, e.Seq, told); err != nil {
			return err
		}
	}
	return nil
}

// notesDetail has the number of stored checkpoints in an entry about a checkpoint, so that a start
// sees without reading the whole log that an older one was deleted.
const notesDetail = "notes"

func countNotes(ctx context.Context, q Querier, seq int64, told Told) error {
	if told.Notes == "" {
		return nil // an entry of schema 2
	}
	stored, err := storedNotes(ctx, q, told.Size)
	if err == nil && stored != told.Notes {
		err = fmt.Errorf("%w: %s of %s are stored up to entry %d", ErrCheckpointMissing, stored, told.Notes, seq)
	}
	return err
}

func storedNotes(ctx context.Context, q Querier, size int64) (count string, err error) {
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM audit_checkpoint WHERE size <= ?`, size).Scan(&count); err != nil {
		return "", fmt.Errorf("counting the checkpoints: %w", err)
	}
	return count, nil
}

// Made gives the details of the entry that tells of the stored checkpoint over h.
func Made(ctx context.Context, q Querier, h Head) (map[string]string, error) {
	details := map[string]string{"size": strconv.FormatInt(h.Size, 10), "root": h.Root.String()}
	var err error
	details[notesDetail], err = storedNotes(ctx, q, h.Size)
	return details, err
}

// Told is what an entry tells of a checkpoint.
type Told struct {
	Size  int64
	Root  string // base64
	Notes string // number of the checkpoints that were stored up to this size; empty: the entry does not say
}

// Checkpoint gives the checkpoint that the entry tells of. Entries of schema 2 have no size: they
// were written before the signature.
func (e *Entry) Checkpoint() (told Told, tells bool) {
	if e.Type != TypeCheckpoint {
		return told, false
	}
	size, err := strconv.ParseInt(e.Details["size"], 10, 62)
	return Told{size, e.Details["root"], e.Details[notesDetail]}, err == nil
}

// CheckVerifierKey returns ErrVerifierKey if the text is not a verifier key of a log.
func CheckVerifierKey(text string) error {
	_, err := parseVerifierKey(text)
	return err
}

// KeyInfo gives the public key of a verifier key (SubjectPublicKeyInfo, DER).
func KeyInfo(verifierKey string) ([]byte, error) {
	key, err := parseVerifierKey(verifierKey)
	if err != nil {
		return nil, err
	}
	return key.spki, nil
}
