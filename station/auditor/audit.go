package auditor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station/audit"
	"hallmark/station/evidence"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) audit() *cobra.Command {
	group := group("audit", "Looks at the audit log")
	var vkey string
	var anchors, archives []string
	var selected selection
	var form format
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Recomputes the whole audit log and its checkpoints",
		Long: `verify recomputes every hash of the audit log and checks every checkpoint with the audit key.
It needs no HSM and may run while the station works.

A log that the station signed cannot show its own missing tail: keep checkpoints elsewhere,
and name them with --anchor.

Entries that "audit archive" moved to an archive are in the registry with their hashes only. Without the
archive, verify checks the tree, the checkpoints and the anchors, and says which entries it did not see.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.auditVerify(cmd.Context(), verifying{vkey, anchors, archives}, nil)
		},
	}
	show := &cobra.Command{
		Use:   "show",
		Short: "Prints every entry of the audit log as a JSON line",
		Long: `show prints the entries of the audit log, one canonical JSON object a line, and verifies the log as
verify does: when it ends with 0 and no filter was given, what it printed is the whole log and nothing
else. With a filter it prints also without the archive what is not archived, and then says if older entries
may fit. Entry 0 tells what the key ceremony made, with the attributes that the HSM reported for each key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := selected.parse()
			if err = errors.Join(err, form.check()); err != nil {
				return reason.Usage(err)
			}
			return c.auditVerify(cmd.Context(), verifying{vkey, anchors, archives}, &shown{selection: chosen, csv: form.csv, errs: cmd.ErrOrStderr()})
		},
	}
	selected.flags(show.Flags())
	show.Flags().BoolVar(&form.json, "json", false, "print the canonical JSON of each entry, as without the flag")
	show.Flags().BoolVar(&form.csv, "csv", false, "print CSV with the columns of views/events.csv; no cell begins a formula")
	for _, command := range []*cobra.Command{verify, show} {
		command.Flags().StringVar(&vkey, "key", "", "file with the audit key that is believed (default: DIR/pki/audit.vkey)")
		command.Flags().StringArrayVar(&anchors, "anchor", nil, "file with a checkpoint that was kept elsewhere (may be repeated)")
		archiveFlag(command.Flags(), &archives)
	}
	group.AddCommand(verify, show, c.checkpoint(), c.export(), c.proof(), c.retention(), c.archive())
	return group
}

// shown are the entries that show prints.
type shown struct {
	selection registry.Selection
	csv       bool // else JSON lines
	errs      io.Writer
	entries   int
	types     map[string]bool // of all entries
}

// none says that no entry fits, with the types that a mistyped word may have meant.
func (s *shown) none() error {
	if s.entries > 0 {
		return nil
	}
	_, err := fmt.Fprintf(s.errs, "no entry fits the filter; the types of the entries in the log are %s\n", strings.Join(slices.Sorted(maps.Keys(s.types)), ", "))
	return err
}

// printer prints the selected entries.
func (c *Commands) printer(chosen *registry.Matcher, show *shown) func(audit.Entry) error {
	show.types = map[string]bool{}
	return func(e audit.Entry) error {
		show.types[e.Type] = true
		if !chosen.Matches(&e) {
			return nil
		}
		show.entries++
		if show.csv {
			_, err := c.Stdout.Write(evidence.EventRow(&e))
			return err
		}
		line, err := audit.Encode(e)
		if err == nil {
			_, err = fmt.Fprintf(c.Stdout, "%s\n", line)
		}
		return err
	}
}

// verifying has the flags of a verification.
type verifying struct {
	key               string
	anchors, archives []string
}

// readKey reads the audit key. Only a person may name a pipe; in the directory the key is a regular file.
func (v verifying) readKey(dir workdir.Dir) ([]byte, error) {
	if v.key != "" {
		key, err := workdir.ReadInput(v.key, workdir.MaxFile)
		if err != nil {
			return nil, fmt.Errorf("reading the audit key: %w", err)
		}
		return key, nil
	}
	key, err := workdir.ReadFile(dir.AuditKey())
	if err != nil {
		return nil, fmt.Errorf("reading the audit key: %w; name the copy from the key ceremony with --key", err)
	}
	return key, nil
}

