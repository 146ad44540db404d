package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hallmark/station"
	"hallmark/station/auditor"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) order() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "order",
		Short: "Signs, opens, raises, closes and shows work orders; works while the station does",
		Long: `A work order says for how many boards the station may sign certificates. The board after the last one is
refused before anything is signed. With require_order in station.yaml, every board needs a work order. With
orders.signed_only, each work order is a file that the owner of the product has signed (open --file).
Each change is in the audit log, with the name of the person who made it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reason.Usage(fmt.Errorf("no subcommand given; see `%s --help`", cmd.CommandPath()))
		},
	}
	cmd.AddCommand(c.open(), c.raise(), c.close(), c.closure(), c.show(), c.sign(), c.check(), c.Reader.Orders("list"))
	return cmd
}

func (c *Commands) open() *cobra.Command {
	var ask operate.OrderChange
	var quota operate.Number
	var until, file string
	cmd := &cobra.Command{
		Use:   "open --id ID --quota NUMBER | open --file FILE",
		Short: "Opens a work order; the same command again changes nothing",
		Long: `open opens a work order by its flags, or by a file that the owner of the product has signed: FILE and its signature FILE.sig. A file
with a greater revision changes an order that is open; the same file again is refused.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if file != "" {
				if err := alone(cmd, "file", "operator"); err != nil {
					return err
				}
				return c.importFile(cmd.Context(), file, ask.Operator)
			}
			if ask.Until, err = auditor.ParseTime("--until", until); err != nil {
				return reason.Usage(err)
			}
			ask.Quota = int64(quota)
			return c.change(cmd.Context(), operate.ActOpenOrder, ask)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "an order file that the owner has signed; it takes the place of the other flags")
	cmd.Flags().StringVar(&ask.ID, "id", "", "name of the work order (required without --file)")
	cmd.Flags().Var(&quota, "quota", "for how many boards (required without --file)")
	cmd.Flags().StringVar(&ask.Lot, "lot", "", "name of the lot, for the record")
	cmd.Flags().StringVar(&until, "until", "", "no board begins at this time or later (2026-11-28, or 2026-11-28T07:00:00Z)")
	cmd.Flags().Var(&ask.Firmware, "firmware-allow", "only boards with these firmware images")
	operator(cmd, &ask.Operator)
	return cmd
}

// alone refuses flags beside a flag, except some.
func alone(cmd *cobra.Command, flag string, except ...string) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != flag && !slices.Contains(except, f.Name) && cmd.InheritedFlags().Lookup(f.Name) == nil {
			err = reason.Usage(fmt.Errorf("--%s: want it without --%s: what the owner has signed decides", flag, f.Name))
		}
	})
	return err
}

func (c *Commands) raise() *cobra.Command {
	var ask operate.OrderChange
	var quota operate.Number
	cmd := &cobra.Command{
		Use:   "raise --id ID --quota NUMBER",
		Short: "Gives an open work order a greater quota",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask.Quota = int64(quota)
			return c.change(cmd.Context(), operate.ActRaiseOrder, ask)
		},
	}
	cmd.Flags().StringVar(&ask.ID, "id", "", "name of the work order (required)")
	cmd.Flags().Var(&quota, "quota", "the new number of boards, more than before (required)")
	operator(cmd, &ask.Operator)
	return cmd
}

func (c *Commands) close() *cobra.Command {
	var ask operate.OrderChange
	var out string
	cmd := &cobra.Command{
		Use:   "close --id ID [--closure FILE]",
		Short: "Closes a work order for good, and prints the report of the lot",
		Long: `close lets no further board begin for the work order. A board that is under way and was not signed for is
refused. The report says what became of the boards that were ordered: certified, unresolved (it is not
known whether the HSM signed), revoked, unused. The four numbers add up to the order. With --closure, the audit key
in the HSM signs the report for the owner of the product; ` + "`station order closure`" + ` does the same later.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out != "" {
				if err := c.mayWriteClosure(out); err != nil {
					return err
				}
			}
			if err := c.change(cmd.Context(), operate.ActCloseOrder, ask); err != nil || out == "" {
				return err
			}
			return c.writeClosure(cmd.Context(), operate.ClosureRequest{ID: ask.ID, Operator: ask.Operator}, out)
		},
	}
	cmd.Flags().StringVar(&ask.ID, "id", "", "name of the work order (required)")
	cmd.Flags().StringVar(&out, "closure", "", "write a signed closure for the owner to this file, and its signature to FILE.p7s")
	operator(cmd, &ask.Operator)
	return cmd
}

var errNoID = reason.Usage(errors.New("--id is missing: name the work order"))

// change does an action on a work order. Opening and raising need a quota.
func (c *Commands) change(ctx context.Context, name string, ask operate.OrderChange) error {
	switch {
	case ask.ID == "":
		return errNoID
	case ask.Quota == 0 && name != operate.ActCloseOrder:
		return reason.Usage(errors.New("--quota is missing: give the number of boards"))
	}
	return c.do(ctx, name, ask)
}

func (c *Commands) show() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "show --id ID",
		Short: "Shows one work order, and what became of its boards",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return errNoID
			}
			ctx := cmd.Context()
			return c.Reader.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
				order, err := reader.OrderReport(ctx, id)
				if errors.Is(err, station.ErrUnknownOrder) {
					return reason.Usage(fmt.Errorf("--id %w", err))
				} else if err != nil {
					return err
				}
				_, err = fmt.Fprintln(c.Stdout, operate.LotReport(order))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "name of the work order (required)")
	return cmd
}
