package registry

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
)

// A testWitness implements note.Verifier, and signs as C2SP tlog-cosignature says.
type testWitness struct {
	name string
	key  ed25519.PrivateKey
}

func newWitness(t *testing.T, name string) testWitness {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return testWitness{name, key}
}

func (w testWitness) Name() string { return w.name }
func (w testWitness) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(w.name+"\n\x04"), w.key.Public().(ed25519.PublicKey)...))
	return binary.BigEndian.Uint32(sum[:])
}
func (w testWitness) message(text, at []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(at), text)
}
func (w testWitness) Verify(text, signature []byte) bool {
	return ed25519.Verify(w.key.Public().(ed25519.PublicKey), w.message(text, signature), signature[8:])
}
func (w testWitness) line(text string) string {
	at := binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()))
	signature := append(binary.BigEndian.AppendUint32(nil, w.KeyHash()), append(at, ed25519.Sign(w.key, w.message([]byte(text), at))...)...)
	return fmt.Sprintf("\u2014 %s %s\n", w.name, base64.StdEncoding.EncodeToString(signature))
}

// cosign stores a cosignature of the newest checkpoint.
func (b *testRegistry) cosign() testWitness {
	b.t.Helper()
	witness := newWitness(b.t.(*testing.T), "witness.test/w1")
	size, signed, err := b.NewestCheckpoint(b.t.Context())
	b.must(err)
	n, err := note.Open(signed, note.VerifierList(verifierOf(b.t, b.vkey)))
	b.must(err)
	for range 2 { // the second time changes nothing
		b.must(b.Cosign(b.t.Context(), size, "hq", witness, witness.line(n.Text)))
	}
	return witness
}

func verifierOf(t testing.TB, vkey string) note.Verifier {
	t.Helper()
	verifier, err := audit.NewVerifier(vkey)
	must(t, err)
	return verifier
}

func TestACosignatureStaysWithItsCheckpoint(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	before := b.AuditSize()
	witness := b.cosign()
	if entries := b.AuditSize() - before; entries != 1 {
		t.Errorf("%d entries about one cosignature", entries)
	}
	// 1. The cosigned checkpoint is still the newest one: the entry about it asks for no other.
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	if b.AuditSize() != before+1 {
		t.Errorf("a cosignature asks for a checkpoint: %d entries, want %d", b.AuditSize(), before+1)
	}
	// 2. It is with its checkpoint, for both keys.
	last, err := b.LastCheckpoint(t.Context())
	b.must(err)
	size, _, err := b.NewestCheckpoint(t.Context())
	b.must(err)
	same, err := b.CheckpointOver(t.Context(), size)
	b.must(err)
	for _, signed := range [][]byte{last, same} {
		n, err := note.Open(signed, note.VerifierList(witness, verifierOf(t, b.vkey)))
		if err != nil || len(n.Sigs) != 2 {
			t.Errorf("%v\n%s", err, signed)
		}
	}
	if cosigned, err := b.CosignedSize(t.Context(), witness); err != nil || cosigned != size {
		t.Errorf("%d, want %d: %v", cosigned, size, err)
	}
	if none, err := b.CosignedSize(t.Context(), newWitness(t, "witness.test/w1")); err != nil || none != 0 {
		t.Errorf("another key of the same name has cosigned %d, %v", none, err)
	}
	b.verify()
	b.reopen()
	b.verify()
	b.enrol(b.run())
	b.must(b.Checkpoint(t.Context(), origin, b.key))
	if newer, _, err := b.NewestCheckpoint(t.Context()); err != nil || newer <= size {
		t.Errorf("no checkpoint over new entries: %d, %v", newer, err)
	}
}

func TestACosignatureNeedsItsCheckpoint(t *testing.T) {
	b := newTestRegistry(t)
	if err := b.Cosign(t.Context(), 12345, "hq", newWitness(t, "w"), "\u2014 w AAAA\n"); err == nil {
		t.Error("a cosignature of no checkpoint is stored")
	}
	b.verify()
}

// An anchor that the log does not fit is refused, until an operator accepts the loss on record.
func TestALogIsComparedWithAnchors(t *testing.T) {
	b := newTestRegistry(t)
	b.enrol(b.run())
	size := b.AuditSize()
	root, err := audit.RootAt(t.Context(), b.db, size-2)
	b.must(err)
	for _, c := range []struct {
		name string
		seen audit.Head
		want error
	}{
		{"nothing", audit.Head{}, nil},
		{"the log some entries ago", audit.Head{Size: size - 2, Root: root}, nil},
		{"a longer log", audit.Head{Size: size + 5}, ErrAnchorOlder},
		{"another log", audit.Head{Size: size - 2, Root: tlog.Hash{7}}, ErrAnchorOther},
	} {
		err := b.FitsAnchor(t.Context(), c.seen)
		if !errors.Is(err, c.want) || (c.want != nil) != (len(WaysOut(err)) == 1) {
			t.Errorf("%s: got %v, ways out %q", c.name, err, WaysOut(err))
		}
		if c.want == nil {
			continue
		}
		b.Registry.config.AcceptRegistry = "ann"
		b.must(b.Accept(t.Context(), c.seen, err))
		b.must(b.Checkpoint(t.Context(), origin, b.key))
		if err := b.FitsAnchor(t.Context(), c.seen); err != nil {
			t.Errorf("%s, accepted: %v", c.name, err)
		}
		other := c.seen
		other.Size++
		if err := b.FitsAnchor(t.Context(), other); err == nil {
			t.Errorf("%s: the acceptance of one anchor accepts another", c.name)
		}
	}
}
