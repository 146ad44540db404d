package report

import (
	"bytes"
	"fmt"
	"text/tabwriter"

	"hallmark/station"
	"hallmark/station/reason"
)

// writeAdvice prints the next action for each reason that occurred, each reason once.
func writeAdvice(w *bytes.Buffer, runs []*station.Run) {
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
	_ = table.Flush() // writing to a Buffer returns no error
}
