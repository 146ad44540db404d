package auditor

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station/instance"
	"hallmark/station/reason"
)

// errIncomplete gives the exit code of a definition that lacks something.
var errIncomplete = errors.New("the board definition is not complete")

func (c *Commands) checkBoard() *cobra.Command {
	var print bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Says what a board definition lacks; needs no station",
		Long: `check reads a board definition, or an embedded one by its name, and says in words what it lacks: a value that a step
needs, an image that is not there, a hash that differs, a script that the OpenOCD of this machine lacks. Exit code 0: nothing is missing. 1: something is missing. 3: the file
cannot be used at all.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if print {
				return c.printBoard(args[0])
			}
			return c.checkDefinition(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVar(&print, "print", false, "print the definition, as the beginning of one of your own")
	return cmd
}

func (c *Commands) printBoard(name string) error {
	text, err := configs.BoardText(name, ".")
	if err != nil {
		return reason.Usage(err)
	}
	_, err = c.Stdout.Write(text)
	return err
}

func (c *Commands) checkDefinition(ctx context.Context, name string) error {
	board, err := configs.LoadBoard(name, ".")
	if err != nil {
		return reason.Usage(err)
	}
	scripts, note := instance.Scripts(ctx, board)
	found := append(board.Missing(), scripts...)
	writeFindings(c.Stdout, board, found)
	facts, doubt := instance.ImageFacts(board)
	for _, line := range [][2]string{{"note", facts}, {"warning", doubt}, {"note", note}} {
		if line[1] != "" {
			fmt.Fprintf(c.Stdout, "%-8s %s\n", line[0], reason.Printable(line[1]))
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("%s: %w: %s", board.Name, errIncomplete, reason.Count(len(found), "value", "values"))
	}
	return nil
}

func writeFindings(w io.Writer, board *configs.Board, found []configs.Finding) {
	fmt.Fprintf(w, "%s: %s\nstatus: %s\n", board.Name, reason.Printable(board.Description), reason.Printable(board.Status))
	for _, finding := range found {
		fmt.Fprintf(w, "missing  %s\n         next: %s\n", reason.Printable(finding.Key+": "+finding.Text), reason.Printable(finding.Next))
	}
	for _, key := range board.WithoutSource() {
		fmt.Fprintf(w, "note     %s has no source: write under sources where the value comes from\n", key)
	}
	if len(found) == 0 {
		fmt.Fprintln(w, "nothing is missing")
	}
}
