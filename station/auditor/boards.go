package auditor

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *Commands) boards() *cobra.Command {
	var only filter
	var known, receipts bool
	var form format
	cmd := &cobra.Command{
		Use:   "boards",
		Short: "Lists boards and their certificates; works while the station does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := only.parse(cmd)
			if err = errors.Join(err, form.check()); err != nil {
				return reason.Usage(err)
			}
			if receipts && !form.json && !form.csv {
				return reason.Usage(errors.New("--receipts: want --json or --csv, too; the table has no room for a receipt"))
			}
			print := c.table
			switch {
			case known:
				print = c.known
			case form.json || form.csv:
				print = c.boardList(form, receipts)
			}
			return c.printBoards(cmd.Context(), filter, print)
		},
	}
	cmd.Flags().BoolVar(&known, "known", false, "print the certificates as JSON lines, which the program verifier reads with its --known")
	cmd.Flags().BoolVar(&receipts, "receipts", false, "with --json or --csv: the column receipt has what the board signed when the certificate became active (COSE_Sign1, base64); without --board this reads the whole log, and what lies in an archive is missing")
	only.ofBoards(cmd.Flags())
	only.ofRuns(cmd.Flags(), "only boards with a Run that")
	form.flags(cmd.Flags())
	cmd.AddCommand(c.checkBoard(), c.checkRecipe())
	return cmd
}

// boardList prints the boards for programs.
func (c *Commands) boardList(form format, receipts bool) func(context.Context, *registry.Reader, registry.Filter) error {
	return func(ctx context.Context, reader *registry.Reader, filter registry.Filter) error {
		rows, err := reader.Boards(ctx, filter)
		if err != nil {
			return err
		}
		l := list{columns: []string{"board_id", "type", "hardware_id", "first_seen", "scrapped", "purpose", "serial_number", "status", "not_after", "runs", "last_ending", "last_reason", "held", "rework_since", "rework"}}
		for _, r := range rows {
			l.add(r.BoardID.String(), r.Type, r.HardwareID, r.FirstSeen, r.Scrapped, r.Purpose.String(), r.Serial, r.Status, r.NotAfter, strconv.Itoa(r.Runs), string(r.LastEnding), r.LastReason, r.Held, r.Marked, r.Rework)
		}
		if receipts {
			signed, err := reader.Receipts(ctx, filter.BoardID)
			if err != nil {
				return err
			}
			l.columns = append(l.columns, "receipt")
			for i, r := range rows {
				l.rows[i] = append(l.rows[i], signed[r.Serial])
			}
		}
		return form.print(c.Stdout, l)
	}
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
