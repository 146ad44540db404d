package auditor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	question := &pflag.FlagSet{}
	cmd := &cobra.Command{
		Use:   "affected",
		Short: "Lists the boards that a question is about, such as those with a certain firmware",
		Long: `affected counts and lists the boards that fit all the given flags, from the record of the station. The
answer names the newest checkpoint. With --out it also writes a bundle with the question, all entries of
the Runs and what happened to their certificates later, each with its proof. views/boards.csv in it is the list, with
serial numbers, up to that checkpoint: where the column "covered" of the printed list is false, something about the Run, its certificate or
its board lies behind that checkpoint. auditcheck, or the script check.py inside of the bundle, checks it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q.Since, q.Until, err = parseSpan("--from", since, until)
			if err = errors.Join(err, form.check(), checkQuestion(&q)); err != nil {
				return reason.Usage(err)
			}
			if sign && out == "" {
				return reason.Usage(errors.New("--sign signs the bundle of --out, which is missing"))
			}
			return c.answer(cmd, q, form, instance.Export{Out: out, Question: &q, Asked: asked("station affected", question), Sign: sign, Archives: archives})
		},
	}
	question.StringVar(&q.Firmware, "firmware", "", "version, or SHA-256 of the image, as the boards reported it")
	question.StringVar(&q.Key, "key", "", "SHA-256 of the public key of a board (SPKI)")
	question.StringVar(&q.HSM, "hsm", "", "serial number of the token that signed a certificate of the board")
	question.StringVar(&q.Operator, "operator", "", "operator of the Run")
	question.StringVar(&q.Profile, "profile", "", "SHA-256 of the profile of a certificate")
	question.StringVar(&q.Order, "order", "", "work order of the Run")
	question.StringVar(&since, "from", "", "Runs that began at this time or later (2026-11-28, or 2026-11-28T07:00:00Z)")
	question.StringVar(&until, "until", "", "Runs that began before this time")
	flags := cmd.Flags()
	flags.AddFlagSet(question)
	flags.StringVar(&out, "out", "", "new directory, or new FILE.tar, for the bundle")
	signFlag(flags, &sign)
	archiveFlag(flags, &archives)
	form.flags(flags)
	return cmd
}

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// plainDigest gives a SHA-256 as the record has it. Other tools write it with a prefix, capitals or colons.
func plainDigest(text string) (digest string, ok bool) {
	digest = strings.ToLower(text)
	for _, prefix := range []string{"sha256:", "sha-256:"} {
		digest = strings.TrimPrefix(digest, prefix)
	}
	digest = strings.ReplaceAll(digest, ":", "")
	return digest, sha256Form.MatchString(digest)
}

// versionSize is the size of the longest version of a firmware, in octets (PROTOCOL.md).
const versionSize = 24

// checkQuestion refuses a question without any flag, and a digest that none has: an empty answer
// would look like a correct one.
func checkQuestion(q *registry.Question) error {
	if *q == (registry.Question{}) {
		return errors.New("name what the boards have in common; see `station affected --help`")
	}
	for name, value := range map[string]*string{"--key": &q.Key, "--profile": &q.Profile} {
		digest, ok := plainDigest(*value)
		if *value != "" && !ok {
			return fmt.Errorf("%s %q: want a SHA-256, 64 hexadecimal digits", name, *value)
		}
		*value = digest
	}
	if digest, ok := plainDigest(q.Firmware); ok {
		q.Firmware = digest
	} else if len(q.Firmware) > versionSize || strings.HasPrefix(strings.ToLower(q.Firmware), "sha") && strings.Contains(q.Firmware, ":") {
		return fmt.Errorf("--firmware %q: want a version, or a SHA-256, 64 hexadecimal digits", q.Firmware)
	}
	return nil
}

func (c *Commands) answer(cmd *cobra.Command, q registry.Question, form format, export instance.Export) error {
	ctx := cmd.Context()
	if export.Out != "" {
		if _, err := c.newBundle(export.Out); err != nil {
			return err
		}
	}
	says := c.Stdout
	if form.json || form.csv {
		says = cmd.ErrOrStderr() // programs read the rows from stdout
	}
	err := c.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error { return c.printAnswer(ctx, reader, q, form, says) })
	if err != nil || export.Out == "" {
		return err
	}
	return c.report(ctx, export, says)
}

// printAnswer prints the list, and says beside it what the list rests on, and what it lacks.
func (c *Commands) printAnswer(ctx context.Context, reader *registry.Reader, q registry.Question, form format, says io.Writer) error {
	rows, err := reader.Affected(ctx, q)
	if err != nil {
		return err
	}
	note, err := reader.LastCheckpoint(ctx)
	if err != nil {
		return err
	}
	behind, err := reader.BehindCheckpoint(ctx)
	if err != nil {
		return err
	}
	l, boards, newer := affectedList(rows, behind)
	hint := ""
	if len(rows) == 0 {
		if hint, err = unknownNames(ctx, reader, &q); err != nil {
			return err
		}
	}
	if newer > 0 {
		hint += fmt.Sprintf("%s not covered: something about the Run, its certificate or its board lies behind the newest checkpoint, and is not in a bundle; the next start or end of the station signs a checkpoint.\n",
			reason.Count(newer, "of these rows is", "of these rows are"))
	}
	if err := form.print(c.Stdout, l); err != nil {
		return err
	}
	if form.json || form.csv {
		_, err = fmt.Fprint(says, hint)
		return err
	}
	_, err = fmt.Fprintf(says, "%s affected. %sThe newest checkpoint of the record:\n\n%s", reason.Count(boards, "board is", "boards are"), hint, note)
	return err
}

// affectedList gives the list of an answer, the number of its boards, and that of the rows that no checkpoint covers.
func affectedList(rows []registry.AffectedRow, behind *registry.Behind) (l list, boards, newer int) {
	l.columns = []string{"board_id", "purpose", "hardware_id", "board_type", "firmware", "firmware_sha256", "huk", "run", "begun", "operator", "order", "ending",
		"serial_number", "status", "profile", "profile_sha256", "covered"}
	seen := map[devices.BoardID]bool{}
	for i := range rows {
		r := &rows[i]
		seen[r.BoardID] = true
		covered := !behind.GoesOn(r)
		if !covered {
			newer++
		}
		l.add(r.BoardID.String(), r.Purpose.String(), r.HardwareID, r.Type, r.Firmware, r.FirmwareSHA256, r.HUK, r.Run, r.Begun, r.Operator, r.Order, string(r.Ending),
			r.Serial, r.Status, r.Profile, r.ProfileSHA256, strconv.FormatBool(covered))
	}
	return l, len(seen), newer
}

// unknownNames says which names of a question the record does not have, and what it has instead: zero boards
// for a mistyped name would look like a correct answer. The SHA-256 of a file is often not the one that a board computes
// over its image.
func unknownNames(ctx context.Context, reader *registry.Reader, q *registry.Question) (text string, err error) {
	for _, one := range []struct{ kind, asked string }{
		{registry.KindFirmware, q.Firmware}, {registry.KindOperator, q.Operator}, {registry.KindOrder, q.Order},
		{registry.KindProfile, q.Profile}, {registry.KindKey, q.Key}, {registry.KindHSM, q.HSM},
	} {
		if one.asked == "" {
			continue
		}
		names, err := reader.Names(ctx, one.kind, one.asked)
		if err != nil {
			return "", err
		}
		if !names.Has {
			text += fmt.Sprintf("The record has no %s %q. It has:\n%s", one.kind, one.asked, describeNames(&names))
		}
	}
	return text, nil
}

func describeNames(names *registry.Names) (text string) {
	for _, one := range names.Some {
		text += strings.TrimRight(fmt.Sprintf("  %s  %s", reason.Printable(one.Name), one.SHA256), " ") + "\n"
	}
	if len(names.Some) == 0 {
		text = "  none\n"
	}
	if names.More > 0 {
		text += fmt.Sprintf("  and %d more\n", names.More)
	}
	return text
}
