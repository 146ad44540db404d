package report

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"hallmark/station"
)

// tableLimit is the greatest number of Passes in the table. The table shows all other endings.
const tableLimit = 40

// WriteTable prints a row for each Run, then a row for each of repeated, and then the sum. A
// lost HSM ended the Runs in repeated, and their boards were enrolled again.
func WriteTable(w io.Writer, runs, repeated []*station.Run, took time.Duration) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BAY\tBOARD\tKEY\tENDING\tREASON\tSERIAL NUMBER\tTIME")
	passed := 0
	for _, run := range runs {
		if run.Ending == station.Pass {
			if passed++; passed > tableLimit {
				continue
			}
		}
		writeRow(table, run, "")
	}
	for _, run := range repeated {
		writeRow(table, run, ", repeated")
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if passed > tableLimit {
		fmt.Fprintf(w, "... and %d more that ended as pass\n", passed-tableLimit)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", summary(runs, repeated, took))
	return err
}

func writeRow(w io.Writer, run *station.Run, suffix string) {
	r := recordOf(run)
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Bay, Dash(r.BoardID), r.Purpose, r.Ending+suffix, Dash(r.Reason), Dash(r.SerialNumber),
		run.Finished.Sub(run.Started).Round(time.Millisecond))
}

// Dash returns text, or a hyphen for an empty text.
func Dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func summary(runs, repeated []*station.Run, took time.Duration) string {
	n := Endings(runs)
	text := fmt.Sprintf("%d Runs: %d pass, %d reject, %d fault, %d aborted; %s",
		len(runs), n[station.Pass], n[station.Reject], n[station.Fault], n[station.Aborted], took.Round(time.Millisecond))
	if took > 0 && len(runs) > 1 {
		text += fmt.Sprintf(", %.1f Runs/s", float64(len(runs))/took.Seconds())
	}
	if len(repeated) > 0 {
		text += fmt.Sprintf("; %d repeated after the HSM was lost", len(repeated))
	}
	return text
}

// Endings counts how Runs ended.
func Endings(runs []*station.Run) map[station.Ending]int {
	counts := map[station.Ending]int{}
	for _, run := range runs {
		counts[run.Ending]++
	}
	return counts
}
