package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *command) auditCommand() *cobra.Command {
	group := group("audit", "Looks at the audit log")
	var vkey string
	var anchors []string
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Recomputes the whole audit log and its checkpoints",
		Long: `verify recomputes every hash of the audit log and checks every checkpoint with the audit key.
It needs no HSM and may run while the station works.

A log that the station signed cannot show its own missing tail: keep checkpoints elsewhere,
and name them with --anchor.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.auditVerify(cmd.Context(), vkey, anchors, nil) },
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Prints every entry of the audit log as a JSON line",
		Long: `show prints the entries of the audit log, one canonical JSON object a line, and verifies the log as
verify does: when it ends with 0, what it printed is the whole log and nothing else. Entry 0 tells what
the key ceremony made, with the attributes that the HSM reported for each key.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.auditVerify(cmd.Context(), vkey, anchors, c.printEntry)
		},
	}
	checkpoint := &cobra.Command{
		Use:   "checkpoint",
		Short: "Prints the newest checkpoint, to be kept elsewhere (C2SP signed note)",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.auditCheckpoint(cmd.Context()) },
	}
	for _, command := range []*cobra.Command{verify, show} {
		command.Flags().StringVar(&vkey, "key", "", "file with the audit key that is believed (default: DIR/pki/audit.vkey)")
		command.Flags().StringArrayVar(&anchors, "anchor", nil, "file with a checkpoint that was kept elsewhere (may be repeated)")
	}
	group.AddCommand(verify, show, checkpoint, c.auditExportCommand())
	return group
}

func (c *command) auditCheckpoint(ctx context.Context) error {
	return c.withReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
		note, err := reader.LastCheckpoint(ctx)
		if err == nil {
			_, err = c.stdout.Write(note)
		}
		return errors.Join(err, workdir.SyncOutput(c.stdout))
	})
}

func (c *command) printEntry(e audit.Entry) error {
	line, err := audit.Encode(e)
	if err == nil {
		_, err = fmt.Fprintf(c.stdout, "%s\n", line)
	}
	return err
}

// auditVerify verifies the log. If show is not nil, show prints the entries, and auditVerify prints nothing.
func (c *command) auditVerify(ctx context.Context, keyPath string, anchorPaths []string, show func(audit.Entry) error) (err error) {
	dir, err := workdir.Existing(c.dir)
	if err != nil {
		return err
	}
	if keyPath == "" {
		keyPath = dir.AuditKey()
	}
	key, err := os.ReadFile(keyPath)
	if err != nil {
		return reason.Usage(fmt.Errorf("reading the audit key: %w", err))
	}
	anchors, err := audit.ReadAnchors(anchorPaths)
	if err != nil {
		return reason.Usage(err)
	}
	reader, err := instance.OpenReader(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	each := func(audit.Entry) error { return nil }
	if show != nil {
		each = show
	}
	report, err := reader.VerifyEach(ctx, strings.TrimSpace(string(key)), each, anchors...)
	if err != nil || show != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "verified: %d entries, root %v\n%d checkpoints, the newest over %d entries; %d anchors from elsewhere\n",
		report.Size, report.Root, report.Checkpoints, report.Covered, report.Anchors)
	return nil
}
