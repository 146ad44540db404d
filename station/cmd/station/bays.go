package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *command) baysCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "bays",
		Short: "Lists the bays that are stopped; works while the station does",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.stoppedBays(cmd.Context()) },
	}
	var operator string
	acknowledge := &cobra.Command{
		Use:   "acknowledge BAY --operator NAME",
		Short: "Lets a stopped bay go on, on record",
		Long: `acknowledge lets a bay start Runs again that stopped because of a clone or a known identity. The
audit log says who has seen the board. While a station runs, release the bay on its screen.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.acknowledgeBay(cmd.Context(), args[0], operator)
		},
	}
	acknowledge.Flags().StringVar(&operator, "operator", "", "name of the person who has seen the board, for the audit log (required)")
	list.AddCommand(acknowledge)
	return list
}

func (c *command) stoppedBays(ctx context.Context) error {
	return c.auditor().WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
		stopped, err := reader.StoppedBays(ctx)
		if err != nil {
			return err
		}
		return report.WriteStoppedBays(c.out, stopped)
	})
}

func (c *command) acknowledgeBay(ctx context.Context, bay, operator string) error {
	if operator == "" {
		return reason.Usage(errors.New("--operator: want the name of the person who acknowledges"))
	}
	if err := operate.CheckAcknowledgement(bay, operator); err != nil {
		return reason.Usage(err)
	}
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return err
	}
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return err
	}
	record, err := files.OpenRecord(ctx)
	if err == nil {
		err = record.Registry.AcknowledgeBay(ctx, bay, operator)
	}
	if err = afterwards(err, files.Close()); err == nil {
		fmt.Fprintf(c.stdout, "bay %s goes on; the acknowledgement of %s is on record\n", bay, operator)
	}
	return err
}
