// Package auditor has the commands that read the record of a station: the audit log, boards,
// Runs and work orders, and the evidence that leaves the building. The commands need no HSM
// and no PIN. They work while the station does, on a medium that is read-only, and for another
// user who may read the files. Two things are different: audit archive opens the station, and
// --sign of an export opens the HSM.
package auditor

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Commands are the commands of one program.
type Commands struct {
	Dir    *string // the station directory, known when a command runs
	Stdout io.Writer
}

// All returns the commands.
func (c *Commands) All() []*cobra.Command {
	return []*cobra.Command{c.audit(), c.boards(), c.runs(), c.Orders("orders"), c.certificates(), c.affected()}
}

// group returns a command that only has subcommands.
func group(use, short string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return reason.Usage(fmt.Errorf("no subcommand given; see `%s --help`", cmd.CommandPath()))
	}}
}

// WithReader opens the registry of the station directory for reading, and calls do.
func (c *Commands) WithReader(ctx context.Context, do func(workdir.Dir, *registry.Reader) error) (err error) {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	reader, err := instance.OpenReader(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	return reader.Why(do(dir, reader))
}
