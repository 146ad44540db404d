package auditor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hallmark/station/evidence"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// archiveFlag adds the flag for archives that are read.
func archiveFlag(flags *pflag.FlagSet, paths *[]string) {
	flags.StringArrayVar(paths, "archive", nil, "archive with old entries, which audit archive made (may be repeated; the newest one has all)")
}

func (c *Commands) archive() *cobra.Command {
	a := instance.Archiving{Operator: instance.LocalUser()}
	var until string
	cmd := &cobra.Command{
		Use:   "archive --out FILE.tar --until DATE|N",
		Short: "Moves the bodies of old entries to a sealed bundle; their hashes stay",
		Long: `archive writes a whole evidence bundle of the entries up to a checkpoint: the newest one that lies before
DATE, or that covers at most the first N entries. It checks the bundle as auditcheck does, and then removes
the bodies of these entries from the registry. Their hashes stay, so tree, checkpoints, proofs and anchors
still hold. Boards, Runs, orders and certificates stay as they are. An archive removes nothing from the
record: what a retention rule demands must be kept, in the archive now.

archive stops no Run: no station may be running. It opens the HSM, because a checkpoint is signed over the
entry with the digests of the archive before anything is removed. Give earlier archives with --archive:
the new archive has their entries, too, and takes their place.

Keep the file as long as the record must be kept, and in more than one place: audit verify, show, export,
proof and a signed affected need it with --archive for old entries. At last registry.db is written anew, so
that it becomes smaller; that needs as much free space as the file has then.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			a.Wanted, err = parseWanted(until)
			if err == nil && !evidence.IsTar(a.Out) {
				err = fmt.Errorf("--out %q: want a new FILE.tar", a.Out)
			}
			if err != nil {
				return reason.Usage(err)
			}
			return c.makeArchive(cmd.Context(), a)
		},
	}
	cmd.Flags().StringVar(&a.Out, "out", "", "new FILE.tar (required)")
	cmd.Flags().StringVar(&until, "until", "", "archive entries that were written before this time (2026-11-28, or 2026-11-28T07:00:00Z), or this number of first entries (required)")
	langFlag(cmd.Flags(), &a.Language)
	archiveFlag(cmd.Flags(), &a.Archives)
	return cmd
}

// parseWanted reads a time, or a number of entries.
func parseWanted(until string) (wanted registry.Wanted, err error) {
	if n, bad := strconv.ParseInt(until, 10, 64); bad == nil && n > 0 {
		return registry.Wanted{Entries: n}, nil
	}
	wanted.Before, err = ParseTime("--until", until)
	if err == nil && wanted.Before.IsZero() {
		err = errors.New("--until is missing: want a day such as 2026-11-28, or a number of entries; the entries before it are archived")
	}
	return wanted, err
}

func (c *Commands) makeArchive(ctx context.Context, a instance.Archiving) (err error) {
	if a.Dir, err = c.newBundle(a.Out); err != nil {
		return err
	}
	made, err := a.Do(ctx)
	if err != nil {
		return err
	}
	kept, err := c.keepArchive(ctx)
	if err != nil {
		return err
	}
	earlier := ""
	if made.First > 0 {
		earlier = " It has the entries of all earlier archives, too."
	}
	_, err = fmt.Fprintf(c.Stdout, "%s: %v, root %s\nThe archive was checked; the registry keeps the hashes of these entries.%s\n%s",
		a.Out, &made, made.Root, earlier, kept)
	return err
}

// newBundle checks that a bundle may be written under a name.
func (c *Commands) newBundle(out string) (dir workdir.Dir, err error) {
	if out == "" {
		return dir, reason.Usage(errors.New("--out is missing: want a new directory, or a new FILE.tar"))
	}
	if evidence.IsCompressed(out) {
		return dir, reason.Usage(fmt.Errorf("--out %s: a bundle is not compressed: want a new directory, or a new FILE.tar", out))
	}
	if _, err := os.Lstat(out); err == nil {
		return dir, reason.Usage(fmt.Errorf("--out %s: it exists already; name a new one", out))
	}
	if err := workdir.InFolder(out); err != nil {
		return dir, fmt.Errorf("--out %w", err)
	}
	if dir, err = workdir.Existing(*c.Dir); err != nil {
		return dir, err
	}
	if err := dir.MayWrite(out); err != nil {
		return dir, fmt.Errorf("--out %w", err)
	}
	return dir, nil
}

// keepArchive says how long the archive must be kept: as long as the record of each product.
func (c *Commands) keepArchive(ctx context.Context) (text string, err error) {
	err = c.WithReader(ctx, func(dir workdir.Dir, reader *registry.Reader) error {
		config, _, err := instance.ReadSettings(dir)
		if err != nil {
			return reason.Usage(err)
		}
		products, err := reader.Products(ctx)
		if err != nil {
			return err
		}
		var latest time.Time
		open := false
		for _, made := range products {
			until, and, err := keptUntil(made, &config.Retention)
			if err != nil {
				return err
			}
			latest, open = later(latest, until), open || and != ""
		}
		text = "Keep the archive: it holds record that no retention rule lets go yet."
		if !latest.IsZero() {
			text = fmt.Sprintf("Keep the archive: it may be deleted on %s at the earliest.", day(latest))
		}
		if open {
			text += " This date does not cover all rules; see `station audit retention`."
		}
		text += "\n"
		return nil
	})
	return text, err
}
