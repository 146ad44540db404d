package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *command) boardsCommand() *cobra.Command {
	var filter registry.Filter
	var known bool
	var boardID string
	cmd := &cobra.Command{
		Use:   "boards",
		Short: "Lists boards and their certificates; works while the station does",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFilter(cmd, &filter, boardID); err != nil {
				return reason.Usage(err)
			}
			print := c.table
			if known {
				print = c.known
			}
			return c.boards(cmd.Context(), filter, print)
		},
	}
	cmd.Flags().BoolVar(&known, "known", false, "print the certificates as JSON lines, which the program verifier reads with its --known")
	cmd.Flags().StringVar(&boardID, "board", "", "only the board with this BoardID")
	cmd.Flags().StringVar(&filter.Status, "status", "", "only boards with a certificate that is one of "+strings.Join(certificateStatuses, ", "))
	cmd.Flags().IntVar(&filter.Limit, "limit", 0, "at most that many rows (default: all)")
	return cmd
}

// certificateStatuses are the values of --status.
var certificateStatuses = []string{"issued", "delivered", "active", "superseded", "revoked", "scrapped", "unresolved"}

// checkFilter completes the filter. It refuses a filter that cannot match anything, because
// an empty list would look like a correct answer.
func checkFilter(cmd *cobra.Command, filter *registry.Filter, boardID string) (err error) {
	if given := cmd.Flags().Changed; given("status") && !slices.Contains(certificateStatuses, filter.Status) {
		return fmt.Errorf("--status %q: want one of %s", filter.Status, strings.Join(certificateStatuses, ", "))
	} else if given("limit") && filter.Limit < 1 {
		return fmt.Errorf("--limit %d: want 1 or more, or leave it out for all", filter.Limit)
	} else if !given("board") {
		return nil
	}
	if filter.BoardID, err = devices.ParseBoardID(boardID); err != nil {
		return fmt.Errorf("--board: %w", err)
	}
	return nil
}

// boards opens the registry for reading, and calls print.
func (c *command) boards(ctx context.Context, filter registry.Filter, print func(context.Context, *registry.Reader, registry.Filter) error) error {
	return c.withReader(ctx, func(dir workdir.Dir, reader *registry.Reader) error {
		if _, _, err := instance.ReadSettings(dir); err != nil {
			return reason.Usage(err)
		}
		return print(ctx, reader, filter)
	})
}

// known prints the certificates for a verifier on another host.
func (c *command) known(ctx context.Context, reader *registry.Reader, filter registry.Filter) error {
	rows, err := reader.Certificates(ctx, filter)
	if err != nil {
		return err
	}
	return report.WriteKnown(c.stdout, rows)
}

// table prints the boards as a table for people.
func (c *command) table(ctx context.Context, reader *registry.Reader, filter registry.Filter) error {
	rows, err := reader.Boards(ctx, filter)
	if err != nil {
		return err
	}
	return report.WriteBoards(c.stdout, rows)
}
