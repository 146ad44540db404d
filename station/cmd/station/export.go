package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

func (c *command) auditExportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Writes an evidence bundle that a stranger can check without the station",
		Long: `export writes the audit log up to its newest checkpoint, the certificates and readable views into a
new directory, or into a tar file if the name ends in .tar. It needs no HSM and no PIN, and may run
while the station works. Entries after the newest checkpoint are not in the bundle.

auditcheck, or the script check.py inside of the bundle, checks it.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.auditExport(cmd.Context(), out) },
	}
	cmd.Flags().StringVar(&out, "out", "", "new directory, or new FILE.tar (required)")
	return cmd
}

func (c *command) auditExport(ctx context.Context, out string) (err error) {
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return err
	}
	if out == "" {
		return reason.Usage(errors.New("--out is missing: want a new directory, or a new FILE.tar"))
	}
	if _, err := os.Lstat(out); err == nil {
		return reason.Usage(fmt.Errorf("--out %s: it exists already; name a new one", out))
	}
	made, err := instance.Export(ctx, dir, out)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s: %d entries, root %v\n", out, made.Size, made.Root)
	if made.Beyond > 0 {
		fmt.Fprintf(c.stdout, "%d newer entries lie beyond the newest checkpoint; the next start or end of the station signs one\n", made.Beyond)
	}
	return nil
}
