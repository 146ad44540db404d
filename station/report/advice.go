package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"hallmark/station"
	"hallmark/station/reason"
)

// WriteAdvice prints the next action for each reason that occurred, each reason once.
func WriteAdvice(w io.Writer, runs []*station.Run) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	said := map[string]bool{}
	for _, run := range runs {
		if run.Ending == station.Pass || said[run.Reason] {
			continue
		}
		if len(said) == 0 {
			fmt.Fprintln(table, "\nwhat to do next")
		}
		said[run.Reason] = true
		fmt.Fprintf(table, "  %s\t%s\n", run.Reason, reason.Next(run.Ending, run.Reason))
	}
	return table.Flush()
}
