package auditor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/devices"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) affected() *cobra.Command {
	var q registry.Question
	var form format
	var since, until, out string
	var sign bool
	var archives []string
	cmd := &cobra.Command{
		Use:   "affected",
		Short: "Lists the boards that a question is about, such as those with a certain firmware",
		Long: `affected counts and lists the boards that fit all the given flags, from the record of the station. The
answer names the newest checkpoint. With --out it also writes a bundle with the entries that the
answer rests on, each with its proof; auditcheck checks the bundle.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q.Since, err = ParseTime("--from", since)
			if err == nil {
				q.Until, err = ParseTime("--until", until)
			}
			if err = errors.Join(err, form.check(), checkQuestion(&q)); err != nil {
				return reason.Usage(err)
			}
			if sign && out == "" {
				return reason.Usage(errors.New("--sign signs the bundle of --out, which is missing"))
			}
			return c.answer(cmd.Context(), q, form, instance.Export{Out: out, Question: &q, Sign: sign, Archives: archives})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Firmware, "firmware", "", "version, or SHA-256 of the image")
	flags.StringVar(&q.Key, "key", "", "SHA-256 of the public key of a board (SPKI)")
	flags.StringVar(&q.HSM, "hsm", "", "serial number of the token that signed a certificate of the board")
	flags.StringVar(&q.Operator, "operator", "", "operator of the Run")
	flags.StringVar(&q.Profile, "profile", "", "SHA-256 of the profile of a certificate")
	flags.StringVar(&q.Order, "order", "", "work order of the Run")
	flags.StringVar(&since, "from", "", "Runs that began at this time or later (2026-11-28, or 2026-11-28T07:00:00Z)")
	flags.StringVar(&until, "until", "", "Runs that began before this time")
	flags.StringVar(&out, "out", "", "new directory, or new FILE.tar, for the bundle")
	signFlag(flags, &sign)
	archiveFlag(flags, &archives)
	form.flags(flags)
	return cmd
}

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkQuestion refuses a question without any flag, and a digest that none has.
func checkQuestion(q *registry.Question) error {
	if *q == (registry.Question{}) {
		return errors.New("name what the boards have in common; see `station affected --help`")
	}
	q.Key, q.Profile = strings.ToLower(q.Key), strings.ToLower(q.Profile)
	for name, digest := range map[string]string{"--key": q.Key, "--profile": q.Profile} {
		if digest != "" && !sha256Form.MatchString(digest) {
			return fmt.Errorf("%s %q: want a SHA-256, 64 hexadecimal digits", name, digest)
		}
	}
	return nil
}

func (c *Commands) answer(ctx context.Context, q registry.Question, form format, export instance.Export) error {
	err := c.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
		rows, err := reader.Affected(ctx, q)
		if err != nil {
			return err
		}
		note, err := reader.LastCheckpoint(ctx)
		if err != nil {
			return err
		}
		l := list{columns: []string{"board_id", "purpose", "hardware_id", "board_type", "firmware", "firmware_sha256", "huk", "run", "begun", "operator", "order", "ending",
			"serial_number", "status", "profile", "profile_sha256"}}
		boards := map[devices.BoardID]bool{}
		for _, r := range rows {
			boards[r.BoardID] = true
			l.add(r.BoardID.String(), r.Purpose.String(), r.HardwareID, r.Type, r.Firmware, r.FirmwareSHA256, r.HUK, r.Run, r.Begun, r.Operator, r.Order, string(r.Ending),
				r.Serial, r.Status, r.Profile, r.ProfileSHA256)
		}
		if err := form.print(c.Stdout, l); err != nil || form.json || form.csv {
			return err
		}
		_, err = fmt.Fprintf(c.Stdout, "%s affected. The newest checkpoint of the record:\n\n%s", reason.Count(len(boards), "board is", "boards are"), note)
		return err
	})
	if err != nil || export.Out == "" {
		return err
	}
	return c.report(ctx, export, form.json || form.csv)
}
