package reason

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// unnamed is the sentinel for an error that wraps no sentinel.
var unnamed = New("fault", "station or line is in trouble")

// Of returns the row of err. If the tree of err has several sentinels, the sentinel with
// the highest precedence decides. An error without a sentinel is a Fault; nil is a Pass.
func Of(err error) Row {
	if err == nil {
		return Row{Ending: Pass}
	}
	if row, found := Find(err); found {
		return row
	}
	return unnamed.row
}

// Find is like Of, but reports false for an error without a sentinel.
func Find(err error) (Row, bool) {
	if rows := All(err); len(rows) > 0 {
		return rows[0], true
	}
	return Row{}, false
}

// WithNext adds the next action of its row to a refusal. Rows without one, and "usage", which has none of its own, add nothing.
func WithNext(err error) error {
	if row, found := Find(err); found && row.Next != "" && row.Word != misuse.Word() {
		return fmt.Errorf("%w\nnext: %s", err, row.Next)
	}
	return err
}

// All returns the rows of all sentinels in the tree of err, in the order of precedence.
func All(err error) []Row {
	var rows []Row
	for _, s := range sentinels(err) {
		rows = append(rows, s.row)
	}
	return rows
}

// sentinels returns all sentinels in the tree of err, in the order of precedence.
func sentinels(err error) (found []*Sentinel) {
	each(err, func(s *Sentinel) { found = append(found, s) })
	slices.SortStableFunc(found, func(a, b *Sentinel) int { return a.rank - b.rank })
	return found
}

// each calls visit for each sentinel in the tree of err.
func each(err error, visit func(*Sentinel)) {
	switch err := err.(type) {
	case *Sentinel:
		visit(err)
	case interface{ Unwrap() error }:
		each(err.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, child := range err.Unwrap() {
			each(child, visit)
		}
	}
}

// misuse marks the errors of Usage.
var misuse = New("usage", "usage or configuration")

// Usage marks err as an error of usage or configuration. The text stays the same.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

type usageError struct{ err error }

func (e *usageError) Error() string   { return e.err.Error() }
func (e *usageError) Unwrap() []error { return []error{e.err, misuse} }

// ExitOf returns the exit code of a command that returned err. An error of usage comes before
// all others, because the command then did nothing. A refused PIN comes next, because nothing may
// try the PIN again. An operator's stop comes next, because a
// stopped command can return any error of the work that the stop interrupted.
func ExitOf(err error) Exit {
	switch {
	case slices.ContainsFunc(All(err), func(row Row) bool { return row.Exit == ExitUsage }):
		return ExitUsage
	case slices.ContainsFunc(All(err), func(row Row) bool { return row.Exit == ExitPIN }):
		return ExitPIN
	case errors.Is(err, context.Canceled):
		return ExitAborted
	}
	return Of(err).Exit
}

// ExitOfRun returns the exit code of one Run. A Fault of the work order has the code of its row, because the Run says
// nothing against the station.
func ExitOfRun(ending Ending, word string) Exit {
	if row, known := For(word); known && ending == Fault && row.Exit == ExitAborted {
		return row.Exit
	}
	return exitByEnding[ending]
}

// ExitOfRuns returns the exit code for Runs, counted by their exit codes. A Fault comes first,
// because a bad station cannot judge boards. Aborted comes last, because a stopped Run says
// nothing about station or board.
func ExitOfRuns(counts map[Exit]int) Exit {
	for _, exit := range []Exit{ExitFault, ExitReject, ExitAborted} {
		if counts[exit] > 0 {
			return exit
		}
	}
	return ExitPass
}

// Remote gives an error that another process returned: a text, and the word of its row. A word that this program
// does not know, or an empty one, gives an error without a row.
func Remote(word, text string) error {
	row := position(word)
	if row < 0 {
		return errors.New(text)
	}
	return at(row, text)
}
