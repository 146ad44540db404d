package renewal

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/devices/update"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Commands are the commands of one program.
type Commands struct {
	Dir    *string // the station directory, known when a command runs
	Stdout io.Writer
}

// asked are the flags of the command.
type asked struct{ file, certificate, cose, chain, anchor, signature, operator string }

// Command makes update files.
func (c *Commands) Command() *cobra.Command {
	var a asked
	cmd := &cobra.Command{
		Use:   "renew BOARD --file FILE",
		Short: "Makes the update file that gives a board in the field another certificate, chain or trust anchor",
		Long: `renew makes an update file for one board. The board may be sealed, and may have a product's image. The file is signed with the key of
the trust anchor, because a board in the field knows no other key. If that key is not on the token of the station, renew writes
FILE.manifest and FILE.unsigned instead. Sign the manifest where the key is:

    openssl dgst -sha256 -sign root.key -out FILE.signature FILE.manifest

Then give the same command with --signature FILE.signature and without certificates. Any SMP client can deliver the file (PROTOCOL.md section 4,
"update"). A board takes each file once, and none that is older than the last one. It needs the station to itself.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			context.AfterFunc(ctx, stop) // a second signal ends the program at once
			defer stop()
			id, err := devices.ParseBoardID(args[0])
			if err != nil {
				return reason.Usage(err)
			}
			return c.renew(ctx, id, a)
		},
	}
	cmd.Flags().StringVar(&a.file, "file", "", "the update file to write (required)")
	cmd.Flags().StringVar(&a.certificate, "certificate", "", "`FILE` with another certificate for the TLS key of the board, PEM")
	cmd.Flags().StringVar(&a.cose, "cose", "", "`FILE` with another certificate for the COSE key")
	cmd.Flags().StringVar(&a.chain, "chain", "", "`FILE` with another issuing CA; needs --certificate")
	cmd.Flags().StringVar(&a.anchor, "anchor", "", "`FILE` with another trust anchor; needs --certificate, and --chain unless it issues directly")
	cmd.Flags().StringVar(&a.signature, "signature", "", "`FILE` with the signature that was made elsewhere over FILE.manifest")
	cmd.Flags().StringVar(&a.operator, "operator", instance.LocalUser(), "name of the person who does this, for the audit log")
	return cmd
}

func (c *Commands) renew(ctx context.Context, id devices.BoardID, a asked) error {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	if a.file == "" {
		return reason.Usage(errors.New("--file is missing: name the update file to write"))
	}
	if err := errors.Join(dir.MayWrite(a.file), workdir.InFolder(a.file)); err != nil {
		return err
	}
	if a.signature != "" {
		return c.finish(ctx, dir, id, a)
	}
	objects, err := a.objects()
	if err != nil {
		return reason.Usage(err)
	}
	made, err := Make(ctx, dir, id, objects, a.operator)
	if err != nil {
		return err
	}
	if !made.Unsigned {
		return c.write(a.file, made)
	}
	if err := errors.Join(workdir.WriteFile(a.file+".unsigned", made.Octets), workdir.WriteFile(a.file+".manifest", made.Signed)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "the key of the trust anchor is not on this token: have %s.manifest signed where the key is\n"+
		"next: openssl dgst -sha256 -sign root.key -out %[1]s.signature %[1]s.manifest; then `station renew %s --file %[1]s --signature %[1]s.signature`\n", a.file, id)
	return err
}

func (c *Commands) finish(ctx context.Context, dir workdir.Dir, id devices.BoardID, a asked) error {
	unsigned, err := workdir.ReadInput(a.file+".unsigned", workdir.MaxFile)
	if err != nil {
		return reason.Usage(err)
	}
	signature, err := workdir.ReadInput(a.signature, workdir.MaxFile)
	if err != nil {
		return reason.Usage(err)
	}
	if draft, err := update.Resume(unsigned); err != nil {
		return reason.Usage(err)
	} else if devices.BoardID(draft.Manifest.Board) != id {
		return reason.Usage(fmt.Errorf("%w: %s.unsigned is for %s, not %s", devices.ErrUpdateElsewhere, a.file, devices.BoardID(draft.Manifest.Board), id))
	}
	made, open, err := Finish(ctx, dir, unsigned, signature, a.operator)
	if err == nil {
		err = c.write(a.file, made)
	}
	if open != "" {
		fmt.Fprintln(c.Stdout, open)
	}
	return err
}

func (c *Commands) write(file string, made Made) error {
	if err := errors.Join(workdir.WriteFile(file, made.Octets), workdir.Sync(file)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.Stdout, "%s renews %s of board %s, counter %d, %d octets\n", file, made.Manifest.Names(), devices.BoardID(made.Manifest.Board),
		made.Manifest.Counter, len(made.Octets))
	return err
}

// objects reads the files with certificates.
func (a asked) objects() (o Objects, err error) {
	for _, one := range []struct {
		flag, path string
		to         **x509.Certificate
	}{{"anchor", a.anchor, &o.Anchor}, {"chain", a.chain, &o.Chain}, {"certificate", a.certificate, &o.Certificate}, {"cose", a.cose, &o.COSE}} {
		if one.path == "" {
			continue
		}
		if *one.to, err = workdir.ReadCertificate(one.path); err != nil {
			return o, fmt.Errorf("--%s: %w", one.flag, err)
		}
	}
	return o, nil
}
