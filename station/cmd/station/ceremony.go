package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station"
	"hallmark/station/ceremony"
	"hallmark/station/reason"
)

func (c *command) ceremonyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ceremony",
		Short: "Makes keys and CA certificates with witnesses and a signed transcript, from one file",
		Long: `ceremony makes or imports the keys of your own CA: a root, an issuing CA below a root that is elsewhere, an
audit key, a key for OCSP answers. One YAML file is the only input; --dry-run prints all that will happen, and does not touch
the HSM. Whatever was stopped goes on with the same command. It needs no --dir. See docs/ceremony.md.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, kind := range configs.CeremonyKinds() {
		cmd.AddCommand(c.ceremonyOf(kind))
	}
	return cmd
}

func (c *command) ceremonyOf(kind string) *cobra.Command {
	var file, confirm string
	var dry bool
	cmd := &cobra.Command{
		Use: kind, Short: ceremony.Summary(kind), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			context.AfterFunc(ctx, stop) // a second signal ends the program at once
			defer stop()
			if file == "" {
				return reason.Usage(errors.New("--file is missing: name the ceremony's YAML file, as in docs/ceremony.md"))
			}
			act, err := ceremony.Read(file, kind)
			if err != nil {
				return err
			}
			if fmt.Fprint(c.stdout, act.Plan()); dry {
				return nil
			}
			act.Show, act.Program = c.stdout, station.ThisBuild().Version
			act.Confirm(confirm, c.stdin)
			return act.Hold(ctx)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "the ceremony, in YAML (required)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print all that would happen, and end")
	cmd.Flags().StringVar(&confirm, "confirm", "", "fingerprint of the key, instead of typing it")
	return cmd
}
