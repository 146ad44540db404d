package ceremony

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// readable is a line for people. The screen leaves out the file of the ceremony.
func (l entry) readable(whole bool) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%2d  %s  %s\n", l.Seq, l.At, l.What)
	for _, key := range slices.Sorted(maps.Keys(l.Facts)) {
		if value := l.Facts[key]; value != "" && (whole || key != "file" && key != "pem") {
			fmt.Fprintf(&text, "      %-16s %s\n", key, strings.ReplaceAll(strings.TrimSpace(value), "\n", "\n"+strings.Repeat(" ", 23)))
		}
	}
	return text.String()
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
