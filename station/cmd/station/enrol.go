package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/reason"
)

func (c *command) enrolCommand() *cobra.Command {
	var ask batch
	cmd := &cobra.Command{
		Use:   "enrol BOARD",
		Short: "Enrols one board",
		Long: `enrol gives one board its identity: BOARD is a bay of station.yaml, the path or the address (tcp://HOST:PORT,
rfc2217://HOST:PORT) of a serial port, or posix, qemu,
qemu-an521 or qemu-zephyr for the first emulated board of that kind.

With --rework a board that has an active certificate gets a new one, and the old one is superseded.

` + reason.ExitHelp,
		Args: oneBoard,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("rework") && strings.TrimSpace(ask.rework) == "" {
				return reason.Usage(errors.New("--rework: want the reason for which an active certificate is replaced"))
			}
			ask.bay = args[0]
			return c.batch(cmd.Context(), &ask)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&ask.rework, "rework", "", "reason for which an active certificate is replaced")
	flags.StringVar(&ask.order, "order", "", "work order that the board is counted for")
	flags.StringVar(&ask.jsonl, "jsonl", "", "write one JSON line for the Run to this file; - is standard output")
	flags.StringVar(&ask.progress, "progress", "plain", "auto, plain or none; goes to standard error")
	ask.emulationFlags(cmd)
	return cmd
}

// oneBoard refuses a call that names no board, or more than one board.
func oneBoard(_ *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return errors.New("BOARD is missing: want the path of a serial port such as /dev/ttyACM0, or posix, qemu, qemu-an521 or qemu-zephyr")
	case 1:
		return nil
	}
	return fmt.Errorf("got %s, want one; use `station batch` for more than one", reason.Count(len(args), "board", "boards"))
}
