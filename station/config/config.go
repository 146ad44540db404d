// Package config has the commands about station.yaml: they check a file, show each value with its source, compare the file with
// the record, and print the JSON schema for editors. They only read, and need neither HSM nor PIN.
package config

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Commands are the commands of one program.
type Commands struct {
	Dir    *string // the station directory, known when a command runs
	Stdout io.Writer
}

// Command returns the command that has the others.
func (c *Commands) Command() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Checks, shows and compares station.yaml", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return reason.Usage(fmt.Errorf("no subcommand given; see `%s --help`", cmd.CommandPath()))
	}}
	cmd.AddCommand(c.check(), c.show(), c.diff(), c.schema())
	return cmd
}

var errOne = errors.New("want FILE or --dir D, and not both")

func (c *Commands) check() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE | --dir D",
		Short: "Checks a station.yaml, and names all its mistakes",
		Long: `check reads a station.yaml as a start does, and names all mistakes at once: line, key, what was expected, what to do.
With --dir it reads the one of a station, with the board definitions, recipes and images of its bays, and refuses a bay that a start
refuses. It asks no hardware: ` + "`station doctor`" + ` does.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == (*c.Dir != "") {
				return reason.Usage(errOne)
			}
			if len(args) == 1 {
				return c.checkFile(args[0])
			}
			return c.checkDir()
		},
	}
}

func (c *Commands) checkFile(path string) error {
	text, err := workdir.ReadInput(path, workdir.MaxFile)
	if err != nil {
		return reason.Usage(fmt.Errorf("reading the configuration: %w", err))
	}
	if _, err := configs.Parse(path, text); err != nil {
		return reason.Usage(err)
	}
	return c.good(path)
}

func (c *Commands) checkDir() error {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	config, err := configs.Load(dir.Config())
	if err != nil {
		return reason.Usage(err)
	}
	bays, err := instance.ConfiguredBays(dir, config)
	if err != nil {
		return reason.Usage(err)
	}
	if err := (&instance.Files{Dir: dir, Config: config}).CheckBays(bays); err != nil {
		return reason.Usage(fmt.Errorf("%s: %w", dir.Config(), err))
	}
	return c.good(dir.Config())
}

func (c *Commands) good(path string) error {
	_, err := fmt.Fprintf(c.Stdout, "%s has no mistakes\n", reason.Printable(path))
	return err
}

func (c *Commands) show() *cobra.Command {
	var effective bool
	cmd := &cobra.Command{
		Use:   "show --dir D [--effective]",
		Short: "Shows the keys of station.yaml, each with its value and its source",
		Long: `show prints each key that station.yaml has, with its value and its line. With --effective it prints all keys, also those that
have their default. Of the entries of a list, such as bays, it prints the keys that the file has.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.showAll(effective) },
	}
	cmd.Flags().BoolVar(&effective, "effective", false, "also the keys that are left out, with their defaults")
	return cmd
}

func (c *Commands) showAll(effective bool) error {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	all, _, err := settings(dir.Config())
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	for _, s := range all {
		source := "default"
		if s.Line > 0 {
			source = fmt.Sprintf("%s:%d", filepath.Base(dir.Config()), s.Line)
		}
		if s.Line > 0 || effective {
			fmt.Fprintf(table, "%s:\t%s\t# %s\n", s.Key, reason.Printable(s.Value), source)
		}
	}
	return table.Flush()
}

// settings reads a file once, because it may be a pipe, and gives its keys and its text.
func settings(path string) (all []configs.Setting, text []byte, err error) {
	if text, err = workdir.ReadInput(path, workdir.MaxFile); err != nil {
		return nil, nil, reason.Usage(fmt.Errorf("reading the configuration: %w", err))
	}
	if all, err = configs.Settings(path, text); err != nil {
		return nil, nil, reason.Usage(err)
	}
	return all, text, nil
}

func (c *Commands) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Prints the JSON schema of station.yaml, for the completion of an editor",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := c.Stdout.Write(configs.Schema())
			return err
		},
	}
}