// auditVerify verifies the log. If show is not nil, auditVerify prints these entries, and nothing else.
func (c *Commands) auditVerify(ctx context.Context, with verifying, show *shown) (err error) {
	anchors, err := audit.ReadAnchors(with.anchors)
	if err != nil {
		return reason.Usage(err)
	}
	return c.WithReader(ctx, func(dir workdir.Dir, reader *registry.Reader) (err error) {
		key, err := with.readKey(dir)
		if err != nil {
			return reason.Usage(err)
		}
		done, err := instance.OpenArchives(ctx, dir, reader, with.archives)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		return c.verifyWith(ctx, reader, strings.TrimSpace(string(key)), anchors, show)
	})
}

func (c *Commands) verifyWith(ctx context.Context, reader *registry.Reader, key string, anchors [][]byte, show *shown) error {
	each := func(audit.Entry) error { return nil }
	if show != nil {
		if err := reader.Whole(); err != nil && show.selection.Empty() {
			return err
		}
		chosen, err := reader.Matcher(ctx, show.selection)
		if err != nil {
			return err
		}
		if show.csv {
			if _, err := c.Stdout.Write(evidence.EventHeader()); err != nil {
				return err
			}
		}
		each = c.printer(chosen, show)
	}
	report, err := reader.VerifyEach(ctx, key, each, anchors...)
	if err != nil {
		return ofOtherLog(ctx, reader, key, err)
	}
	if show != nil {
		return errors.Join(show.none(), olderEntries(ctx, reader, show.selection))
	}
	_, err = fmt.Fprint(c.Stdout, describeReport(&report))
	return err
}

// ofOtherLog says of a log that was begun with another key that it is another log. Without this, all that a person reads is that a
// signature does not fit.
func ofOtherLog(ctx context.Context, reader *registry.Reader, key string, err error) error {
	begun, unread := reader.VerifierKey(ctx)
	if unread != nil || begun == key {
		return err // the error of the log itself says more
	}
	return fmt.Errorf("%w; this log was begun with the audit key %s, and %s is believed: put back the registry.db of this station from its backup, or name the key of the log with --key",
		err, keyName(begun), keyName(key))
}

// keyName gives name and hash of a verifier key (C2SP signed-note), without the key itself.
func keyName(key string) string {
	parts := strings.SplitN(key, "+", 3)
	return reason.Printable(strings.Join(parts[:min(2, len(parts))], "+"))
}

// olderEntries says that archived entries may fit, too. The only archive cannot have the entry that tells of it.
func olderEntries(ctx context.Context, reader *registry.Reader, chosen registry.Selection) error {
	missing := reader.Whole()
	if missing == nil {
		return nil
	}
	archives, err := reader.Archives(ctx)
	if err != nil || len(archives) == 1 && chosen.Type == registry.TypeArchived {
		return err
	}
	return fmt.Errorf("older entries may fit, too: %w", missing)
}

// describeReport says what was verified, and what was not.
func describeReport(report *audit.Report) string {
	text := fmt.Sprintf("%s, root %v\n%s, the newest over %s; %s from elsewhere\n",
		reason.Count(report.Size, "entry", "entries"), report.Root, reason.Count(report.Checkpoints, "checkpoint", "checkpoints"),
		reason.Count(report.Covered, "entry", "entries"), reason.Count(report.Anchors, "anchor", "anchors"))
	if report.Lacks == "" {
		return "verified: " + text
	}
	return "tree, checkpoints and anchors hold: " + text + fmt.Sprintf(
		"%s; rows of the registry were not compared for them, and of %s only the hash was checked. Give the file with --archive to check them, too\n", report.Lacks, reason.Count(report.Archived, "entry", "entries"))
}
