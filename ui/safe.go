package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Text from boards, scanners, databases and errors may hold any octets. clean makes each such text safe before
// the screen draws it.

const (
	longestLabel = 512  // runes of one label; the rest is cut
	longestLine  = 8192 // runes of a line of a longer text
)

// clean makes one line of printable text of any text. Control characters, format characters (such as a
// change of direction), unassigned characters and octets that are not UTF-8 become "?".
// Marks that have no width of their own are dropped.
func clean(s string) string { return cleanUpTo(s, longestLabel) }

func cleanUpTo(s string, longest int) string {
	if harmless(s) && len(s) <= longest {
		return s
	}
	var b strings.Builder
	for count := 0; len(s) > 0 && count < longest; count++ {
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case r == utf8.RuneError && size == 1, r == utf8.RuneError:
			b.WriteByte('?')
		case r == '\n', r == '\t':
			b.WriteByte(' ')
		case unicode.In(r, unicode.Mn, unicode.Me):
		case !unicode.IsPrint(r) || runeWidth(r) == 0:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func harmless(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// runeWidth is the number of columns a printable rune takes: 0, 1 or 2.
func runeWidth(r rune) int {
	switch {
	case r < 0x300, r >= 0x2010 && r <= 0x2027, r >= 0x2190 && r <= 0x21ff, r >= 0x2500 && r <= 0x25ff, r == '✓', r == '✗':
		return 1
	}
	return ansi.StringWidth(string(r))
}

// width is the number of columns of a clean text.
func width(s string) int {
	if harmless(s) {
		return len(s)
	}
	columns := 0
	for _, r := range s {
		columns += runeWidth(r)
	}
	return columns
}

// clip cuts a clean text to columns. An ellipsis of one column shows that text was cut.
func clip(s string, columns int, ellipsis string) string {
	if width(s) <= columns {
		return s
	}
	if columns < 1 {
		return ""
	}
	used := 0
	for i, r := range s {
		w := runeWidth(r)
		if used+w > columns-1 {
			return s[:i] + ellipsis
		}
		used += w
	}
	return s
}

// tail cuts a clean text at its beginning, because the names of ports and bays differ at their ends.
func tail(s string, columns int, ellipsis string) string {
	for whole := width(s); whole > columns && s != ""; {
		s = s[len(cut(s, 1)):]
		if width(s) <= columns-1 {
			return ellipsis + s
		}
	}
	return s
}

// ends cuts a clean text in its middle, because the ids of work orders begin with what they are and differ at their ends.
func ends(s string, columns int, ellipsis string) string {
	if width(s) <= columns {
		return s
	}
	head := cut(s, max(1, columns/3))
	return head + tail(s[len(head):], columns-width(head), ellipsis)
}

// wrap breaks a clean text at spaces into lines of at most columns; words that
// are longer are broken anywhere. A text that needs more than limit lines ends
// in the ellipsis.
func wrap(s string, columns, limit int, ellipsis string) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for width(word) > columns && columns > 0 {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			head := cut(word, columns)
			lines, word = append(lines, head), word[len(head):]
		}
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) <= columns:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	if limit > 0 && len(lines) > limit {
		rest := strings.Join(lines[limit-1:], " ")
		lines = append(lines[:limit-1:limit-1], clip(rest, columns, ellipsis))
	}
	return lines
}

// cut returns the longest beginning of s that fits, at least one rune.
func cut(s string, columns int) string {
	used := 0
	for i, r := range s {
		used += runeWidth(r)
		if used > columns && i > 0 {
			return s[:i]
		}
	}
	return s
}

// replaced gives a text without the characters above the last one that a terminal can show.
func replaced(s string, last rune) string {
	if harmless(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r <= last:
			b.WriteRune(r)
		default:
			b.WriteString(plainRune(r))
		}
	}
	return b.String()
}

// plainRunes are the characters of the languages of the catalogue, and of the screen, in ASCII.
var plainRunes = map[rune]string{
	'ä': "ae", 'ö': "oe", 'ü': "ue", 'Ä': "Ae", 'Ö': "Oe", 'Ü': "Ue", 'ß': "ss",
	'á': "a", 'é': "e", 'í': "i", 'ó': "o", 'ú': "u", 'ñ': "n", 'Á': "A", 'É': "E", 'Í': "I", 'Ó': "O", 'Ú': "U", 'Ñ': "N",
	'¿': "", '¡': "", 'º': "o", 'ª': "a",
	'→': ">", '►': ">", '–': "-", '—': "-", '·': ".", '…': "~",
}

func plainRune(r rune) string {
	if text, ok := plainRunes[r]; ok {
		return text
	}
	return "?"
}

// UTF8Locale reports whether the environment asks for UTF-8 (POSIX XBD 8.2:
// the first of LC_ALL, LC_CTYPE and LANG that is set counts).
func UTF8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToLower(getenv(name)); value != "" {
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}
