// Package profile has the commands about certificate profiles: they show a shipped profile, check a profile before it is
// used, and adopt it on record. Only adopt writes, and no command needs the HSM or a PIN; adopt
// has its entry signed where the HSM opens without a person.
package profile

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Commands are the commands of one program.
type Commands struct {
	Dir    *string // the station directory, known when a command runs
	Stdout io.Writer
}

// Command returns the command that has the others.
func (c *Commands) Command() *cobra.Command {
	cmd := &cobra.Command{Use: "profile", Short: "Shows, checks and adopts certificate profiles", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return reason.Usage(fmt.Errorf("no subcommand given; see `%s --help`", cmd.CommandPath()))
	}}
	cmd.AddCommand(c.show(), c.check(), c.adopt())
	return cmd
}

func (c *Commands) show() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME]",
		Short: "Prints a shipped profile, as the beginning of one of your own; without a name it lists them",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := fmt.Fprintln(c.Stdout, strings.Join(configs.ProfileNames(), "\n"))
				return err
			}
			_, text, err := configs.ReadProfile(args[0])
			if err != nil {
				return reason.Usage(err)
			}
			_, err = c.Stdout.Write(text)
			return err
		},
	}
}

// errRefused gives the exit code of a profile that must not be used.
var errRefused = errors.New("the profile must not be used")

func (c *Commands) check() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Shows the certificate that a profile would make, and says what is wrong with it",
		Long: `check reads a profile, or a shipped one by its name, and shows the certificate that it would make for an example board, signed by
a key that is thrown away. It says in words what is wrong. With --dir the certificate is the one that this station would
make: the issuing CA must fit the profile and last as long. Nothing is written, and the HSM is not asked.

Exit code 0: no errors (warnings and notes do not count). 3: the profile must not be used.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.checkFile(cmd.Context(), args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return cmd
}

func (c *Commands) checkFile(ctx context.Context, file string, asJSON bool) error {
	v, _, err := c.examine(ctx, file)
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(c.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(v)
	} else {
		err = v.write(c.Stdout)
	}
	if err == nil && !v.Good {
		err = reason.Usage(fmt.Errorf("%s: %w", file, errRefused))
	}
	return err
}

// examine makes the view of a profile, and gives what would be adopted. A profile that is refused has only findings.
func (c *Commands) examine(ctx context.Context, file string) (*view, *instance.Adoption, error) {
	name, text, err := configs.ReadProfile(file)
	if err != nil {
		return nil, nil, reason.Usage(err)
	}
	profile, err := configs.ParseProfile(name, text)
	if err != nil {
		return refused(file, err), nil, nil
	}
	issuer, adopted, err := c.station(ctx, profile)
	if err != nil {
		return nil, nil, err
	}
	sample, err := profile.Sample(issuer, time.Now())
	if err != nil {
		return nil, nil, err
	}
	v := newView(file, profile, sample)
	v.Adopted = adopted
	return v, &instance.Adoption{Profile: profile, Text: text}, nil
}

// station gives the issuing CA of the station directory, and whether the profile is the one that was adopted there. Without --dir
// there is none.
func (c *Commands) station(ctx context.Context, profile *issuance.Profile) (issuer *x509.Certificate, adopted *bool, err error) {
	if *c.Dir == "" {
		return nil, nil, nil
	}
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return nil, nil, err
	}
	if issuer, err = workdir.ReadCertificate(dir.Issuing()); err != nil {
		return nil, nil, err
	}
	reader, err := instance.OpenReader(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	known, err := reader.KnowsAdoption(ctx)
	if err != nil {
		return nil, nil, reader.Why(err)
	}
	refusal := reader.Adopted(ctx, registry.ProfilesOf(profile))
	if refusal != nil && !errors.Is(refusal, registry.ErrProfileNotAdopted) {
		return nil, nil, reader.Why(refusal)
	}
	is := known && refusal == nil
	return issuer, &is, nil
}
