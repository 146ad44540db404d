package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

func (c *command) verifierCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "verifier",
		Short: "Serves the mutual-TLS endpoint alone, until it is stopped",
		Long: `verifier accepts boards that present an active certificate of this station, and refuses
everybody else; the log says whom and why. It asks for no PIN, and runs beside a station that
works on the same directory.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			context.AfterFunc(ctx, stop) // a second signal ends the program at once
			defer stop()
			return c.verifier(ctx, listen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "address:port (default: verifier.listen of station.yaml)")
	return cmd
}

// verifier opens the parts of the station that the verifier needs. It does not open the HSM, and writes nothing.
func (c *command) verifier(ctx context.Context, listen string) (err error) {
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return err
	}
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	reader, err := files.OpenReader(ctx)
	if err != nil {
		return err
	}
	server, err := files.NewVerifier(reader)
	if err != nil {
		return err
	}
	if listen == "" {
		listen = files.Config.Verifier.Listen
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return reason.Usage(fmt.Errorf("opening the verifier's port: %w", err))
	}
	fmt.Fprintf(c.stdout, "verifier %s listens on %s\n", server.ServerName(), listener.Addr())
	return server.Serve(ctx, listener)
}
