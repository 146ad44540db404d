package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/hardware"
	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *command) baysCommand() *cobra.Command {
	var show hardware.Options
	list := &cobra.Command{
		Use:   "bays",
		Short: "Shows the bench as it is, and the bays that are stopped; works while the station does",
		Long: `bays compares the bays of station.yaml with what is plugged in, and names what does not fit. Without --dir it shows
only what is plugged in. It opens no port.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.bays(cmd.Context(), show) },
	}
	list.Flags().StringVar(&show.Sysfs, "sysfs", "", "directory with sys and dev of a machine that was recorded (default: this machine)")
	list.Flags().BoolVar(&show.YAML, "yaml", false, "print bays for station.yaml")
	list.Flags().BoolVar(&show.JSON, "json", false, "print one JSON object for each bay and for each device without a bay")
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

// bays shows the hardware and then, for people, the bays that are stopped.
func (c *command) bays(ctx context.Context, show hardware.Options) error {
	if err := show.Check(); err != nil {
		return reason.Usage(err)
	}
	if c.dir != "" {
		dir, err := workdir.Existing(c.dir)
		if err != nil {
			return err
		}
		show.Config = dir.Config()
	}
	if err := hardware.Show(c.out, show); err != nil || c.dir == "" || show.YAML || show.JSON {
		return err
	}
	fmt.Fprintln(c.out)
	return c.stoppedBays(ctx)
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
	var text string
	record, err := files.OpenRecord(ctx)
	if err == nil {
		text, err = operate.AcknowledgeBay(ctx, record, bay, operator)
	}
	if err = afterwards(err, files.Close()); err == nil {
		fmt.Fprintln(c.out, text)
	}
	return err
}
