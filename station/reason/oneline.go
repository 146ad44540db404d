package reason

import (
	"fmt"
	"strings"
	"unicode"
)

// OneLine makes one printable line of an error, which may quote a board: no octet of the
// line moves a cursor or begins a new line.
func OneLine(err error) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return ';'
		case unicode.IsPrint(r):
			return r
		}
		return '?'
	}, fmt.Sprint(err))
}
