package auditor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hallmark/devices"
	"hallmark/station/export"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/report"
	"hallmark/station/workdir"
)

// pemFormat is the only format whose directory may exist: the files are brought up to date.
const pemFormat = "pem"

// A certificateExport has the flags of `certificates export`.
type certificateExport struct {
	format, out        string
	board, since, till string
	only               registry.ActiveFilter
}

func (c *Commands) exportCertificates() *cobra.Command {
	var x certificateExport
	cmd := &cobra.Command{
		Use:   "export --out DIR|FILE",
		Short: "Writes the active certificates for people, clouds or C firmware",
		Long: `export writes the active certificates from the registry. It needs no HSM, no PIN and no network, and works
while the station does. What a service needs beside the file is in docs/exports.md.

Formats:
` + formatTexts(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := x.parse(); err != nil {
				return reason.Usage(err)
			}
			return c.WithReader(cmd.Context(), func(dir workdir.Dir, reader *registry.Reader) error {
				return c.exportTo(cmd.Context(), &x, dir, reader)
			})
		},
	}
	x.flags(cmd.Flags())
	return cmd
}

func (x *certificateExport) flags(flags *pflag.FlagSet) {
	flags.StringVar(&x.format, "format", pemFormat, "form of the files; see above")
	flags.StringVar(&x.out, "out", "", "new file or new directory, whatever the format writes; with pem the directory may exist (required)")
	flags.StringVar(&x.board, "board", "", "only the certificates of the board with this BoardID")
	flags.StringVar(&x.only.Order, "order", "", "only certificates that were issued for this work order")
	flags.StringVar(&x.since, "since", "", "only certificates issued at this time or later (2026-11-28, or 2026-11-28T07:00:00Z)")
	flags.StringVar(&x.till, "until", "", "only certificates issued before this time")
}

func formatTexts() string {
	text := "  pem           directory: ID.pem and ID.chain.pem for each board, ID.cose.pem and ID.cose.chain.pem for its COSE key\n"
	for _, f := range export.All() {
		text += fmt.Sprintf("  %-13s %s\n", f.Name, f.Text)
	}
	return strings.TrimSuffix(text, "\n")
}

func (x *certificateExport) parse() (err error) {
	if x.format != pemFormat {
		if _, err := export.Find(x.format); err != nil {
			return fmt.Errorf("--format %w", err)
		}
	}
	if x.out == "" {
		return errors.New("--out is missing: name the file or the directory for the certificates")
	}
	if x.board != "" {
		if x.only.BoardID, err = devices.ParseBoardID(x.board); err != nil {
			return fmt.Errorf("--board: %w", err)
		}
	}
	x.only.Since, x.only.Until, err = parseSpan("--since", x.since, x.till)
	return err
}

// exportTo writes the certificates, and says what it wrote.
func (c *Commands) exportTo(ctx context.Context, x *certificateExport, dir workdir.Dir, reader *registry.Reader) error {
	if err := dir.MayWrite(x.out); err != nil {
		return fmt.Errorf("--out %w", err)
	}
	if err := x.known(ctx, reader); err != nil {
		return reason.Usage(err)
	}
	text, err := x.write(ctx, dir, reader)
	if errors.Is(err, export.ErrEmpty) {
		return reason.Usage(fmt.Errorf("%s%w; see `station certificates list`", x.selected(), export.ErrEmpty))
	} else if err != nil {
		return fmt.Errorf("exporting certificates: %w", err)
	}
	_, err = fmt.Fprintln(c.Stdout, text)
	return err
}

// known refuses a work order and a board that the registry does not know.
func (x *certificateExport) known(ctx context.Context, reader *registry.Reader) error {
	if x.only.Order != "" {
		if _, err := reader.Order(ctx, x.only.Order); err != nil {
			return fmt.Errorf("--order %w", err)
		}
	}
	if x.only.BoardID.IsZero() {
		return nil
	}
	boards, err := reader.Boards(ctx, registry.Filter{BoardID: x.only.BoardID, Limit: 1})
	if err == nil && len(boards) == 0 {
		err = fmt.Errorf("--board %v: %w, so it has no active certificate", x.only.BoardID, registry.ErrUnknownBoard)
	}
	return err
}

// selected names the flags that select, for a message.
func (x *certificateExport) selected() (text string) {
	for _, flag := range [][2]string{{"board", x.board}, {"order", x.only.Order}, {"since", x.since}, {"until", x.till}} {
		if flag[1] != "" {
			text += fmt.Sprintf("--%s %s: ", flag[0], reason.Printable(flag[1]))
		}
	}
	return text
}

func (x *certificateExport) write(ctx context.Context, dir workdir.Dir, reader *registry.Reader) (text string, err error) {
	chain, err := readChain(dir)
	if err != nil {
		return "", err
	}
	if x.format == pemFormat {
		return x.writePEM(ctx, chain, reader)
	}
	format, err := export.Find(x.format)
	if err != nil {
		return "", err
	}
	wanted := *format
	wanted.Boardless = format.Boardless && x.selected() == "" // who selects boards wants some
	rows, written, err := wanted.Write(x.out, chain, func(visit func(*export.Row) error) error {
		return reader.EachActive(ctx, x.only, func(c registry.ActiveCertificate) error {
			row, err := export.NewRow(c)
			if err != nil {
				return err
			}
			return visit(row)
		})
	})
	does := "in"
	if format.Boardless {
		does = "checked for" // the file names none of them
	}
	text = fmt.Sprintf("%s %s %s", reason.Count(rows, "certificate", "certificates"), does, x.out)
	if !written {
		text += ", which has this content already"
	}
	return text, err
}

func readChain(dir workdir.Dir) (chain export.Chain, err error) {
	if chain.Issuing, err = workdir.ReadCertificate(dir.Issuing()); err != nil {
		return chain, err
	}
	chain.Root, err = workdir.ReadCertificate(dir.Root())
	return chain, err
}

func (x *certificateExport) writePEM(ctx context.Context, chain export.Chain, reader *registry.Reader) (string, error) {
	made, err := report.Certificates{Folder: x.out, Issuing: chain.Issuing.Raw}.Export(ctx, reader, x.only)
	if err == nil && made.All == 0 {
		err = export.ErrEmpty
	}
	text := fmt.Sprintf("%s in %s, %d of them written now", reason.Count(made.All, "certificate", "certificates"), x.out, made.Now)
	if made.Replaced > 0 {
		text += fmt.Sprintf(", %d in place of other content", made.Replaced)
	}
	return text, err
}
