package report

import (
	"bytes"
	"fmt"
	"strings"

	"hallmark/station"
	"hallmark/station/reason"
)

// consoleLines is how many lines of a board's console are shown.
const consoleLines = 20

// writeConsole prints the newest lines that a board printed on its UART, for each Run that did not pass.
func writeConsole(w *bytes.Buffer, runs []*station.Run) {
	for _, run := range runs {
		lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(run.Console), "\r\n", "\n")), "\n")
		if run.Ending == station.Pass || lines[0] == "" {
			continue
		}
		fmt.Fprintf(w, "\nconsole of the board in %s\n", run.Bay)
		for _, line := range lines[max(0, len(lines)-consoleLines):] {
			fmt.Fprintf(w, "  | %s\n", reason.Printable(line))
		}
	}
}
