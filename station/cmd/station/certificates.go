package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *command) certificatesCommand() *cobra.Command {
	group := group("certificates", "Writes certificate files from the registry")
	var out, board string
	var only registry.Filter
	export := &cobra.Command{
		Use:   "export --out DIR",
		Short: "Writes the active certificate of each board to a directory",
		Long: `export writes ID.pem and ID.chain.pem for each board with an active certificate, and ID.cose.pem and
ID.cose.chain.pem for its COSE key. It reads them from the registry, needs no HSM and no PIN, and works
while the station does. A file that has the right content already is not written.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFilter(cmd, &only, board); err != nil {
				return reason.Usage(err)
			} else if out == "" {
				return reason.Usage(errors.New("--out is missing: name the directory for the certificates"))
			}
			return c.boards(cmd.Context(), only, func(ctx context.Context, reader *registry.Reader, only registry.Filter) error {
				return report.Export(ctx, c.stdout, workdir.Dir(c.dir), reader, out, only.BoardID)
			})
		},
	}
	export.Flags().StringVar(&out, "out", "", "directory for the files; made if it does not exist (required)")
	export.Flags().StringVar(&board, "board", "", "only the certificates of the board with this BoardID")
	group.AddCommand(export)
	return group
}
