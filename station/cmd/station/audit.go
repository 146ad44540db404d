package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/registry"
)

func (c *command) auditCommand() *cobra.Command {
	group := &cobra.Command{
		Use:   "audit",
		Short: "Looks at the audit log",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(errors.New("no subcommand given; see `station audit --help`"))
		},
	}
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
		RunE: func(cmd *cobra.Command, _ []string) error { return c.auditVerify(cmd.Context(), vkey, anchors) },
	}
	verify.Flags().StringVar(&vkey, "key", "", "file with the audit key that is believed (default: DIR/pki/audit.vkey)")
	verify.Flags().StringArrayVar(&anchors, "anchor", nil, "file with a checkpoint that was kept elsewhere (may be repeated)")
	checkpoint := &cobra.Command{
		Use:   "checkpoint",
		Short: "Prints the newest checkpoint, to be kept elsewhere (C2SP signed note)",
		Args:  arguments(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.auditCheckpoint(cmd.Context()) },
	}
	group.AddCommand(verify, checkpoint)
	return group
}

func (c *command) auditCheckpoint(ctx context.Context) (err error) {
	s, err := existing(c.dir)
	if err != nil {
		return err
	}
	reader, err := registry.OpenReader(ctx, s.registry())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	note, err := reader.LastCheckpoint(ctx)
	if err == nil {
		_, err = c.stdout.Write(note)
	}
	return err
}

func (c *command) auditVerify(ctx context.Context, keyPath string, anchorPaths []string) (err error) {
	s, err := existing(c.dir)
	if err != nil {
		return err
	}
	if keyPath == "" {
		keyPath = s.auditKey()
	}
	key, err := os.ReadFile(keyPath)
	if err != nil {
		return usage(fmt.Errorf("reading the audit key: %w", err))
	}
	var anchors [][]byte
	for _, path := range anchorPaths {
		anchor, err := os.ReadFile(path)
		if err != nil {
			return usage(fmt.Errorf("reading an anchor: %w", err))
		}
		anchors = append(anchors, anchor)
	}
	reader, err := registry.OpenReader(ctx, s.registry())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	report, err := reader.VerifyAudit(ctx, strings.TrimSpace(string(key)), anchors...)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "verified: %d entries, root %v\n%d checkpoints, the newest over %d entries; %d anchors from elsewhere\n",
		report.Size, report.Root, report.Checkpoints, report.Covered, report.Anchors)
	return nil
}
