package registry

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
)

// words has the reason word for each refusal of the registry.
var words = []struct {
	err  error
	word string
}{
	{station.ErrClone, "clone"},
	{issuance.ErrKeyElsewhere, "key-elsewhere"},
	{issuance.ErrAlreadyActive, "already-active"},
	{issuance.ErrInFlight, "in-flight"},
	{issuance.ErrSerialTaken, "serial-taken"},
	{issuance.ErrRevoked, "revoked"},
	{issuance.ErrTLSFirst, "tls-first"},
	{ErrUnknownRun, "unknown-run"},
	{ErrUnknownOrder, "unknown-order"},
	{ErrQuota, "quota"},
	{ErrScrapped, "scrapped"},
}

func reasonOf(err error) string {
	for _, row := range words {
		if errors.Is(err, row.err) {
			return row.word
		}
	}
	return "refused"
}

// stamp is a time as rows have it.
func stamp(t time.Time) string { return audit.Time{Time: t}.String() }

// maxText bounds a text that comes from elsewhere, in octets.
const maxText = 1024

// text makes any text fit for an audit entry: UTF-8, and of bounded length.
func text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
