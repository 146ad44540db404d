package auditor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hallmark/station/evidence"
	"hallmark/station/evidence/html"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) export() *cobra.Command {
	var export instance.Export
	var selected selection
	filters := &pflag.FlagSet{}
	cmd := &cobra.Command{
		Use:   "export --out DIR|FILE.tar",
		Short: "Writes an evidence bundle that a stranger can check without the station",
		Long: `export writes the audit log up to its newest checkpoint, the certificates and readable views into a
new directory, or into a new tar file if the name ends in .tar. It needs no HSM and no PIN, and works
while the station does. Entries after the newest checkpoint are not in the bundle.

With a filter the bundle has the selected entries only, each with a proof (C2SP tlog-proof) that it is
in the log. Such a bundle does not show that no further entry fits the filter.

auditcheck, or the script check.py inside of the bundle, checks it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if export.Selection, err = selected.parse(); err != nil {
				return reason.Usage(err)
			}
			export.Asked = asked("station audit export", filters)
			return c.report(cmd.Context(), export, c.Stdout)
		},
	}
	cmd.Flags().StringVar(&export.Out, "out", "", "new directory, or new FILE.tar (required)")
	signFlag(cmd.Flags(), &export.Sign)
	langFlag(cmd.Flags(), &export.Language)
	archiveFlag(cmd.Flags(), &export.Archives)
	selected.flags(filters)
	cmd.Flags().AddFlagSet(filters)
	return cmd
}

func (c *Commands) proof() *cobra.Command {
	var export instance.Export
	var selected selection
	names := &pflag.FlagSet{}
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
			if chosen.Serial != "" {
				if chosen, err = c.ofSerial(cmd.Context(), chosen.Serial); err != nil {
					return err
				}
			}
			export.Selection, export.Asked = chosen, asked("station audit proof", names)
			return c.report(cmd.Context(), export, c.Stdout)
		},
	}
	signFlag(cmd.Flags(), &export.Sign)
	archiveFlag(cmd.Flags(), &export.Archives)
	cmd.Flags().StringVarP(&export.Out, "out", "o", "", "new directory, or new FILE.tar (required)")
	names.StringVar(&selected.board, "board", "", "BoardID of the board")
	names.StringVar(&selected.chosen.Serial, "serial", "", "serial number of a certificate of the board (32 hexadecimal digits)")
	cmd.Flags().AddFlagSet(names)
	return cmd
}

// ofSerial selects the board that has, or had, a certificate. Entries that name the serial number are only some of those about the board.
func (c *Commands) ofSerial(ctx context.Context, serial string) (chosen registry.Selection, err error) {
	err = c.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
		chosen.BoardID, err = reader.BoardOf(ctx, serial)
		return err
	})
	return chosen, err
}

// asked gives the question of a part: the command, and those of its flags that were given.
func asked(command string, flags *pflag.FlagSet) evidence.Question {
	given := map[string]string{}
	flags.VisitAll(func(f *pflag.Flag) { // Visit would look only at what this set has parsed
		if f.Changed {
			given[f.Name] = f.Value.String()
		}
	})
	return evidence.Question{Command: command, Flags: given}
}

// langFlag adds the flag for the language of the report.
func langFlag(flags *pflag.FlagSet, language *string) {
	flags.StringVar(language, "lang", "en", "language of report.html: "+strings.Join(html.Languages(), " or "))
}

// signFlag adds the flag for a bundle that the audit key signs.
func signFlag(flags *pflag.FlagSet, sign *bool) {
	flags.BoolVar(sign, "sign", false, "have the audit key sign the files of the bundle, too (detached CMS); this opens the HSM")
}

// report has a bundle written, and says what is in it, and what is not.
func (c *Commands) report(ctx context.Context, export instance.Export, says io.Writer) (err error) {
	if export.Dir, err = c.newBundle(export.Out); err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(35)) // an export makes much garbage, and needs little memory
	made, err := export.Write(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(says, export.Out+": "+describe(&made))
	return err
}

// describe says what is in a bundle, and what is not.
func describe(made *instance.Exported) string {
	text := fmt.Sprintf("%s, root %v\n", reason.Count(made.Size, "entry", "entries"), made.Root)
	if made.Selected > 0 {
		text = fmt.Sprintf("%d of %s, each with its proof, root %v\n", made.Selected, reason.Count(made.Size, "entry", "entries"), made.Root)
	}
	if made.Beyond > 0 {
		text += fmt.Sprintf("%s beyond the newest checkpoint and not in the bundle; the next start or end of the station signs one\n",
			reason.Count(made.Beyond, "newer entry lies", "newer entries lie"))
	}
	if made.Signed {
		text += "The audit key has signed the files of the bundle.\n"
	} else {
		text += "The files of the bundle are not signed; the checkpoint is. With --sign the audit key signs the files, too.\n"
	}
	if made.Low {
		text += "Warning: " + instance.ErrLowRoom.Error() + "\n"
	}
	if made.NotOnRecord != nil {
		text += fmt.Sprintf("This export will not be on record, because the station directory cannot be written: %v\n", made.NotOnRecord)
	}
	return text
}
