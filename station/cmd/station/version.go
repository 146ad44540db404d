package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/hsm"
	"hallmark/station"
	"hallmark/station/workdir"
)

// versionFlag gives the root command --version, which comes before everything else that the command does.
func (c *command) versionFlag(root *cobra.Command) {
	asked := root.Flags().Bool("version", false, "say version, commit, Go and, with --dir, the PKCS#11 module in use, and end")
	begin := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if !*asked {
			return begin(cmd, args)
		}
		module := moduleFound()
		if c.dir != "" {
			module = moduleOf(cmd.Context(), c.dir)
		}
		_, err := fmt.Fprint(c.stdout, station.ThisBuild().Text("station", module))
		return err
	}
}

// moduleFound says where SoftHSM is, which a station has unless its configuration names another module.
func moduleFound() string {
	config := configs.Default()
	config.HSM.Module = "softhsm2"
	token, err := config.Token("", workdir.Exists)
	if err != nil {
		return "SoftHSM is not installed"
	}
	return token.Module
}

// moduleOf names the module of a station and its library's version. It asks for no PIN and logs in nowhere. What is
// wrong is part of the answer: whoever asks for a version often has a broken station.
func moduleOf(ctx context.Context, dir string) string {
	token, err := tokenOf(dir)
	if err != nil {
		return "unknown, " + err.Error()
	}
	library, err := hsm.Library(ctx, token)
	if err != nil {
		return token.Module + ", not usable: " + err.Error()
	}
	return token.Module + ", " + library
}

func tokenOf(path string) (hsm.Config, error) {
	dir, err := workdir.Existing(path)
	if err != nil {
		return hsm.Config{}, err
	}
	config, err := configs.Load(dir.Config())
	if err != nil {
		return hsm.Config{}, err
	}
	return config.Token(string(dir), workdir.Exists)
}
