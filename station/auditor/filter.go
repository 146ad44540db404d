package auditor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/registry"
)

// A filter has the flags that select rows of a list. Their names are documented as stable: flags are only ever added.
type filter struct {
	chosen                     registry.Filter
	board, ending, since, till string
	statuses                   []string
}

// certificateStatuses are the values of --status for boards and certificates.
var certificateStatuses = []string{"issued", "delivered", "active", "superseded", "revoked", "scrapped", "unresolved", registry.StatusHeld, registry.StatusRework}

// endings are the values of --ending.
var endings = []string{string(station.Pass), string(station.Reject), string(station.Fault), string(station.Aborted)}

// ofBoards adds the flags of the lists of boards and certificates.
func (f *filter) ofBoards(flags *pflag.FlagSet) {
	flags.StringVar(&f.board, "board", "", "only the board with this BoardID")
	flags.StringVar(&f.chosen.Serial, "serial", "", "only the certificate with this serial number (32 hexadecimal digits), or the board that has, or had, it")
	f.common(flags, certificateStatuses, "only certificates that are one of ")
}

// ofOrders adds the flags of the list of work orders.
func (f *filter) ofOrders(flags *pflag.FlagSet) {
	flags.StringVar(&f.chosen.Order, "order", "", "only this work order")
	const with = "only orders with one Run that fits this and the other flags about a Run: "
	flags.StringVar(&f.board, "board", "", with+"of the board with this BoardID")
	flags.StringVar(&f.chosen.Serial, "serial", "", with+"in which the certificate with this serial number was signed (32 hexadecimal digits)")
	flags.StringVar(&f.chosen.Operator, "operator", "", with+"of this operator")
	flags.StringVar(&f.chosen.Bay, "bay", "", with+"in this bay")
	flags.StringVar(&f.ending, "ending", "", with+"it ended as "+strings.Join(endings, ", "))
	flags.StringVar(&f.chosen.Reason, "reason", "", with+"it ended with this reason word")
	f.span(flags, "only orders that were opened")
	f.common(flags, []string{registry.StatusOpen, registry.StatusClosed}, "only orders that are ")
}

// ofRuns adds the flags that are about one Run. which says of what.
func (f *filter) ofRuns(flags *pflag.FlagSet, which string) {
	flags.StringVar(&f.chosen.Order, "order", "", which+" was for this work order")
	flags.StringVar(&f.chosen.Operator, "operator", "", which+" this operator did")
	flags.StringVar(&f.chosen.Bay, "bay", "", which+" was in this bay")
	flags.StringVar(&f.ending, "ending", "", which+" ended as "+strings.Join(endings, ", "))
	flags.StringVar(&f.chosen.Reason, "reason", "", which+" ended with this reason word")
	f.span(flags, which+" began")
}

func (f *filter) span(flags *pflag.FlagSet, which string) {
	flags.StringVar(&f.since, "since", "", which+" at this time or later (2026-11-28, or 2026-11-28T07:00:00Z)")
	flags.StringVar(&f.till, "until", "", which+" before this time")
}

func (f *filter) common(flags *pflag.FlagSet, statuses []string, which string) {
	f.statuses = statuses
	flags.StringVar(&f.chosen.Status, "status", "", which+strings.Join(statuses, ", "))
	flags.IntVar(&f.chosen.Limit, "limit", 0, "at most that many rows (default: all)")
}

// checkLimit refuses a list that can have no row.
func checkLimit(flags *pflag.FlagSet, limit int) error {
	if flags.Changed("limit") && limit < 1 {
		return fmt.Errorf("--limit %d: want 1 or more, or leave it out for all", limit)
	}
	return nil
}

// parse checks the flags. It refuses a filter that cannot match anything, because
// an empty list would look like a correct answer.
func (f *filter) parse(cmd *cobra.Command) (c registry.Filter, err error) {
	c = f.chosen
	c.Ending = station.Ending(f.ending)
	given := cmd.Flags().Changed
	switch {
	case given("status") && !slices.Contains(f.statuses, c.Status):
		return c, fmt.Errorf("--status %q: want one of %s", c.Status, strings.Join(f.statuses, ", "))
	case given("ending") && !slices.Contains(endings, f.ending):
		return c, fmt.Errorf("--ending %q: want one of %s", f.ending, strings.Join(endings, ", "))
	}
	if c.Serial, err = parseSerial(c.Serial); err != nil {
		return c, err
	}
	if err := checkLimit(cmd.Flags(), c.Limit); err != nil {
		return c, err
	}
	if given("board") {
		if c.BoardID, err = devices.ParseBoardID(f.board); err != nil {
			return c, fmt.Errorf("--board: %w", err)
		}
	}
	c.Since, c.Until, err = parseSpan("--since", f.since, f.till)
	return c, err
}
