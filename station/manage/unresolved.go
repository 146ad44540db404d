package manage

import (
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/registry"
)

func (c *Commands) unresolved() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unresolved",
		Short: "Lists and closes serial numbers for which nobody knows whether the HSM has signed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reason.Usage(fmt.Errorf("no subcommand given; see `%s --help`", cmd.CommandPath()))
		},
	}
	cmd.AddCommand(c.Reader.ListUnresolved(), c.closeUnresolved())
	return cmd
}

func (c *Commands) closeUnresolved() *cobra.Command {
	var w which
	var ask operate.StatusChange
	var yes bool
	cmd := &cobra.Command{
		Use:   "close --board ID|--serial SERIAL|--order ID|--since TIME --reason TEXT",
		Short: "Closes unresolved serial numbers, after a preview; works while the station does",
		Long: `close revokes the unresolved serial numbers of the selection, so that a CRL has them: a certificate that the HSM has signed
after all is worth nothing. It shows them first. For more than one, a person types their number, or the command has --yes.
TEXT is what you have found out, such as in the log of the HSM; it is in the audit log, and nothing follows from it.
The report of a lot counts the board as revoked then, unless it has got another certificate.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.parse(); err != nil {
				return reason.Usage(err)
			}
			if err := reason.CheckText(ask.Reason); err != nil {
				return reason.Usage(fmt.Errorf("--reason %w", err))
			}
			ctx := cmd.Context()
			ask.Which = w.Which
			return c.certificateAct(ctx, certificateAct{operate.ActClose, "close", "unresolved serial number", "unresolved serial numbers",
				func(reader *registry.Reader) ([]registry.Revocable, error) { return reader.Unresolved(ctx, ask.Which) },
				"no serial number of the selection is unresolved; `station unresolved list` lists those that are"}, ask, yes)
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "what was found out, for the record (required)")
	cmd.Flags().BoolVar(&yes, "yes", false, "close without a question")
	operator(cmd, &ask.Operator)
	return cmd
}
