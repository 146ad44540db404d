package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"hallmark/station"
	"hallmark/station/reason"
)

// tableLimit is the greatest number of Passes in the table. The table shows all other endings.
const tableLimit = 40

// A Table is what a batch shows at its end.
type Table struct {
	Runs     []*station.Run
	Repeated []*station.Run // a lost HSM ended these Runs, and their boards were enrolled again
	Took     time.Duration

	Certificates, Root string // paths
	Software           bool   // the keys are in a software token
	Exceptions         string // the exceptions of the HSM, empty: none
	Hub                string // why the hub does not have the audit log, or what it found; empty while all is well
	Untold             string // which receivers of webhooks do not take the endings, and why; empty when all do
	Unwitnessed        string // which witnesses do not confirm the audit log, and why; empty when all do
	// Console says that the board's console is shown after a Run that did not pass.
	Console bool
}

// SoftwareWarning is said where keys are in a software token.
const SoftwareWarning = "The keys are in a software token, which protects nothing: for demonstrations and CI only."

// Text returns a row for each Run, then a row for each repeated Run, the sum, the next action
// for each reason, and where the certificates are.
func (t Table) Text() []byte {
	var text bytes.Buffer // writing to it returns no error
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BAY\tBOARD\tKEY\tENDING\tREASON\tSERIAL NUMBER\tTIME")
	passed := 0
	for _, run := range t.Runs {
		if run.Ending == station.Pass {
			if passed++; passed > tableLimit {
				continue
			}
		}
		writeRow(table, run, string(run.Outcome))
	}
	for _, run := range t.Repeated {
		writeRow(table, run, "repeated")
	}
	_ = table.Flush()
	if passed > tableLimit {
		fmt.Fprintf(&text, "... and %d more that ended as pass\n", passed-tableLimit)
	}
	fmt.Fprintf(&text, "\n%s\n", summary(t.Runs, t.Repeated, t.Took))
	writeAdvice(&text, t.Runs)
	if t.Console {
		writeConsole(&text, t.Runs)
	}
	fmt.Fprintf(&text, "certificates in %s, root in %s\n", t.Certificates, t.Root)
	if t.Software {
		fmt.Fprintln(&text, SoftwareWarning)
	}
	if t.Exceptions != "" {
		fmt.Fprintf(&text, "warning: the demands on the HSM are lowered by the configuration: %s\n", t.Exceptions)
	}
	if t.Hub != "" {
		fmt.Fprintf(&text, "warning: the hub of the plant: %s\n", t.Hub)
	}
	if t.Untold != "" {
		fmt.Fprintf(&text, "warning: endings of Runs wait for the receiver of a webhook (`station webhooks` counts them): %s\n", t.Untold)
	}
	if t.Unwitnessed != "" {
		fmt.Fprintf(&text, "warning: the audit log is not confirmed from outside by all: %s\n", t.Unwitnessed)
	}
	return text.Bytes()
}

// writeRow writes the row of a Run. what says more about its ending, and may be empty.
func writeRow(w io.Writer, run *station.Run, what string) {
	r := recordOf(run, "", "")
	if what != "" {
		r.Ending += ", " + what
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Bay, Dash(r.BoardID), r.Purpose, r.Ending, Dash(r.Reason), Dash(r.SerialNumber),
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
	text := fmt.Sprintf("%s: %d pass, %d reject, %d fault, %d aborted; %s",
		reason.Count(len(runs), "Run", "Runs"), n[station.Pass], n[station.Reject], n[station.Fault], n[station.Aborted], took.Round(time.Millisecond))
	if took > 0 && len(runs) > 1 {
		text += fmt.Sprintf(", %.1f Runs/s", float64(len(runs))/took.Seconds())
	}
	if outcomes := outcomes(runs); outcomes != "" {
		text += "; " + outcomes
	}
	if len(repeated) > 0 {
		text += fmt.Sprintf("; %d repeated after the HSM was lost", len(repeated))
	}
	return text
}

// outcomes says how many Runs that passed had each outcome.
func outcomes(runs []*station.Run) string {
	counts := map[station.Outcome]int{}
	for _, run := range runs {
		counts[run.Outcome]++
	}
	var parts []string
	for _, outcome := range []station.Outcome{station.Issued, station.Confirmed, station.Reworked} {
		if counts[outcome] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[outcome], outcome))
		}
	}
	return strings.Join(parts, ", ")
}

// Endings counts how Runs ended.
func Endings(runs []*station.Run) map[station.Ending]int {
	counts := map[station.Ending]int{}
	for _, run := range runs {
		counts[run.Ending]++
	}
	return counts
}
