package manage

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

func (c *Commands) webhooks() *cobra.Command {
	var send bool
	cmd := &cobra.Command{
		Use:   "webhooks --dir D [--send]",
		Short: "Shows for each webhook how many endings of Runs wait, and sends them",
		Long: `webhooks shows how many endings of Runs each receiver has not taken. A station sends them while it is open, and the next start
sends the rest. With --send this command does it, while no station is open; it needs neither HSM nor PIN.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.showWebhooks(cmd.Context(), send) },
	}
	cmd.Flags().BoolVar(&send, "send", false, "send the endings that wait")
	return cmd
}

func (c *Commands) showWebhooks(ctx context.Context, send bool) (err error) {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	reader, err := instance.OpenReader(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	if len(files.Config.Webhooks) == 0 {
		_, err := fmt.Fprintln(c.Stdout, "station.yaml has no webhooks")
		return err
	}
	all, err := files.Deliveries(ctx, reader, send)
	for _, d := range all {
		text := "its receiver has taken all"
		if d.Waiting > 0 {
			text = reason.Count(d.Waiting, "ending waits", "endings wait")
		}
		fmt.Fprintf(c.Stdout, "%s  %s: %s\n", d.Name, reason.Printable(d.URL), text)
		err = errors.Join(err, d.Err)
	}
	return err
}
