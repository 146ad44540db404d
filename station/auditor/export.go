package auditor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/evidence/html"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) export() *cobra.Command {
	var out, language string
	var selected selection
	cmd := &cobra.Command{
		Use:   "export --out DIR|FILE.tar",
		Short: "Writes an evidence bundle that a stranger can check without the station",
		Long: `export writes the audit log up to its newest checkpoint, the certificates and readable views into a
new directory, or into a new tar file if the name ends in .tar. It needs no HSM and no PIN, and works
while the station does. Entries after the newest checkpoint are not in the bundle.

With a filter the bundle has the selected entries only, each with a proof (C2SP tlog-proof) that it is
in the log. Such a bundle does not show that no further entry fits the filter.

auditcheck, or the script check.py inside of a whole bundle, checks it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := selected.parse()
			if err != nil {
				return reason.Usage(err)
			}
			return c.write(cmd.Context(), out, language, chosen)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "new directory, or new FILE.tar (required)")
	cmd.Flags().StringVar(&language, "lang", "en", "language of report.html: "+strings.Join(html.Languages(), " or "))
	selected.flags(cmd.Flags())
	return cmd
}

func (c *Commands) proof() *cobra.Command {
	var out string
	var selected selection
	cmd := &cobra.Command{
		Use:   "proof (--board ID | --serial S) --out DIR|FILE.tar",
		Short: "Writes the birth record of one board: its entries with proofs, and its certificates",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := selected.parse()
			if err == nil && chosen.BoardID.IsZero() == (chosen.Serial == "") {
				err = errors.New("name one board, with --board or with the --serial of its certificate")
			}
			if err != nil {
				return reason.Usage(err)
			}
			return c.write(cmd.Context(), out, "", chosen) // a part has no report
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "new directory, or new FILE.tar (required)")
	cmd.Flags().StringVar(&selected.board, "board", "", "BoardID of the board")
	cmd.Flags().StringVar(&selected.chosen.Serial, "serial", "", "serial number of a certificate of the board (32 hexadecimal digits)")
	return cmd
}

// write writes the bundle. A serial number alone stands for the board of the certificate.
func (c *Commands) write(ctx context.Context, out, language string, chosen registry.Selection) error {
	if out == "" {
		return reason.Usage(errors.New("--out is missing: want a new directory, or a new FILE.tar"))
	}
	return c.report(out, false, func(dir workdir.Dir) (instance.Exported, error) {
		return instance.Export(ctx, dir, out, language, chosen)
	})
}

// report has a bundle written, and says what is in it. Beside a list for programs it says
// nothing, because both go to the same output.
func (c *Commands) report(out string, quiet bool, export func(workdir.Dir) (instance.Exported, error)) error {
	if _, err := os.Lstat(out); err == nil {
		return reason.Usage(fmt.Errorf("--out %s: it exists already; name a new one", out))
	}
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	if err := dir.MayWrite(out); err != nil {
		return fmt.Errorf("--out %w", err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(50)) // an export makes much garbage, and needs little memory
	made, err := export(dir)
	if err != nil || quiet {
		return err
	}
	what := fmt.Sprintf("%d entries", made.Size)
	if made.Selected > 0 {
		what = fmt.Sprintf("%d of %d entries, each with its proof", made.Selected, made.Size)
	}
	fmt.Fprintf(c.Stdout, "%s: %s, root %v\n", out, what, made.Root)
	if made.Beyond > 0 {
		fmt.Fprintf(c.Stdout, "%d newer entries lie beyond the newest checkpoint and are not in the bundle; the next start or end of the station signs one\n", made.Beyond)
	}
	return nil
}
