package manage

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

func (c *Commands) renewHub() *cobra.Command {
	var ask operate.Signing
	cmd := &cobra.Command{
		Use:   "renew-hub",
		Short: "Certifies the key with which the station signs in at the hub of the plant; works while the station does",
		Long: `renew-hub has the issuing CA in the HSM sign a TLS client certificate: pki/hub.pem, for pki/hub.key. If there is no key, the
command makes one, in a file that only the user of the station can read. It prints the SHA-256 of the key, which hub.yaml needs
once: a renewed certificate has the same key. A station that is open takes the new certificate at its next start.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.do(cmd.Context(), operate.ActRenewHub, ask) },
	}
	cmd.Flags().IntVar(&ask.Days, "days", instance.MaxOCSPDays, fmt.Sprintf("days until the certificate ends, %d to %d", instance.MinOCSPDays, instance.MaxOCSPDays))
	operator(cmd, &ask.Operator)
	return cmd
}

func (c *Commands) hub() *cobra.Command {
	return &cobra.Command{
		Use:   "hub --dir D",
		Short: "Shows how many entries of the audit log the hub has not taken, and what the hub has found",
		Long: `hub shows what the hub of the plant said last: how many entries of the audit log it has taken, and its open findings about this
station. A station that is open sends its log by itself. The command needs neither HSM nor network.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.showHub(cmd.Context()) },
	}
}

func (c *Commands) showHub(ctx context.Context) (err error) {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	reader, err := instance.OpenReader(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	waiting, findings, err := instance.HubState(ctx, dir, reader)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, reason.Count(waiting, "entry waits for the hub", "entries wait for the hub"))
	for _, f := range findings {
		fmt.Fprintf(c.Stdout, "finding %d, %s: %s %s\n", f.ID, reason.Printable(f.Kind), reason.Printable(f.Text), reason.Printable(f.Board+f.Subject))
	}
	return nil
}
