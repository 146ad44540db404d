package process

import (
	"regexp"
	"strings"
)

// sequence is what moves the cursor of a terminal or changes its colours (ECMA-48): a control sequence, a control string, or an escape of
// two characters.
var sequence = regexp.MustCompile("(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\x1b[\\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\x07\x1b\u009c\n]*(?:\x07|\x1b\\\\|\u009c)?|\x1b[ -/]*[0-~]")

// plain is a text as a search needs it: each line that a terminal would show begins behind a line feed, and nothing stands
// within a word. A programmer writes over its progress bar after a carriage return, and may colour a word in its middle.
func plain(text string) string {
	if !strings.ContainsFunc(text, isControl) {
		return text
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = sequence.ReplaceAllString(strings.ReplaceAll(text, "\r", "\n"), "")
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, text)
}

// isControl reports whether a character is a control character that no line of text has.
func isControl(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }
