package reason

import (
	"fmt"
	"strings"
	"unicode"
)

// OneLine makes one printable line of an error. The error may quote text from a board, so
// OneLine removes octets that would move the cursor or begin a new line.
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
