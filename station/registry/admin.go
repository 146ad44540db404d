package registry

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// The calls of this file belong to no Run: ceremony, checkpoints, revocation, work
// orders, events.

// Genesis is what entry 0 of the audit log says.
type Genesis struct {
	Origin       string                       // of checkpoints, such as "hallmark.example/line-1"
	AuditKey     crypto.PublicKey             // that checkpoints are signed with, ECDSA P-256
	Operator     string                       // of the ceremony, may be empty
	Certificates map[string]*x509.Certificate // by role: root, issuing, server
	Profile      *issuance.Profile            // may be nil
	COSE         *issuance.Profile            // may be nil
	HSM          map[string]string            // label, serial, manufacturer, model, firmware, software
	Keys         map[string]string            // the attributes of each key on the token, by label
}

// Genesis writes entry 0 and gives the verifier key. An auditor needs that key from
// another place than this file, so keep it on paper or at headquarters as well. A
// second Genesis is refused with ErrGenesis.
func (r *Registry) Genesis(ctx context.Context, g Genesis) (verifierKey string, err error) {
	e, err := g.entry()
	if err != nil {
		return "", fmt.Errorf("writing genesis: %w", err)
	}
	err = r.write(ctx, func(w *work) error {
		if w.batch.Size() != 0 {
			return ErrGenesis
		}
		written, err := w.append(e)
		if err != nil || !adopts(written) {
			return err
		}
		return w.adoptedAt(written.Seq)
	})
	if err != nil {
		return "", fmt.Errorf("writing genesis: %w", err)
	}
	return e.Details["vkey"], nil
}

func (g *Genesis) entry() (audit.Entry, error) {
	key, err := audit.VerifierKey(g.Origin, g.AuditKey)
	if err != nil {
		return audit.Entry{}, err
	}
	details := map[string]string{"vkey": key}
	for name, value := range g.HSM {
		details["hsm_"+name] = text(value)
	}
	for label, attributes := range g.Keys {
		details["key_"+label] = text(attributes)
	}
	for name, certificate := range g.Certificates {
		sum := sha256.Sum256(certificate.Raw)
		details["certificate_"+name+"_sha256"] = hex.EncodeToString(sum[:])
	}
	if g.Profile != nil {
		maps.Copy(details, Profiles{g.Profile, g.COSE}.details())
		details[detailAdopted] = isAdopted
	}
	return audit.Entry{Actor: actor(g.Operator), Category: audit.CategoryLog, Type: audit.TypeGenesis, Outcome: audit.Success, Details: details}, nil
}

// Checkpoint signs a note over all entries, and stores the note. An entry before the
// signature says that a checkpoint is wanted, and an entry with the note says that it was made
// (I15). If there is no new entry since the last checkpoint, Checkpoint does nothing.
// Origin and key must be those of genesis.
func (r *Registry) Checkpoint(ctx context.Context, origin string, signer crypto.Signer) error {
	if err := r.checkpoint(ctx, origin, signer); err != nil {
		return fmt.Errorf("making a checkpoint: %w", err)
	}
	return nil
}

