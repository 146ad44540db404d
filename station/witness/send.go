package witness

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/reason"
)

// A Log is the audit log whose checkpoints are sent.
type Log interface {
	// NewestCheckpoint gives the newest checkpoint as the station signed it; size 0: there is none.
	NewestCheckpoint(ctx context.Context) (size int64, checkpoint []byte, err error)
	// ProveTree proves that size entries continue the first old entries.
	ProveTree(ctx context.Context, old, size int64) (tlog.TreeProof, error)
	Entries
	Cosignatures
}

// Cosigned says what a key has cosigned, as far as its signature lines are stored.
type Cosigned interface {
	// CosignedSize gives the size of the newest checkpoint that this key has cosigned, or 0.
	CosignedSize(ctx context.Context, key note.Verifier) (int64, error)
}

// Cosignatures are the stored signature lines.
type Cosignatures interface {
	Cosigned
	// Cosign stores a line that was verified.
	Cosign(ctx context.Context, size int64, name string, key note.Verifier, line string) error
}

// A sender sends checkpoints of a log to one witness.
type sender struct {
	log    Log
	logKey string
	client *Client
}

// To sends the checkpoints of a log to a witness. logKey is the verifier key of the log.
func To(log Log, logKey string, client *Client) Destination {
	return Destination{Name: client.Name(), Send: (&sender{log, logKey, client}).exchange, Close: client.Close}
}

// exchange has the newest checkpoint cosigned by one witness, and its entries mirrored.
func (s *sender) exchange(ctx context.Context) error {
	size, checkpoint, err := s.log.NewestCheckpoint(ctx)
	if err != nil || size == 0 {
		return err
	}
	cosigned, err := s.log.CosignedSize(ctx, s.client.cosigns)
	if err != nil {
		return err
	}
	if cosigned < size {
		if err := s.cosign(ctx, checkpoint, size, cosigned); err != nil {
			return err
		}
	}
	return s.mirror(ctx, checkpoint, size)
}

// cosign asks for a cosignature, and corrects the old size as often as a witness may be wrong.
func (s *sender) cosign(ctx context.Context, checkpoint []byte, size, old int64) error {
	for range 3 {
		proof, err := s.log.ProveTree(ctx, old, size)
		if err != nil {
			return err
		}
		lines, err := s.client.AddCheckpoint(ctx, &Request{Old: old, Proof: proof, Checkpoint: checkpoint})
		var other *SizeError
		switch {
		case errors.As(err, &other) && other.Size > size:
			return s.longer(ctx, size, other.Size)
		case errors.As(err, &other):
			old = other.Size
			continue
		case err != nil:
			return err
		}
		return s.store(ctx, s.client.config.Name, s.client.cosigns, size, lines)
	}
	return fmt.Errorf("%w: it gives another size each time, now %d", ErrLies, old)
}

// longer judges a witness that says it has seen more than this station has. Only a checkpoint
// that this station has signed proves it.
func (s *sender) longer(ctx context.Context, size, claimed int64) error {
	head, _, err := s.client.Newest(ctx, s.logKey)
	if err != nil || head.Size <= size {
		return errors.Join(fmt.Errorf("%w: it says it has seen %s and does not show them, the station has signed %d", ErrLies, reason.Count(claimed, "entry", "entries"), size), err)
	}
	return fmt.Errorf("%w: it has a checkpoint over %s that this station has signed, the newest one here is over %d", ErrFork, reason.Count(head.Size, "entry", "entries"), size)
}

func (s *sender) store(ctx context.Context, name string, key note.Verifier, size int64, lines []string) error {
	for _, line := range lines {
		if err := s.log.Cosign(ctx, size, name, key, line); err != nil {
			return err
		}
	}
	return nil
}

// mirror sends the entries that the mirror lacks.
func (s *sender) mirror(ctx context.Context, checkpoint []byte, size int64) error {
	if s.client.mirrors == nil {
		return nil
	}
	mirrored, err := s.log.CosignedSize(ctx, s.client.mirrors)
	if err != nil || mirrored >= size {
		return err
	}
	lines, err := s.client.AddEntries(ctx, s.log, checkpoint, size, mirrored)
	if err != nil {
		return fmt.Errorf("sending entries to the mirror: %w", err)
	}
	return s.store(ctx, s.client.config.Name+" mirror", s.client.mirrors, size, lines)
}
