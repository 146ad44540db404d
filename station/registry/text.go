package registry

import (
	"strings"
	"time"
	"unicode/utf8"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// wordOf gives the word that an audit entry has for a refusal.
func wordOf(refusal error) string {
	if row, named := reason.Find(refusal); named {
		return row.Word
	}
	return errRefused.Word()
}

// stamp gives a time in the form that rows have.
func stamp(t time.Time) string { return audit.Time{Time: t}.String() }

// maxText is the longest text of an audit entry, in octets.
const maxText = 1024

// text makes a text fit for an audit entry: valid UTF-8, and not longer than maxText.
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
