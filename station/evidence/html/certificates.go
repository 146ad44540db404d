package html

import (
	"crypto/sha256"
	"slices"
)

// A result is what became of an intent, the entry before a signature.
type result byte

const (
	open       result = iota // no result when the checkpoint was made
	issued                   // the HSM signed, the certificate is stored
	failed                   // the HSM did not sign
	unresolved               // the HSM may have signed (I10)
)

// certificateState is what the entries say of one serial number.
type certificateState struct {
	result result
	status status // now
}

// A status is the place of a status of a certificate in statuses, from 1; 0 is none.
type status byte

// other is a status that no station writes.
const other = status(255)

// A key stands for a text in a map that may have a million of them: half of its SHA-256, in which nobody finds two texts with the same
// key. A key has no pointer, which the garbage collector would follow again and again.
type key [sha256.Size / 2]byte

func keyOf(text string) key {
	sum := sha256.Sum256([]byte(text))
	return key(sum[:])
}

// certificates follows each serial number.
type certificates struct {
	bySerial map[key]certificateState
	reworks  int
	strays   int // results and changes without an intent before, and second intents
	denied   tally[string]
}

func newCertificates() certificates { return certificates{bySerial: map[key]certificateState{}} }

func (c *certificates) add(e *event) {
	if !e.hasCertificate {
		return
	}
	serial := keyOf(e.serial)
	known, begun := c.bySerial[serial]
	switch {
	case e.kind == "cert.issue.denied":
		c.denied.add(e.reason)
	case e.kind == "cert.issue.intent" && begun:
		c.strays++
	case e.kind == "cert.issue.intent":
		if c.bySerial[serial] = (certificateState{}); e.rework {
			c.reworks++
		}
	case e.status == "":
	case !begun:
		c.strays++
	default:
		c.change(e, serial, known)
	}
}

// results are the entries that end an intent.
var results = map[string]result{"cert.issued": issued, "cert.issue.failed": failed, "cert.issue.unresolved": unresolved}

func (c *certificates) change(e *event, serial key, state certificateState) {
	if result, ends := results[e.kind]; ends {
		if state.result != open {
			c.strays++
			return
		}
		state.result = result
	}
	state.status = statusOf(e.status)
	c.bySerial[serial] = state
}

// statuses of a certificate, in the order in which a certificate gets them.
var statuses = []string{"issued", "delivered", "active", "superseded", "revoked", "scrapped"}

func statusOf(word string) status {
	if i := slices.Index(statuses, word); i >= 0 {
		return status(i + 1)
	}
	return other
}

func (s status) String() string {
	switch s {
	case 0:
		return ""
	case other:
		return "other"
	}
	return statuses[s-1]
}

// results counts the intents by their result.
func (c *certificates) results() (counts [4]int) {
	for _, state := range c.bySerial {
		counts[state.result]++
	}
	return counts
}

// byStatus counts the issued certificates by their status, and the unresolved serial numbers that were revoked.
func (c *certificates) byStatus() (counts map[string]int, unresolvedRevoked int) {
	counts = map[string]int{}
	for _, state := range c.bySerial {
		switch {
		case state.result == issued:
			counts[state.status.String()]++
		case state.result == unresolved && state.status == statusOf("revoked"):
			unresolvedRevoked++
		}
	}
	return counts, unresolvedRevoked
}
