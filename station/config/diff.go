package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) diff() *cobra.Command {
	return &cobra.Command{
		Use:   "diff --dir D [OLD]",
		Short: "Compares the configuration with that of the newest start on record, and with a copy key by key",
		Long: `diff says for station.yaml, the profiles and badges.yaml whether they are those of the newest start on record. The record has
the SHA-256 of each file and not its text, so the keys that differ can only be named with a copy: OLD, such as the
station.yaml of a backup. diff says whether OLD is the one of the newest start.

A changed station.yaml needs no adoption: the next start uses it, and its entry in the audit log has the new SHA-256. A changed
profile needs one: ` + "`station profile adopt`" + `.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			old := ""
			if len(args) == 1 {
				old = args[0]
			}
			return c.compare(cmd.Context(), old)
		},
	}
}

func (c *Commands) compare(ctx context.Context, old string) error {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	start, err := newestStart(ctx, dir)
	if err != nil && !errors.Is(err, registry.ErrNoStart) {
		return err
	}
	if err != nil { // ErrNoStart
		_, err = fmt.Fprintln(c.Stdout, err)
	} else {
		err = c.compareFiles(dir, &start, old == "")
	}
	if err != nil || old == "" {
		return err
	}
	return c.compareKeys(dir, old, start.Details["configuration_sha256"])
}

func newestStart(ctx context.Context, dir workdir.Dir) (start audit.Entry, err error) {
	reader, err := instance.OpenReader(ctx, dir)
	if err != nil {
		return start, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	return reader.NewestStart(ctx)
}

// compareFiles compares each file with its digest in the entry of a start.
func (c *Commands) compareFiles(dir workdir.Dir, start *audit.Entry, alone bool) error {
	if _, err := fmt.Fprintf(c.Stdout, "newest start on record: %s, entry %d, version %s\n", start.Time, start.Seq, reason.Printable(start.Details["version"])); err != nil {
		return err
	}
	const used, adopted = "the next start uses it, on record", "no board is enrolled with it before `station profile adopt`"
	for _, file := range []struct{ name, path, fact, next string }{
		{"station.yaml", dir.Config(), "configuration_sha256", used}, {"profile.yaml", dir.Profile(), "profile_sha256", adopted},
		{"profile-cose.yaml", dir.COSEProfile(), "profile_cose_sha256", adopted}, {"badges.yaml", dir.Badges(), "badges_sha256", used},
	} {
		now, err := digest(file.path)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c.Stdout, "  %-18s %s\n", file.name, changed(now, reason.Printable(start.Details[file.fact]), file.next)); err != nil {
			return err
		}
		if file.fact == "configuration_sha256" && alone && now != start.Details[file.fact] {
			if _, err := fmt.Fprintln(c.Stdout, "                     the record has no texts: `station config diff --dir D OLD` names the keys, with OLD from a backup"); err != nil {
				return err
			}
		}
	}
	return nil
}

// changed compares two digests. next says what a changed file needs.
func changed(now, then, next string) string {
	switch {
	case now == "" && then == "":
		return "is not there, as then"
	case now == then:
		return "is as then"
	case then == "":
		return "is new; " + next
	case now == "":
		return "is not there any more"
	}
	return fmt.Sprintf("was changed: SHA-256 %.12s… then, %.12s… now; %s", then, now, next)
}

// digest gives the SHA-256 of a file in hexadecimal digits, and "" for a file that is not there.
func digest(path string) (string, error) {
	text, err := workdir.ReadUpTo(path, configs.MaxBadges)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", reason.Usage(err)
	}
	return sum(text), nil
}

func sum(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

// compareKeys names the keys whose values differ between a copy and the file of the station.
func (c *Commands) compareKeys(dir workdir.Dir, old, recorded string) error {
	before, text, err := settings(old)
	if err != nil {
		return err
	}
	after, _, err := settings(dir.Config())
	if err != nil {
		return err
	}
	lines := differences(before, after)
	if len(lines) == 0 {
		lines = []string{"no value differs"}
	}
	if recorded != "" && sum(text) != recorded {
		lines = slices.Insert(lines, 0, reason.Printable(old)+" is not the file of the newest start")
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(c.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// differences gives a line for each value that differs, in the order of the documentation.
func differences(before, after []configs.Setting) (lines []string) {
	then, now := values(before), values(after)
	for _, s := range after {
		if was, there := then[s.Key]; !there || was != s.Value {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", s.Key, shown(was, there), reason.Printable(s.Value)))
		}
	}
	for _, s := range before {
		if _, there := now[s.Key]; !there {
			lines = append(lines, fmt.Sprintf("%s: %s → nothing", s.Key, reason.Printable(s.Value)))
		}
	}
	return lines
}

func shown(value string, there bool) string {
	if !there {
		return "nothing"
	}
	return reason.Printable(value)
}

func values(all []configs.Setting) map[string]string {
	byKey := map[string]string{}
	for _, s := range all {
		byKey[s.Key] = s.Value
	}
	return byKey
}
