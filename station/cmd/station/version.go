package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station"
	"hallmark/station/instance"
)

// versionFlag adds --version to the root command. With --version the command does nothing else.
func (c *command) versionFlag(root *cobra.Command) {
	asked := root.Flags().Bool("version", false, "say version, commit, Go and the PKCS#11 module (with --dir, the one of that station and its version), and end")
	begin := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if !*asked {
			return begin(cmd, args)
		}
		module := instance.DefaultModule()
		if c.dir != "" {
			module = instance.ModuleOf(cmd.Context(), c.dir)
		}
		_, err := fmt.Fprint(c.out, station.ThisBuild().Text("station", module))
		return err
	}
}
