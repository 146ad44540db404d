package ceremony

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hallmark/station/reason"
)

// readable is a line for people. The screen leaves out the file of the ceremony.
func (l entry) readable(whole bool) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%2d  %s  %s\n", l.Seq, shown(l.At), shown(l.What))
	for _, key := range slices.Sorted(maps.Keys(l.Facts)) {
		if value := l.Facts[key]; value != "" && (whole || key != "file" && key != "pem") {
			lines := strings.Split(strings.TrimSpace(value), "\n")
			for i := range lines {
				lines[i] = shown(lines[i])
			}
			fmt.Fprintf(&text, "      %-16s %s\n", shown(key), strings.Join(lines, "\n"+strings.Repeat(" ", 23)))
		}
	}
	return text.String()
}

// severalLines are the facts whose lines stay lines: the file of the ceremony, which has no characters that hide text, and PEM, which
// this program writes.
var severalLines = []string{"file", "pem"}

// shown returns a text as it is, or in quotes with escapes if people could not read it where it is shown, such as a label on a token that moves
// the cursor. A text that begins with a quote gets quotes, too, so that no text looks like an escaped one.
func shown(text string) string {
	if text == reason.Printable(text) && !strings.HasPrefix(text, `"`) {
		return text
	}
	return strconv.QuoteToASCII(text)
}

// printable is the transcript for people, with places for two signatures by hand.
func (t *transcript) printable() []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "Transcript of a key ceremony\nsha256 of transcript.jsonl: %s\n\n", hexSum(t.text))
	for _, one := range t.lines {
		text.WriteString(one.readable(true))
	}
	for range 2 {
		text.WriteString("\n\nname ______________________________  date ____________  signature ______________________________\n")
	}
	return []byte(text.String())
}
