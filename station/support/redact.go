package support

import (
	"fmt"
	"regexp"
	"strings"
)

// A redactor hides what must not leave the factory. The same text gets the same number in all parts of a bundle, so that support can still
// follow one board.
type redactor struct {
	withoutIDs bool
	numbers    map[string]int
}

func newRedactor(withoutIDs bool) *redactor { return &redactor{withoutIDs, map[string]int{}} }

var (
	// A private key in PEM (RFC 7468), also one that is cut off.
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`)
	// User and password in an address (RFC 3986 section 3.2.1), also a password with characters that do not belong there.
	userInfo = regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://)[^\s"']+@`)
	// The path and the query of an address: a key for a service often stands there.
	urlPath = regexp.MustCompile(`(?i)(https?://[^\s"'/?]+[/?])[^\s"']+`)
	// A hardware ID can be shorter than the numbers below.
	hardwareID = regexp.MustCompile(`(?i)\bhardware(?:_id)?\\?"?[:=]\s*\\?"?[0-9a-f]{2,}`)
	// pin-value carries the PIN itself (RFC 7512 section 2.3).
	pinValue = regexp.MustCompile(`(?i)(pin-value=)[^\s&;"']+`)
	// The name of a person, as the log writes it.
	person = regexp.MustCompile(`\b(operator|by|actor)=("(?:[^"\\]|\\.)*"|\S+)`)
	// The code of a badge (docs/operator.md).
	badge = regexp.MustCompile(`\bOP-[A-Za-z0-9._-]+`)
	// A BoardID or the id of a Run: a UUID, also one without hyphens. Serial numbers of certificates, hardware IDs and digests are
	// hexadecimal digits, too. A shorter number is a size or a time.
	identifier = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|(?:0x)?[0-9a-f]{16,}`)
)

const hidden = "[redacted]"

func (r *redactor) text(s string) string {
	s = privateKey.ReplaceAllString(s, hidden)
	s = userInfo.ReplaceAllString(s, "${1}"+hidden+"@")
	s = urlPath.ReplaceAllString(s, "${1}"+hidden)
	s = pinValue.ReplaceAllString(s, "${1}"+hidden)
	s = person.ReplaceAllString(s, "${1}="+hidden)
	s = badge.ReplaceAllString(s, "OP-"+hidden)
	if !r.withoutIDs {
		return s
	}
	s = hardwareID.ReplaceAllStringFunc(s, func(found string) string {
		i := strings.LastIndexAny(found, `:=" `) + 1
		return found[:i] + r.number(found[i:])
	})
	return identifier.ReplaceAllStringFunc(s, r.number)
}

// number gives the same name to a UUID with hyphens and without.
func (r *redactor) number(id string) string {
	key := strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(id, "-", "")), "0x")
	n, known := r.numbers[key]
	if !known {
		n = len(r.numbers) + 1
		r.numbers[key] = n
	}
	return fmt.Sprintf("id-%d", n)
}
