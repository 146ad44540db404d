package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"hallmark/station/reason"
	"hallmark/station/registry"
)

// WriteStoppedBays prints the bays that wait for an acknowledgement as a table for people, and how to acknowledge.
func WriteStoppedBays(w io.Writer, bays []registry.StoppedBay) error {
	if len(bays) == 0 {
		_, err := fmt.Fprintln(w, "no bay is stopped")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BAY\tSTOPPED\tREASON\tBOARD")
	for _, bay := range bays {
		board := bay.BoardID.String()
		if bay.BoardID.IsZero() {
			board = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", reason.Printable(bay.Name), bay.Since, bay.Reason, board)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\nLook at the board that stopped the bay. Then: station bays acknowledge BAY --operator NAME")
	return err
}
