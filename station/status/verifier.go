package status

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Verifier returns the command `verifier`.
func (c *Commands) Verifier() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "verifier",
		Short: "Serves the mutual-TLS endpoint alone, until it is stopped",
		Long: `verifier accepts boards that present an active certificate of this station, and refuses
everybody else; the log says whom and why. It asks for no PIN, and runs beside a station that
works on the same directory: a revocation counts in the next handshake.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			context.AfterFunc(ctx, stop) // a second signal ends the program at once
			defer stop()
			return reason.WithNext(c.verify(ctx, listen))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "address:port (default: verifier.listen of station.yaml)")
	return cmd
}

// A known looks certificates up in a registry that another process writes.
type known struct {
	*registry.Follower
	end context.CancelCauseFunc
}

// Lookup implements verifier.Known. A registry that was replaced ends the server, because revocations would be missing.
func (k *known) Lookup(ctx context.Context, serial [16]byte) (station.Record, error) {
	record, err := k.Follower.Lookup(ctx, serial)
	if errors.Is(err, registry.ErrNotFollowed) {
		k.end(err)
	}
	return record, err
}

// verify opens the parts of the station that the verifier needs. It does not open the HSM, and writes nothing.
func (c *Commands) verify(ctx context.Context, listen string) (err error) {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	follower, err := files.OpenFollower(ctx)
	if err != nil {
		return err
	}
	life, end := context.WithCancelCause(ctx)
	defer end(nil)
	server, err := files.NewVerifier(&known{follower, end})
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
	fmt.Fprintf(c.Stdout, "verifier %s listens on %s\n", server.ServerName(), listener.Addr())
	err = server.Serve(life, listener)
	if cause := context.Cause(life); err == nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	return err
}
