package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os/signal"

	"github.com/spf13/cobra"

	"hallmark/station/ceremony"
	"hallmark/station/reason"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *command) initCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Makes a new station: keys in the HSM, certificates, registry, audit log",
		Long: `init makes what a station is founded on, in a new or empty directory: root, issuing CA
and audit key in the HSM, their certificates, the verifier's endpoint, the registry and the
first entries of the audit log. Without --config it makes a demonstration station, with a
SoftHSM token inside the directory and emulated boards allowed.

It never overwrites. It proves that the directory can be used before it opens the HSM. An init that was
stopped names each key that stays on the token; the same command goes on with these keys.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals...)
			context.AfterFunc(ctx, stop) // a second signal ends the program at once
			defer stop()
			return c.init(ctx, config)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration file (default: the demonstration's)")
	return cmd
}

func (c *command) init(ctx context.Context, configPath string) (err error) {
	place, err := workdir.New(c.dir)
	if err != nil {
		return err
	}
	plan, err := ceremony.ReadPlan(configPath)
	if err != nil {
		return reason.Usage(err)
	}
	made, err := plan.Init(ctx, place)
	if err != nil {
		return err
	}
	c.printSummary(place, plan, made)
	return nil
}

// printSummary prints the new station's certificates and keys, for an operator to compare and an auditor to note.
func (c *command) printSummary(dir workdir.Dir, plan *ceremony.Plan, made *ceremony.Made) {
	fmt.Fprintf(c.stdout, "station %q is ready in %s\n\n", plan.Config.Station, dir)
	for _, row := range []struct {
		what, path  string
		certificate *x509.Certificate
	}{{"root", dir.Root(), made.Root}, {"issuing CA", dir.Issuing(), made.Issuing}, {"verifier", dir.Server(), made.Server}} {
		fmt.Fprintf(c.stdout, "%-11s sha256 %x\n%-11s %s\n", row.what, sha256.Sum256(row.certificate.Raw), "", row.path)
	}
	fmt.Fprintf(c.stdout, "%-11s %s\n", "audit key", dir.AuditKey())
	if warning := ceremony.WithoutRevocation(made.Issuing); warning != "" {
		fmt.Fprintf(c.stdout, "\nWarning: %s.\n", warning)
	}
	if plan.Config.HSM.AllowSoftwareToken {
		fmt.Fprintln(c.stdout, "\n"+report.SoftwareWarning)
	}
	fmt.Fprintf(c.stdout, "\nNext: %s\n", plan.Next(dir))
}
