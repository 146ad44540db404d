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
