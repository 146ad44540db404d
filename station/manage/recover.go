package manage

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

func (c *Commands) recover() *cobra.Command {
	var ask operate.Recover
	var board, firmware string
	var yes bool
	cmd := &cobra.Command{
		Use:   "recover BAY --reason TEXT",
		Short: "Has the probe of a bay erase the whole chip, with firmware, certificate and lock; asks before",
		Long: `recover erases the whole chip of the board in a bay and opens its debug port, whose state it then reads. The board itself, the certificate in its flash, or --board
says which board it is; the registry is asked before. A board with an active certificate is refused: revoke the certificate
or scrap the board first, or give --hold. recover shows what it would erase, and a person types the name of the bay, or the command has --yes.
The intent is on record before, and the end after. No other process may have the station open.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if board != "" {
				if ask.Board, err = devices.ParseBoardID(board); err != nil {
					return reason.Usage(fmt.Errorf("--board %w", err))
				}
			}
			if ask.Unknown && board != "" {
				return reason.Usage(errors.New("--board and --unknown-board: want one of them"))
			}
			return c.recoverIn(cmd.Context(), args[0], firmware, ask, yes)
		},
	}
	cmd.Flags().StringVar(&ask.Why, "reason", "", "why, for the record (required)")
	cmd.Flags().StringVar(&board, "board", "", "BoardID, as on the label of a board that does not answer")
	cmd.Flags().BoolVar(&ask.Unknown, "unknown-board", false, "erase also if nobody knows which board it is")
	cmd.Flags().BoolVar(&ask.Hold, "hold", false, "put a board with an active certificate on hold in the same act")
	cmd.Flags().BoolVar(&yes, "yes", false, "erase without a question")
	cmd.Flags().StringVar(&firmware, "firmware", "", "directory with the images of emulated boards")
	operator(cmd, &ask.Operator)
	return cmd
}

func (c *Commands) recoverIn(ctx context.Context, bay, firmware string, ask operate.Recover, yes bool) (err error) {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	bays, err := instance.SelectBay(dir, bay)
	if err != nil {
		return reason.Usage(err)
	}
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	source, err := files.Boards(bays, instance.Images{Folder: firmware})
	if err != nil {
		return err
	}
	record, err := files.OpenRecord(ctx)
	if err != nil {
		return err
	}
	state, err := operate.RecoverBoard(ctx, record, source, bays[0], ask, func(what string) error {
		if _, err := fmt.Fprintln(c.Stdout, reason.Printable(what)); err != nil {
			return err
		}
		return c.confirm(bays[0].Name, "erase the whole chip", yes)
	})
	unsigned, bad := record.CoverActs(ctx) // also of an erase that failed or was cut
	if err = errors.Join(err, bad); err == nil {
		read := "the state of its debug port was not read, because the driver cannot"
		if state != "" {
			read = fmt.Sprintf("its debug port was read as %s", state)
		}
		_, err = fmt.Fprintf(c.Stdout, "the chip in bay %s is erased, and %s; the next Run flashes the board\n", bays[0].Name, read)
	}
	if unsigned != "" {
		fmt.Fprintln(c.Stdout, unsigned)
	}
	return err
}
