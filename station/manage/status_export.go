package manage

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
)

func (c *Commands) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Gives the status of all certificates to verifiers on other hosts; works while the station does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reason.Usage(fmt.Errorf("no subcommand given; see `%s --help`", cmd.CommandPath()))
		},
	}
	cmd.AddCommand(c.statusExport())
	return cmd
}

func (c *Commands) statusExport() *cobra.Command {
	var ask operate.StatusExport
	cmd := &cobra.Command{
		Use:   "export --out FILE",
		Short: "Signs a file with the status of all certificates, for `verifier --status`; works while the station does",
		Long: `export signs a status bundle with the key of the issuing CA in the HSM, and writes it to FILE in one step. The bundle has
serial number, SHA-256, BoardID, purpose and status of each certificate of this station, 66 octets each
(docs/verifier.md). Copy it to the host of the verifier under another name, and give it its name there with mv: the verifier takes it
within a second. Its number grows with each bundle, and verifiers refuse an older one. After its next update they
refuse boards, so make it from a timer, and after each revocation.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if ask.Out == "" {
				return reason.Usage(errors.New("--out is missing: name the file for the status bundle"))
			}
			if ask.Out, err = filepath.Abs(ask.Out); err != nil {
				return reason.Usage(fmt.Errorf("--out: %w", err))
			}
			return c.do(cmd.Context(), operate.ActStatus, ask)
		},
	}
	cmd.Flags().StringVar(&ask.Out, "out", "", "file for the status bundle; an older bundle there is replaced (required)")
	cmd.Flags().IntVar(&ask.Days, "days", 7, fmt.Sprintf("days until the next bundle, %d to %d", instance.MinCRLDays, instance.MaxCRLDays))
	operator(cmd, &ask.Operator)
	return cmd
}
