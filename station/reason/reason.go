// Package reason has a table with one row for each refusal of the product. The row has the
// word that tests, audit log and screen use, the ending of a Run with this refusal, and the
// next action. Each sentinel error belongs to a row of the table, so the row of every error
// that wraps a sentinel can be found.
package reason

import (
	"fmt"
	"slices"
)

// Ending is how a Run ended. A Run has exactly one of the four endings. Only Pass and Reject
// judge the board.
type Ending string

// The endings of a Run.
const (
	Pass    Ending = "pass"    // the board did the handshake with its registered certificate
	Reject  Ending = "reject"  // the board is bad
	Fault   Ending = "fault"   // the station, the HSM or the connection is bad; the board may be tried again
	Aborted Ending = "aborted" // the operator stopped
)

// Exit is the exit code of a command. Scripts rely on the codes.
type Exit int

// The exit codes, the same for every command. A crash ends with a signal instead, see
// EndCrashesBySignal.
const (
	ExitPass    Exit = 0 // all Runs ended as Pass, or the command succeeded
	ExitFault   Exit = 1
	ExitReject  Exit = 2
	ExitUsage   Exit = 3 // usage or configuration; the command did nothing
	ExitAborted Exit = 4 // the operator stopped, or the work order takes no further board: a second try ends in the same way
	ExitPIN     Exit = 5 // the token refuses the PIN, or cannot take one: a second try could lock the token
)

// A Row says how the product handles one refusal.
type Row struct {
	Word    string // lower-case words with hyphens
	Ending  Ending // ending of a Run with this refusal
	StopBay bool   // the bay starts no further Run until an operator acknowledges (I4)
	Exit    Exit   // exit code of a command that returns the refusal
	Next    string // next action, for people
	HSM     bool   // true if a lost HSM can cause the refusal in the step sign
	Screen  string // key of the next action in the screen's catalogue, empty if no Run ends with the word
}

// Rows returns a copy of the table, in the order of precedence.
func Rows() []Row { return slices.Clone(table) }

// For returns the row of a word.
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

// Next returns the next action after a Run. For a word without a row it returns the text of the ending.
func Next(ending Ending, word string) string {
	if row, known := For(word); known {
		return row.Next
	}
	return nextByEnding[ending]
}

// ScreenKey returns the catalogue's key of the next action after a Run. If the word has no
// row, or no Run ends with the word, ScreenKey returns the key of the ending.
func ScreenKey(ending Ending, word string) string {
	if row, known := For(word); known && row.Screen != "" && ending != Pass {
		return row.Screen
	}
	return screenByEnding[ending]
}

// A Sentinel is an error with a row of the table. A Sentinel never changes.
type Sentinel struct {
	row  Row
	rank int // the sentinel with the smallest rank decides
	text string
}

// New makes a sentinel with the row of word; Error returns text. New panics if the word has
// no row, because that is a mistake in the source.
func New(word, text string) *Sentinel {
	return at(known(word), text)
}

// at makes a sentinel with a row of the table. Below takes a rank between two rows.
func at(row int, text string) *Sentinel {
	return &Sentinel{row: table[row], rank: 2 * row, text: text}
}

// Below returns the same sentinel with a precedence directly below the row of another word.
// Two sentinels with the same word may have different precedence.
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

// Word returns the word of the sentinel's row.
func (s *Sentinel) Word() string { return s.row.Word }

// Row returns the sentinel's row.
func (s *Sentinel) Row() Row { return s.row }
