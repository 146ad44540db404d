package health

import (
	"fmt"
	"strings"

	"hallmark/station/audit"
)

// Text returns the line of a check in a table for people, and the rows of the check below.
func (c Check) Text() string {
	word := map[State]string{OK: "ok", Warn: "warn", Fail: "FAIL", None: "?"}[c.State]
	text := fmt.Sprintf("%-5s %-14s %s\n", word, c.Name, c.Finding)
	for _, row := range c.Rows {
		text += fmt.Sprintf("      %-14s %s\n", "", row)
	}
	if c.State == Fail {
		text += fmt.Sprintf("      %-14s next: %s\n", "", c.Next)
	}
	return text
}

// Ready is the last line of a list of checks of which none failed. It names those with a warning.
func Ready(warned []string) string {
	if len(warned) == 0 {
		return "\nThe bench is ready."
	}
	return "\nThe bench is ready, but look at the warnings: " + strings.Join(warned, ", ") + "."
}

// RecordFailed records the names of the failed checks in the audit log, if the registry is open.
func (c *Checker) RecordFailed(names []string) error {
	record, open := c.Record()
	if !open {
		return nil
	}
	return record.Note("doctor.done", audit.Failure, map[string]string{"failed": strings.Join(names, ", ")})
}
