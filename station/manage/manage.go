// Package manage has the commands that change work orders, certificates and boards. Only a CRL, a proof and the
// certificate of the OCSP key need the HSM. While a screen or a batch has the station open, that process does what the command asks;
// otherwise the command opens the registry itself, and has a
// checkpoint signed over what it did if the HSM opens without a person.
package manage

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/auditor"
	"hallmark/station/control"
	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Commands are the commands of one program.
type Commands struct {
	Dir    *string // the station directory, known when a command runs
	Stdin  io.Reader
	Stdout io.Writer
	Reader *auditor.Commands
}

// All returns the commands.
func (c *Commands) All() []*cobra.Command {
	return []*cobra.Command{c.order(), c.revoke(), c.hold(), c.release(), c.scrap(), c.rework(), c.recover(), c.unresolved(), c.crl(), c.status(), c.prove(), c.renewOCSP(), c.renewHub(), c.hub(), c.migrate(), c.webhooks()}
}

// do does one action of operate.Acts, and prints its text.
func (c *Commands) do(ctx context.Context, name string, arguments any) error {
	text, err := c.ask(ctx, name, arguments)
	if text == "" {
		return err
	}
	for line := range strings.SplitSeq(text, "\n") { // another process has written the text
		if _, bad := fmt.Fprintln(c.Stdout, reason.Printable(line)); bad != nil {
			return errors.Join(err, bad)
		}
	}
	return err
}

// ask does one action of operate.Acts, in the process that has the station open, or here. A station
// that begins or ends at the same moment refuses with registry-locked, and the command can be given again.
func (c *Commands) ask(ctx context.Context, name string, arguments any) (string, error) {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return "", err
	}
	text, err := control.Ask(string(dir), name, arguments)
	if errors.Is(err, control.ErrAbsent) {
		text, err = here(ctx, dir, name, arguments)
	}
	return text, err
}

func here(ctx context.Context, dir workdir.Dir, name string, arguments any) (string, error) {
	octets, err := json.Marshal(arguments)
	if err != nil {
		return "", err
	}
	return onRecord(ctx, dir, func(record *instance.Record) (string, error) {
		var opened *instance.Keys
		acts := operate.Acts(record)
		maps.Copy(acts, operate.KeyActs(record, func(ctx context.Context) (*instance.Keys, error) {
			keys, err := record.OpenKeys(ctx, nil)
			if err == nil {
				err = keys.Begin(ctx) // compares the log with the checkpoint on the token
			}
			if err != nil {
				return nil, err
			}
			opened = keys
			return keys, nil
		}))
		text, err := acts[name](ctx, octets)
		if opened != nil {
			err = errors.Join(err, opened.Cover(ctx))
		}
		return text, err
	})
}

// onRecord opens the registry, acts, and has a checkpoint signed over what was done, also over a part of it. The text is for the person.
func onRecord(ctx context.Context, dir workdir.Dir, act func(*instance.Record) (string, error)) (text string, err error) {
	files, err := instance.OpenFiles(dir, instance.Options{})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	record, err := files.OpenRecord(ctx)
	if err != nil {
		return "", err
	}
	text, err = act(record)
	unsigned, bad := record.CoverActs(ctx)
	return strings.Trim(text+"\n"+unsigned, "\n"), errors.Join(err, bad)
}

// operator has the flag --operator.
func operator(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "operator", instance.LocalUser(), "name of the person who does this, for the audit log")
}

// askedFor refuses to go on unless a person types the number, or has given --yes.
func (c *Commands) askedFor(number int, what string, yes bool) error {
	return c.confirm(strconv.Itoa(number), what, yes)
}

// confirm refuses to go on unless a person types a text, or has given --yes.
func (c *Commands) confirm(want, what string, yes bool) error {
	if yes {
		return nil
	}
	fmt.Fprintf(c.Stdout, "type %s to %s, and nothing else to stop: ", want, what)
	line, err := bufio.NewReader(io.LimitReader(c.Stdin, 512)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the confirmation: %w", err)
	}
	if strings.TrimSpace(line) != want {
		return reason.Usage(errors.New("not confirmed, and nothing was done; --yes confirms without a question"))
	}
	return nil
}
