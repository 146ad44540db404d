package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"hallmark/station"
	"hallmark/station/auditor"
	"hallmark/station/card"
	"hallmark/station/config"
	"hallmark/station/manage"
	"hallmark/station/manual"
	"hallmark/station/profile"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/renewal"
	"hallmark/station/report"
	"hallmark/station/status"
	"hallmark/station/witness/serve"
)

// A command holds the values that all subcommands share: input, output, and the station
// directory.
type command struct {
	dir            string
	stdin          io.Reader
	stdout, stderr io.Writer
	out            io.Writer // stdout for commands that do not look after its reader
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	unix.Umask(0o077) // only the user of the station can read the files that the program makes
	// If the reader of the output has gone, writing returns an error. Without this line, SIGPIPE would end the program,
	// also when the last error is written: so this stays until the program ends.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	c := &command{stdin: stdin, stdout: stdout, stderr: stderr, out: report.UntilClosed(stdout)}
	root := c.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(c.stderr, "station: %s\n", reason.Printable(line)) // the error may quote a path or a board
		}
	}
	for _, next := range registry.WaysOut(err) {
		if !strings.Contains(err.Error(), next) {
			fmt.Fprintf(c.stderr, "station: next: %s\n", next)
		}
	}
	if behind, ok := c.stderr.(*report.Queue); ok {
		_ = behind.Flush() // there is no other place for its error
	}
	return codeOf(err)
}

func (c *command) root() *cobra.Command {
	var shown screen
	root := &cobra.Command{
		Use:           "station",
		Short:         "Gives the boards on a bench their identity",
		Long:          "station asks each board for a CSR, has it signed in the HSM, writes the certificate to\nthe board, resets it, and passes it when it did mutual TLS with what it holds.\n\n" + reason.ExitHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().NFlag() == 0 {
				return reason.Usage(fmt.Errorf("no subcommand given; see `station --help`"))
			}
			return c.tui(cmd.Context(), &shown)
		},
	}
	root.SetIn(c.stdin)
	root.SetOut(c.out)
	root.SetErr(c.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return reason.Usage(fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath()))
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&c.dir, "dir", "", "the station's state directory (required, except where a command says that it needs no station)")
	shown.flags(root)
	c.versionFlag(root)
	root.AddCommand(c.tuiCommand(), c.initCommand(), c.ceremonyCommand(), c.enrolCommand(), c.batchCommand(), c.baysCommand(),
		c.doctorCommand(), c.renewVerifierCommand(), c.acceptRegistryCommand(), c.backupCommand(), c.restoreCommand())
	root.AddCommand(c.auditor().All()...)
	root.AddCommand((&manage.Commands{Dir: &c.dir, Stdin: c.stdin, Stdout: c.out, Reader: c.auditor()}).All()...)
	serving := &status.Commands{Dir: &c.dir, Stdout: c.stdout, Stderr: c.stderr}
	root.AddCommand((&serve.Commands{Dir: &c.dir, Stdout: c.stdout, Stderr: c.stderr}).Command(), serving.Command(), serving.Verifier())
	root.AddCommand((&profile.Commands{Dir: &c.dir, Stdout: c.out}).Command(), (&config.Commands{Dir: &c.dir, Stdout: c.out}).Command(), (&card.Commands{Dir: &c.dir, Stdout: c.out}).Command(), (&renewal.Commands{Dir: &c.dir, Stdout: c.out}).Command())
	root.AddCommand(manual.Commands(c.stdout, station.ThisBuild().Version)...)
	markUsage(root)
	return root
}

// auditor has the commands that only read.
func (c *command) auditor() *auditor.Commands {
	return &auditor.Commands{Dir: &c.dir, Stdout: c.out}
}

// markUsage marks the errors about the arguments of a command, and of all its subcommands, as
// errors of usage.
func markUsage(cmd *cobra.Command) {
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return reason.Usage(fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath()))
		}
		return nil
	}
	for _, sub := range cmd.Commands() {
		markUsage(sub)
	}
}
