package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

func (c *command) certificatesCommand() *cobra.Command {
	group := group("certificates", "Writes certificate files from the registry")
	var out, board string
	export := &cobra.Command{
		Use:   "export --out DIR",
		Short: "Writes the active certificate of each board to a directory",
		Long: `export writes ID.pem and ID.chain.pem for each board with an active certificate, and ID.cose.pem and
ID.cose.chain.pem for its COSE key. It reads them from the registry, needs no HSM and no PIN, and works
while the station does. A file that has the right content already is not written.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			var only devices.BoardID
			if out == "" {
				return reason.Usage(errors.New("--out is missing: name the directory for the certificates"))
			}
			if cmd.Flags().Changed("board") {
				if only, err = devices.ParseBoardID(board); err != nil {
					return reason.Usage(fmt.Errorf("--board: %w", err))
				}
			}
			return c.exportCertificates(cmd.Context(), out, only)
		},
	}
	export.Flags().StringVar(&out, "out", "", "directory for the files; made if it does not exist (required)")
	export.Flags().StringVar(&board, "board", "", "only the certificates of the board with this BoardID")
	group.AddCommand(export)
	return group
}

func (c *command) exportCertificates(ctx context.Context, out string, only devices.BoardID) (err error) {
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return err
	}
	issuing, err := workdir.ReadCertificate(dir.Issuing())
	if err != nil {
		return err
	}
	reader, err := instance.OpenReader(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	all, written, err := report.Certificates{Folder: out, Issuing: issuing.Raw}.Export(ctx, reader, only)
	if err != nil {
		return fmt.Errorf("exporting certificates: %w", err)
	}
	if all == 0 && !only.IsZero() {
		return reason.Usage(fmt.Errorf("--board %v: the board has no active certificate; see `station boards`", only))
	}
	_, err = fmt.Fprintf(c.stdout, "%d certificates in %s, %d of them written now\n", all, out, written)
	return err
}
