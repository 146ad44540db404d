package reason

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is the longest text that a person may type, in characters.
const maxText = 128

var errText = New("bad-text", fmt.Sprintf("want 1 to %d printable characters on one line, a letter or a digit among them, and no space at the ends", maxText))

// CheckText refuses a text that a person typed, such as the id of a work order or the reason of
// a rework, if the text could not be read where it is shown. Escape sequences, new lines and
// changes of direction would let one text look like another text on the screen and in the
// audit log.
func CheckText(text string) error {
	switch visible := strings.ContainsFunc(text, isWord); {
	case !visible, text != strings.TrimSpace(text), !utf8.ValidString(text), utf8.RuneCountInString(text) > maxText,
		strings.ContainsFunc(text, func(r rune) bool { return !IsShown(r) }):
		return fmt.Errorf("%+.80q: %w", text, errText)
	}
	return nil
}

// CheckOptional is CheckText for a text that may be empty; what names the text in the error.
func CheckOptional(what, text string) error {
	if text == "" {
		return nil
	}
	if err := CheckText(text); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

var errPath = New("bad-text", "want a path of printable characters")

// CheckPath refuses a path that could not be read where it is shown.
func CheckPath(path string) error {
	if path != Printable(path) {
		return fmt.Errorf("%+q: %w", path, errPath)
	}
	return nil
}

// isWord reports whether a character is a letter or a digit that is seen.
func isWord(r rune) bool { return (unicode.IsLetter(r) || unicode.IsDigit(r)) && IsShown(r) }

// IsShown is false for control characters, changes of direction, and letters without a shape
// (Unicode's Other_Default_Ignorable_Code_Point).
func IsShown(r rune) bool {
	return unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// Printable makes one printable line of a text. It removes octets that would move the cursor or
// begin a new line.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return ';'
		case r == '\t':
			return ' '
		case IsShown(r):
			return r
		}
		return '?'
	}, text)
}

// OneLine makes one printable line of an error. The error may quote text from a board.
func OneLine(err error) string {
	return Printable(strings.ReplaceAll(fmt.Sprint(err), "\n", "; "))
}

// Sentence returns the text of the sentinel that decides, without the errors around it. These
// are details for the engineers' log. An error without a sentinel gives its own text.
func Sentence(err error) string {
	if found := sentinels(err); len(found) > 0 {
		return Printable(found[0].text)
	}
	return OneLine(err)
}

// Detail returns the short text about one case that an error carries, such as the program that uses a port, or the
// last line that a board printed. It is empty if the error has none.
func Detail(err error) string {
	var detailed interface{ Detail() string }
	if errors.As(err, &detailed) {
		return Printable(detailed.Detail())
	}
	return ""
}

// Count returns a number with its noun: one for 1, many for all other numbers.
func Count[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
