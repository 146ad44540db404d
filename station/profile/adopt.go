package profile

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) adopt() *cobra.Command {
	var operator string
	cmd := &cobra.Command{
		Use:   "adopt FILE",
		Short: "Makes a profile the one of a station, on record",
		Long: `adopt checks a profile, or a shipped one by its name, as check does, copies it into the station directory and writes an
entry profile.adopted into the audit log. A station enrols boards only with profiles that were adopted. FILE may be
profile.yaml of the station itself, after it was edited. The purpose in the file says for which key the profile is.

The station must not run: a screen or a batch keeps the profiles with which it has started, and holds the registry. The
next start uses the new profile. Certificates that were issued before stay good. If the HSM opens without a person, it signs
a checkpoint over the adoption; otherwise the next start asks for ` + "`station accept-registry`" + `.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.adoptFile(cmd.Context(), args[0], operator) },
	}
	cmd.Flags().StringVar(&operator, "operator", instance.LocalUser(), "name of the person who does this, for the audit log")
	return cmd
}

func (c *Commands) adoptFile(ctx context.Context, file, operator string) error {
	if err := reason.CheckText(operator); err != nil {
		return reason.Usage(fmt.Errorf("--operator %w", err))
	}
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	v, adopting, err := c.examine(ctx, file)
	if err != nil {
		return err
	}
	if !v.Good {
		return errors.Join(v.write(c.Stdout), reason.Usage(fmt.Errorf("%s: %w, and was not adopted", file, errRefused)))
	}
	done, unsigned, err := adoptIn(ctx, dir, adopting, operator)
	err = c.printOutcome(done, err, adopting.Profile)
	if unsigned != "" {
		_, bad := fmt.Fprintln(c.Stdout, unsigned)
		err = errors.Join(err, bad)
	}
	return err
}

// printOutcome says how the adoption went.
func (c *Commands) printOutcome(done bool, err error, profile *issuance.Profile) error {
	switch {
	case errors.Is(err, registry.ErrLocked):
		return fmt.Errorf("%w; nothing was adopted: a station that runs keeps its profiles, so end it, adopt the profile, and start it again", err)
	case err != nil:
		return err
	case !done:
		_, err = fmt.Fprintf(c.Stdout, "profile %s is adopted already, and nothing was changed\n", profile.Name())
	default:
		_, err = fmt.Fprintf(c.Stdout, "profile %s is adopted, with the digest %x; the next start enrols boards with it\n", profile.Name(), profile.SHA256())
	}
	return err
}

func adoptIn(ctx context.Context, dir workdir.Dir, adopting *instance.Adoption, operator string) (done bool, unsigned string, err error) {
	files, err := instance.OpenFiles(dir, instance.Options{Adopting: adopting})
	if err != nil {
		return false, "", err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	record, err := files.OpenRecord(ctx)
	if err != nil {
		return false, "", err
	}
	done, err = record.Adopt(ctx, operator)
	unsigned, bad := record.CoverActs(ctx)
	return done, unsigned, errors.Join(err, bad)
}
