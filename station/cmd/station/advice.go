package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"hallmark/station"
	"hallmark/station/reason"
)

func adviceOn(run *station.Run) string { return reason.Next(run.Ending, run.Reason) }

// writeAdvice prints what to do, once for each reason that occurred.
func writeAdvice(w io.Writer, runs []*station.Run) error {
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
		fmt.Fprintf(table, "  %s\t%s\n", run.Reason, adviceOn(run))
	}
	return table.Flush()
}
