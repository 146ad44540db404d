package html

// A result is what became of an intent, the entry before a signature.
type result byte

const (
	open       result = iota // no result when the checkpoint was made
	issued                   // the HSM signed, the certificate is stored
	failed                   // the HSM did not sign
	unresolved               // the HSM may have signed (I10)
)

// life is one serial number.
type life struct {
	result result
	status string // now
}

// certificates follows the life of each serial number.
type certificates struct {
	lives   map[string]life
	reworks int
	strays  int // results and changes without an intent before, and second intents
	denied  tally[string]
}

func newCertificates() certificates { return certificates{lives: map[string]life{}} }

func (c *certificates) add(e *event) {
	if !e.hasCertificate {
		return
	}
	known, begun := c.lives[e.serial]
	switch {
	case e.kind == "cert.issue.denied":
		c.denied.add(e.reason)
	case e.kind == "cert.issue.intent" && begun:
		c.strays++
	case e.kind == "cert.issue.intent":
		if c.lives[e.serial] = (life{}); e.rework {
			c.reworks++
		}
	case e.status == "":
	case !begun:
		c.strays++
	default:
		c.change(e, known)
	}
}

func (c *certificates) change(e *event, l life) {
	ends := map[string]result{"cert.issued": issued, "cert.issue.failed": failed, "cert.issue.unresolved": unresolved}
	if result, ends := ends[e.kind]; ends {
		if l.result != open {
			c.strays++
			return
		}
		l.result = result
	}
	l.status = intern(e.status)
	c.lives[e.serial] = l
}

// statuses of a certificate, in the order of its life.
var statuses = []string{"issued", "delivered", "active", "superseded", "revoked", "scrapped"}

// intern gives the one string of a status, so that a million certificates need few strings.
func intern(status string) string {
	for _, s := range statuses {
		if s == status {
			return s
		}
	}
	return "other"
}

// results counts the intents by their result.
func (c *certificates) results() (counts [4]int) {
	for _, l := range c.lives {
		counts[l.result]++
	}
	return counts
}

// byStatus counts the issued certificates by their status, and the unresolved serial numbers that were revoked.
func (c *certificates) byStatus() (counts map[string]int, unresolvedRevoked int) {
	counts = map[string]int{}
	for _, l := range c.lives {
		switch {
		case l.result == issued:
			counts[l.status]++
		case l.result == unresolved && l.status == "revoked":
			unresolvedRevoked++
		}
	}
	return counts, unresolvedRevoked
}