// checkpoint makes one checkpoint after the other, whoever asks for them: one that is stored behind a later one does not fit what the
// entry about that one says, and the registry would not open any more.
func (r *Registry) checkpoint(ctx context.Context, origin string, signer crypto.Signer) error {
	select {
	case r.signing <- struct{}{}:
		defer func() { <-r.signing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := cmp.Or(r.auditKey(ctx, origin, signer), r.actsUnsigned()); err != nil {
		return err
	}
	if covered, err := r.covered(ctx); covered || err != nil {
		return err
	}
	// 1. The intent, which the checkpoint covers.
	var head audit.Head
	err := r.write(ctx, func(w *work) error {
		_, err := w.append(checkpointEntry(audit.TypeCheckpointIntent, audit.Success))
		head = w.batch.Head()
		return err
	})
	if err != nil {
		return err
	}
	// 2. The signature.
	signed, err := audit.Sign(origin, head, signer, r.config.Random)
	if err != nil {
		failed := checkpointEntry("log.checkpoint.failed", audit.Failure)
		failed.Details = map[string]string{"size": strconv.FormatInt(head.Size, 10), "error": text(err.Error())}
		return errors.Join(err, r.note(ctx, failed))
	}
	// 3. The note, and the entry that says so.
	err = r.write(ctx, func(w *work) error {
		if err := audit.Store(context.Background(), w.conn, head, signed); err != nil {
			return err
		}
		made := checkpointEntry(audit.TypeCheckpoint, audit.Success)
		var err error
		if made.Details, err = audit.Made(context.Background(), w.conn, head); err != nil {
			return err
		}
		_, err = w.append(made)
		return err
	})
	if err != nil {
		return err
	}
	r.acts.covered.Store(head.Size)
	// 4. The mark, by the goroutine that owns it.
	return r.write(ctx, func(w *work) error { return w.mark.sync(w.log.Head()) })
}

func checkpointEntry(kind string, outcome audit.Outcome) audit.Entry {
	return audit.Entry{Actor: audit.Itself(), Category: audit.CategoryLog, Type: kind, Outcome: outcome}
}

// maxCosigned is how many entries about cosignatures may follow the entry about a checkpoint.
const maxCosigned = 64

// covered reports whether only the entry about the newest checkpoint, and those about its
// cosignatures and its time stamp, lie beyond that checkpoint. Otherwise those would ask for checkpoints
// without end.
func (r *Registry) covered(ctx context.Context) (bool, error) {
	size, _, err := audit.Newest(ctx, r.db)
	now := r.log.Head().Size
	if none(err) {
		return false, nil
	} else if err != nil || now == size || now > size+1+maxCosigned {
		return false, err
	}
	entries, err := r.entries(ctx, "beyond the newest checkpoint", `SELECT body FROM audit_entry WHERE seq >= ? AND seq < ? ORDER BY seq`, size, now)
	for i, e := range entries {
		if i == 0 && e.Type != audit.TypeCheckpoint || i > 0 && e.Type != typeCosigned && e.Type != typeTimestamped {
			return false, err
		}
	}
	return err == nil, err
}

func (r *Registry) auditKey(ctx context.Context, origin string, signer crypto.Signer) error {
	named, err := r.VerifierKey(ctx)
	if err != nil {
		return err
	}
	key, err := audit.VerifierKey(origin, signer.Public())
	if err != nil {
		return err
	}
	if key != named {
		return audit.ErrOtherKey
	}
	return nil
}

// Event is something that happened to the station itself, such as station.start,
// hsm.login.failed or doctor.done.
type Event struct {
	Type     string // two words or more with points between; of none of the reserved families
	Outcome  audit.Outcome
	Operator string // empty: the station itself
	Details  map[string]string
}

// reserved has the families of types that only the registry writes: rows of the
// registry follow from their entries, see VerifyAudit.
var reserved = []string{"log.", "cert.", "run.", "board.", "order.", "profile.", "clock.", typeBayStopped, typeBayAcknowledged, typeLabelWanted}

// ErrReserved: an Event has the type of a reserved family.
var ErrReserved = reason.New("reserved-event", "events of this family are written by the registry alone")

// CheckEvent refuses the type of a reserved family.
func CheckEvent(kind string) error {
	for _, family := range reserved {
		if strings.HasPrefix(kind, family) {
			return fmt.Errorf("%w: %s", ErrReserved, kind)
		}
	}
	return nil
}

// Event appends one entry to the audit log.
func (r *Registry) Event(ctx context.Context, event Event) error {
	if err := CheckEvent(event.Type); err != nil {
		return err
	}
	details := make(map[string]string, len(event.Details))
	for name, value := range event.Details {
		details[text(name)] = text(value)
	}
	return r.note(ctx, audit.Entry{Actor: actor(event.Operator), Category: audit.CategorySystem, Type: text(event.Type),
		Outcome: event.Outcome, Details: details})
}
