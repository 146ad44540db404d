package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"hallmark/station/ceremony"
	"hallmark/station/workdir"
)

func (c *command) renewVerifierCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "renew-verifier",
		Short: "Gives the verifier's endpoint a new certificate",
		Long: `renew-verifier makes a new certificate for the key of the verifier's endpoint. The root signs it if its
key is in the HSM; otherwise the issuing CA does, and the root stays offline. It is valid for authority.verifier_days of station.yaml, from now on. Boards
need nothing new: they trust the root. The audit log says what was made.

It needs the station to itself. Start a verifier that runs alone again afterwards.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			context.AfterFunc(ctx, stop) // a second signal ends the program at once
			defer stop()
			return c.renewVerifier(ctx)
		},
	}
}

func (c *command) renewVerifier(ctx context.Context) error {
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return err
	}
	made, err := ceremony.RenewVerifier(ctx, dir)
	if made != nil {
		fmt.Fprintf(c.stdout, "%s is valid until %s, sha256 %x\n", dir.Server(), made.NotAfter.UTC().Format(time.DateOnly), sha256.Sum256(made.Raw))
	}
	return err
}
