// Package manual writes what a system knows of the program besides the program itself: manual pages, and the
// completion of a shell. Both come from the commands and their flags, so they are never out of date.
package manual

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Commands gives `completion` and `man`. Version stands in the pages.
func Commands(stdout io.Writer, version string) []*cobra.Command {
	return []*cobra.Command{completion(stdout), pages(version)}
}

// shells are the shells that have a completion.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
	"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
}

func completion(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Prints a script that lets a shell complete commands and flags",
		Long: `completion prints a script for a shell. For the shell that is open: source <(station completion bash). The Debian package
installs the scripts.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, known := shells[args[0]]
			if !known {
				return reason.Usage(fmt.Errorf("%q: want bash, zsh or fish", args[0]))
			}
			return write(cmd.Root(), stdout)
		},
	}
}

func pages(version string) *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use:    "man --out DIR",
		Short:  "Writes a manual page for each command",
		Hidden: true, // for those who make packages
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if folder == "" {
				return reason.Usage(fmt.Errorf("--out is missing: want a directory for the pages"))
			}
			return write(cmd.Root(), folder, version)
		},
	}
	cmd.Flags().StringVar(&folder, "out", "", "existing directory (required)")
	return cmd
}

// write writes a page for the command and for each command below it.
func write(cmd *cobra.Command, folder, version string) error {
	if cmd.Hidden || cmd.Name() == "help" {
		return nil
	}
	name := filepath.Join(folder, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
	if err := workdir.WriteFile(name, []byte(page(cmd, version))); err != nil {
		return fmt.Errorf("writing the manual page of %s: %w", cmd.CommandPath(), err)
	}
	for _, sub := range cmd.Commands() {
		if err := write(sub, folder, version); err != nil {
			return err
		}
	}
	return nil
}
