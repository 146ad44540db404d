package auditor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *Commands) boards() *cobra.Command {
	var filter registry.Filter
	var known bool
	var boardID string
	var form format
	cmd := &cobra.Command{
		Use:   "boards",
		Short: "Lists boards and their certificates; works while the station does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkFilter(cmd, &filter, boardID), form.check()); err != nil {
				return reason.Usage(err)
			}
			print := c.table
			switch {
			case known:
				print = c.known
			case form.json || form.csv:
				print = c.boardList(form)
			}
			return c.printBoards(cmd.Context(), filter, print)
		},
	}
	cmd.Flags().BoolVar(&known, "known", false, "print the certificates as JSON lines, which the program verifier reads with its --known")
	cmd.Flags().StringVar(&boardID, "board", "", "only the board with this BoardID")
	cmd.Flags().StringVar(&filter.Serial, "serial", "", "only the board that has, or had, the certificate with this serial number")
	cmd.Flags().StringVar(&filter.Status, "status", "", "only boards with a certificate that is one of "+strings.Join(certificateStatuses, ", "))
	cmd.Flags().IntVar(&filter.Limit, "limit", 0, "at most that many rows (default: all)")
	form.flags(cmd.Flags())
	cmd.AddCommand(c.checkBoard())
	return cmd
}

// boardList prints the boards for programs.
func (c *Commands) boardList(form format) func(context.Context, *registry.Reader, registry.Filter) error {
	return func(ctx context.Context, reader *registry.Reader, filter registry.Filter) error {
		rows, err := reader.Boards(ctx, filter)
		if err != nil {
			return err
		}
		l := list{columns: []string{"board_id", "type", "hardware_id", "first_seen", "scrapped", "purpose", "serial_number", "status", "not_after", "runs", "last_ending", "last_reason", "held"}}
		for _, r := range rows {
			l.add(r.BoardID.String(), r.Type, r.HardwareID, r.FirstSeen, r.Scrapped, r.Purpose.String(), r.Serial, r.Status, r.NotAfter, strconv.Itoa(r.Runs), string(r.LastEnding), r.LastReason, r.Held)
		}
		return form.print(c.Stdout, l)
	}
}

// certificateStatuses are the values of --status.
var certificateStatuses = []string{"issued", "delivered", "active", "superseded", "revoked", "scrapped", "unresolved", registry.StatusHeld}

// checkFilter completes the filter. It refuses a filter that cannot match anything, because
// an empty list would look like a correct answer.
func checkFilter(cmd *cobra.Command, filter *registry.Filter, boardID string) (err error) {
	if given := cmd.Flags().Changed; given("status") && !slices.Contains(certificateStatuses, filter.Status) {
		return fmt.Errorf("--status %q: want one of %s", filter.Status, strings.Join(certificateStatuses, ", "))
	} else if given("limit") && filter.Limit < 1 {
		return fmt.Errorf("--limit %d: want 1 or more, or leave it out for all", filter.Limit)
	} else if filter.Serial, err = parseSerial(filter.Serial); err != nil {
		return err
	} else if !given("board") {
		return nil
	}
	if filter.BoardID, err = devices.ParseBoardID(boardID); err != nil {
		return fmt.Errorf("--board: %w", err)
	}
	return nil
}

// printBoards opens the registry for reading, and calls print.
func (c *Commands) printBoards(ctx context.Context, filter registry.Filter, print func(context.Context, *registry.Reader, registry.Filter) error) error {
	return c.WithReader(ctx, func(dir workdir.Dir, reader *registry.Reader) error {
		if _, _, err := instance.ReadSettings(dir); err != nil {
			return reason.Usage(err)
		}
		return print(ctx, reader, filter)
	})
}

// known prints the certificates for a verifier on another host.
func (c *Commands) known(ctx context.Context, reader *registry.Reader, filter registry.Filter) error {
	rows, err := reader.Certificates(ctx, filter)
	if err != nil {
		return err
	}
	return report.WriteKnown(c.Stdout, rows)
}

// table prints the boards as a table for people.
func (c *Commands) table(ctx context.Context, reader *registry.Reader, filter registry.Filter) error {
	rows, err := reader.Boards(ctx, filter)
	if err != nil {
		return err
	}
	return report.WriteBoards(c.Stdout, rows)
}
