package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (c *command) enrolCommand() *cobra.Command {
	var ask batch
	cmd := &cobra.Command{
		Use:   "enrol BOARD",
		Short: "Enrols one board",
		Long: `enrol gives one board its identity: BOARD is the path of a serial port, or posix, qemu,
qemu-an521 or qemu-zephyr for the first emulated board of that kind.

With --rework a board that has an active certificate gets a new one, and the old one is superseded.

` + exitHelp,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("rework") && strings.TrimSpace(ask.rework) == "" {
				return usage(errors.New("--rework: want the reason for which an active certificate is replaced"))
			}
			ask.boards = args[0]
			for _, m := range models {
				if args[0] == m.name {
					ask.boards += ":1"
				}
			}
			places, err := parsePlaces(ask.boards)
			if err != nil {
				return usage(fmt.Errorf("BOARD: %w", err))
			}
			if len(places) != 1 {
				return usage(fmt.Errorf("BOARD %q names %d boards; use `station batch` for more than one", args[0], len(places)))
			}
			return c.batch(cmd.Context(), &ask)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&ask.rework, "rework", "", "reason for which an active certificate is replaced")
	flags.StringVar(&ask.order, "order", "", "work order that the board is counted for")
	flags.StringVar(&ask.jsonl, "jsonl", "", "write one JSON line for the Run to this file")
	flags.StringVar(&ask.progress, "progress", "plain", "auto, plain or none; goes to standard error")
	flags.StringVar(&ask.firmware, "firmware", "", "build directory of the firmware of emulated boards")
	flags.StringVar(&ask.image, "image", "", imageHelp)
	flags.BoolVar(&ask.clock, "accept-clock", false, acceptClockHelp)
	return cmd
}
