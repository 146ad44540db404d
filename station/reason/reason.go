// Package reason has one table with a row for each refusal of the product: the
// word that test, audit log and screen use, what the refusal means for a Run, and
// what to do next. A sentinel error is made from a row of the table, so every
// error that wraps a sentinel leads to the row.
package reason

import (
	"fmt"
	"slices"
)

// Ending is how a Run ended. The four are never mixed: only Reject says
// something about the board.
type Ending string

// The endings of a Run.
const (
	Pass    Ending = "pass"    // the board did the handshake with its registered certificate
	Reject  Ending = "reject"  // the board is bad
	Fault   Ending = "fault"   // the station, the HSM or the line is bad; the board may be tried again
	Aborted Ending = "aborted" // the operator stopped
)

// Exit is the exit code of a command. The codes are part of the interface.
type Exit int

// The exit codes, the same for every command.
const (
	ExitPass    Exit = 0 // all Runs ended as Pass, or the command did what was asked
	ExitFault   Exit = 1
	ExitReject  Exit = 2
	ExitUsage   Exit = 3 // usage or configuration; nothing was begun
	ExitAborted Exit = 4
)

// A Row is everything that the product says and does about one refusal.
type Row struct {
	Word    string // lower-case words with hyphens
	Ending  Ending // of a Run that is refused for this reason
	StopBay bool   // nothing more in the bay until an operator has looked (I4)
	Exit    Exit   // of a command that returns the refusal
	Next    string // what to do next
	Screen  string // the catalogue's key of the next action, empty where no Run ends with the word
}

// Rows gives a copy of the table, in the order of precedence.
func Rows() []Row { return slices.Clone(table) }

// For gives the row of a word.
func For(word string) (Row, bool) {
	i := position(word)
	if i < 0 {
		return Row{}, false
	}
	return table[i], true
}

func position(word string) int {
	return slices.IndexFunc(table, func(row Row) bool { return row.Word == word })
}

// Next says what to do about a Run. A word without a row has the text of the ending.
func Next(ending Ending, word string) string {
	if row, known := For(word); known {
		return row.Next
	}
	return nextByEnding[ending]
}

// ScreenKey gives the catalogue's key of the next action after a Run. A word
// without a row, or with one that no Run ends with, has the key of the ending.
func ScreenKey(ending Ending, word string) string {
	if row, known := For(word); known && row.Screen != "" && ending != Pass {
		return row.Screen
	}
	return screenByEnding[ending]
}

// A Sentinel is an error that carries a row of the table. It never changes.
type Sentinel struct {
	row  Row
	rank int // the smallest rank of a tree decides
	text string
}

// New makes a sentinel with the row of word; text is what Error gives. A word
// without a row is a mistake in the source, and every test of the package finds it.
func New(word, text string) *Sentinel {
	return &Sentinel{row: table[known(word)], rank: 2 * known(word), text: text}
}

// Below gives the same sentinel with the precedence directly below the row of
// another word. Two sentinels with the same word may differ in this.
func (s *Sentinel) Below(word string) *Sentinel {
	below := *s
	below.rank = 2*known(word) + 1
	return &below
}

func known(word string) int {
	i := position(word)
	if i < 0 {
		panic(fmt.Sprintf("reason: the table has no row %q", word))
	}
	return i
}

func (s *Sentinel) Error() string { return s.text }

// Word gives the word of the sentinel's row.
func (s *Sentinel) Word() string { return s.row.Word }

// Row gives the sentinel's row.
func (s *Sentinel) Row() Row { return s.row }
