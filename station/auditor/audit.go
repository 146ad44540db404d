package auditor

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/audit"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) audit() *cobra.Command {
	group := group("audit", "Looks at the audit log")
	var vkey string
	var anchors []string
	var selected selection
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Recomputes the whole audit log and its checkpoints",
		Long: `verify recomputes every hash of the audit log and checks every checkpoint with the audit key.
It needs no HSM and may run while the station works.

A log that the station signed cannot show its own missing tail: keep checkpoints elsewhere,
and name them with --anchor.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.auditVerify(cmd.Context(), vkey, anchors, nil) },
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Prints every entry of the audit log as a JSON line",
		Long: `show prints the entries of the audit log, one canonical JSON object a line, and verifies the log as
verify does: when it ends with 0 and no filter was given, what it printed is the whole log and nothing
else. Entry 0 tells what the key ceremony made, with the attributes that the HSM reported for each key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := selected.parse()
			if err != nil {
				return reason.Usage(err)
			}
			return c.auditVerify(cmd.Context(), vkey, anchors, &chosen)
		},
	}
	selected.flags(show.Flags())
	for _, command := range []*cobra.Command{verify, show} {
		command.Flags().StringVar(&vkey, "key", "", "file with the audit key that is believed (default: DIR/pki/audit.vkey)")
		command.Flags().StringArrayVar(&anchors, "anchor", nil, "file with a checkpoint that was kept elsewhere (may be repeated)")
	}
	group.AddCommand(verify, show, c.checkpoint(), c.export(), c.proof(), c.retention())
	return group
}

// printer prints the selected entries.
func (c *Commands) printer(chosen *registry.Matcher) func(audit.Entry) error {
	return func(e audit.Entry) error {
		if !chosen.Matches(&e) {
			return nil
		}
		line, err := audit.Encode(e)
		if err == nil {
			_, err = fmt.Fprintf(c.Stdout, "%s\n", line)
		}
		return err
	}
}

// auditVerify verifies the log. If show is not nil, auditVerify prints these entries, and nothing else.
func (c *Commands) auditVerify(ctx context.Context, keyPath string, anchorPaths []string, show *registry.Selection) (err error) {
	anchors, err := audit.ReadAnchors(anchorPaths)
	if err != nil {
		return reason.Usage(err)
	}
	return c.WithReader(ctx, func(dir workdir.Dir, reader *registry.Reader) error {
		if keyPath == "" {
			keyPath = dir.AuditKey()
		}
		key, err := workdir.ReadInput(keyPath, workdir.MaxFile)
		if err != nil {
			return reason.Usage(fmt.Errorf("reading the audit key: %w", err))
		}
		return c.verifyWith(ctx, reader, strings.TrimSpace(string(key)), anchors, show)
	})
}

func (c *Commands) verifyWith(ctx context.Context, reader *registry.Reader, key string, anchors [][]byte, show *registry.Selection) error {
	each := func(audit.Entry) error { return nil }
	if show != nil {
		chosen, err := reader.Matcher(ctx, *show)
		if err != nil {
			return err
		}
		each = c.printer(chosen)
	}
	report, err := reader.VerifyEach(ctx, key, each, anchors...)
	if err != nil || show != nil {
		return err
	}
	fmt.Fprintf(c.Stdout, "verified: %s, root %v\n%s, the newest over %s; %s from elsewhere\n",
		reason.Count(report.Size, "entry", "entries"), report.Root, reason.Count(report.Checkpoints, "checkpoint", "checkpoints"),
		reason.Count(report.Covered, "entry", "entries"), reason.Count(report.Anchors, "anchor", "anchors"))
	return nil
}
