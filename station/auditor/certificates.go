package auditor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *Commands) certificates() *cobra.Command {
	group := group("certificates", "Lists certificates, and writes certificate files from the registry")
	var out, board string
	var only registry.Filter
	export := &cobra.Command{
		Use:   "export --out DIR",
		Short: "Writes the active certificate of each board to a directory",
		Long: `export writes ID.pem and ID.chain.pem for each board with an active certificate, and ID.cose.pem and
ID.cose.chain.pem for its COSE key. It reads them from the registry, needs no HSM and no PIN, and works
while the station does. A file that has the right content already is not written.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFilter(cmd, &only, board); err != nil {
				return reason.Usage(err)
			} else if out == "" {
				return reason.Usage(errors.New("--out is missing: name the directory for the certificates"))
			}
			ctx := cmd.Context()
			return c.WithReader(ctx, func(dir workdir.Dir, reader *registry.Reader) error {
				if err := dir.MayWrite(out); err != nil {
					return fmt.Errorf("--out %w", err)
				}
				return report.Export(ctx, c.Stdout, dir, reader, out, only.BoardID)
			})
		},
	}
	export.Flags().StringVar(&out, "out", "", "directory for the files; made if it does not exist (required)")
	export.Flags().StringVar(&board, "board", "", "only the certificates of the board with this BoardID")
	group.AddCommand(export, c.listCertificates())
	return group
}

func (c *Commands) listCertificates() *cobra.Command {
	var only registry.Filter
	var board string
	var form format
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists every certificate and serial number: active, superseded, revoked, unresolved",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkFilter(cmd, &only, board), form.check()); err != nil {
				return reason.Usage(err)
			}
			ctx := cmd.Context()
			return c.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
				rows, err := reader.Certificates(ctx, only)
				if err != nil {
					return err
				}
				l := list{columns: []string{"serial_number", "board_id", "purpose", "profile", "status", "reason", "run", "not_before", "not_after", "intended", "changed", "certificate_sha256", "rework"}}
				for _, r := range rows {
					l.add(r.Serial, r.BoardID.String(), r.Purpose.String(), r.Profile, r.Status, r.Reason, r.Run, r.NotBefore, r.NotAfter, r.Intended, r.Changed, r.SHA256, strconv.FormatBool(r.Rework))
				}
				return form.print(c.Stdout, l)
			})
		},
	}
	cmd.Flags().StringVar(&board, "board", "", "only the certificates of the board with this BoardID")
	cmd.Flags().StringVar(&only.Status, "status", "", "only certificates that are one of "+strings.Join(certificateStatuses, ", "))
	cmd.Flags().IntVar(&only.Limit, "limit", 0, "at most that many rows (default: all)")
	form.flags(cmd.Flags())
	return cmd
}
