package evidence

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// Errors of policies.
var (
	ErrPolicy = errors.New("not a tlog-policy")
	ErrQuorum = errors.New("the witnesses that cosigned the checkpoint do not make the quorum of the policy")
)

// A Policy says which log and which witnesses must have signed a checkpoint (C2SP tlog-policy).
type Policy struct {
	logs      []string // verifier keys; empty: any
	witnesses map[string]note.Verifier
	groups    map[string]group
	quorum    string
}

type group struct {
	threshold int
	members   []string
}

// noQuorum is the name of the quorum that needs no witness (C2SP tlog-policy, "Quorum").
const noQuorum = "none"

// ParsePolicy reads a policy. Errors wrap ErrPolicy and name the line.
func ParsePolicy(text []byte) (*Policy, error) {
	p := &Policy{witnesses: map[string]note.Verifier{}, groups: map[string]group{}}
	keys := map[string]bool{}
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := p.line(words, keys); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrPolicy, n+1, err)
		}
	}
	if p.quorum == "" {
		return nil, fmt.Errorf("%w: it has no quorum line", ErrPolicy)
	}
	return p, nil
}

func (p *Policy) line(words []string, keys map[string]bool) error {
	switch word := words[0]; {
	case word == "log" && (len(words) == 2 || len(words) == 3):
		return p.log(words[1], keys)
	case word == "witness" && (len(words) == 3 || len(words) == 4):
		return p.witness(words[1], words[2], keys)
	case word == "group" && len(words) >= 4:
		return p.group(words[1], words[2], words[3:])
	case word == "quorum" && len(words) == 2:
		if p.quorum != "" {
			return errors.New("a second quorum line")
		}
		if words[1] != noQuorum && !p.known(words[1]) {
			return fmt.Errorf("quorum %q is no witness and no group above", words[1])
		}
		p.quorum = words[1]
		return nil
	}
	return fmt.Errorf("%q: want log, witness, group or quorum with their fields", strings.Join(words, " "))
}

// names reports whether the policy names the log of this key.
func (p *Policy) names(key string) bool { return slices.Contains(p.logs, key) }

func (p *Policy) log(key string, keys map[string]bool) error {
	if err := audit.CheckVerifierKey(key); err != nil {
		return err
	}
	p.logs = append(p.logs, key)
	return once(keys, key)
}

func once(keys map[string]bool, key string) error {
	material := key[strings.LastIndex(key, "+")+1:]
	if keys[material] {
		return errors.New("the key stands there twice")
	}
	keys[material] = true
	return nil
}

func (p *Policy) known(name string) bool {
	_, witness := p.witnesses[name]
	_, group := p.groups[name]
	return witness || group
}

func (p *Policy) newName(name string) error {
	if name == noQuorum || p.known(name) {
		return fmt.Errorf("the name %q is taken", name)
	}
	return nil
}

func (p *Policy) witness(name, key string, keys map[string]bool) error {
	verifier, err := NewCosigner(key)
	if err = errors.Join(err, p.newName(name)); err != nil {
		return err
	}
	p.witnesses[name] = verifier
	return once(keys, key)
}

func (p *Policy) group(name, threshold string, members []string) error {
	if err := p.newName(name); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, member := range members {
		if !p.known(member) || seen[member] {
			return fmt.Errorf("member %q is no witness and no group above, or stands there twice", member)
		}
		seen[member] = true
	}
	n, err := strconv.Atoi(threshold)
	switch threshold {
	case "any":
		n, err = 1, nil
	case "all":
		n, err = len(members), nil
	}
	if err != nil || n < 1 || n > len(members) {
		return fmt.Errorf("threshold %q: want any, all, or a number from 1 to %d", threshold, len(members))
	}
	p.groups[name] = group{n, members}
	return nil
}

// Holds returns nil if one of the logs signed the checkpoint, and the witnesses that cosigned it
// make the quorum. The caller has verified the signature of the log with key.
func (p *Policy) Holds(checkpoint []byte, key string) error {
	if len(p.logs) > 0 && !slices.Contains(p.logs, key) {
		return errors.New("the policy does not name this log's key")
	}
	signed := map[string]bool{}
	for name, witness := range p.witnesses {
		n, err := note.Open(checkpoint, note.VerifierList(witness))
		if err == nil && len(n.Sigs) > 0 {
			signed[name] = true
		}
	}
	if p.quorum != noQuorum && !p.reached(p.quorum, signed) {
		return fmt.Errorf("%w: %d of %s cosigned", ErrQuorum, len(signed), reason.Count(len(p.witnesses), "witness", "witnesses"))
	}
	return nil
}

// reached follows the groups. A group names only names above it, so the recursion ends.
func (p *Policy) reached(name string, signed map[string]bool) bool {
	g, isGroup := p.groups[name]
	if !isGroup {
		return signed[name]
	}
	n := 0
	for _, member := range g.members {
		if p.reached(member, signed) {
			n++
		}
	}
	return n >= g.threshold
}

// algCosignature is the type of a timestamped Ed25519 cosignature (C2SP tlog-cosignature).
const algCosignature = 0x04

// cosigner verifies cosignatures of one witness. It implements note.Verifier.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

var errCosigner = errors.New("not a key of a witness: want <name>+<8 hex digits>+<base64>, Ed25519 cosignatures (type 0x04)")

// NewCosigner reads the verifier key of a witness.
func NewCosigner(key string) (note.Verifier, error) {
	parts := strings.SplitN(key, "+", 3)
	if len(parts) != 3 || parts[0] == "" {
		return nil, errCosigner
	}
	material, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(material) != 1+ed25519.PublicKeySize || material[0] != algCosignature {
		return nil, errCosigner
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), material...))
	c := &cosigner{parts[0], binary.BigEndian.Uint32(sum[:]), ed25519.PublicKey(material[1:])}
	if fmt.Sprintf("%08x", c.hash) != parts[1] {
		return nil, fmt.Errorf("%w: the key id is not of this key", errCosigner)
	}
	return c, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

// Verify verifies a cosignature over a checkpoint: 8 octets of time, then the signature
// (C2SP tlog-cosignature, "Ed25519 signed message").
func (c *cosigner) Verify(checkpoint, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), checkpoint)
	return ed25519.Verify(c.key, message, signature[8:])
}
