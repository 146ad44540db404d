package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"hallmark/station/backup"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

func (c *command) backupCommand() *cobra.Command {
	b := backup.Backup{Operator: instance.LocalUser(), Now: time.Now, Rest: backup.Rest}
	cmd := &cobra.Command{
		Use:   "backup --to DIR|FILE.tar",
		Short: "Copies the station directory, also while the station works",
		Long: `backup copies configuration, certificates, the pki with the verifier's key, and the registry of one
moment into a new directory, or into a new tar file if the name ends in .tar. It may run beside a
station and slows it down little. A backup holds no PIN, no key of the HSM and no emulated board; keep
it as private as the verifier's key in it.

The audit log gets the entry backup.done: from a station that runs, with its next checkpoint, and
otherwise with the next start.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if b.Dir, err = workdir.Existing(c.dir); err != nil {
				return err
			}
			_, stop, done := watch(cmd.Context())
			defer done()
			made, err := b.Make(stop)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "%s: %s, registry of %s, root %v\nSHA-256 of SHA256SUMS: %s\n", b.To, reason.Count(made.Files, "file", "files"), reason.Count(made.Size, "entry", "entries"), made.Root, made.Sums)
			fmt.Fprintln(c.stdout, "the entry backup.done is written with the next checkpoint of a running station, or with the next start")
			return nil
		},
	}
	cmd.Flags().StringVar(&b.To, "to", "", "new directory, or new FILE.tar, outside of the station directory (required)")
	return cmd
}

func (c *command) restoreCommand() *cobra.Command {
	r := backup.Restore{Operator: instance.LocalUser(), Now: time.Now}
	cmd := &cobra.Command{
		Use:   "restore --from DIR|FILE.tar --dir NEW",
		Short: "Makes a station directory from a backup, after all checks",
		Long: `restore checks a backup (the digest of each file, the audit log with its key, the registry against the
log) and makes a new station directory from it. It needs no HSM and no PIN.

What the station recorded after the backup is missing. If the token knows a newer checkpoint, the next
start refuses with "registry-older"; put the newest registry.db back together with its registry.db-wal,
or go on without the missing entries with ` + "`station accept-registry`" + `, on record. Boards that were
enrolled in the missing time are then rejected as foreign-certificate until their flash is erased. The
old station and the restored one must never run both: they would continue the same log.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if r.Dir, err = workdir.New(c.dir); err != nil {
				return err
			}
			_, stop, done := watch(cmd.Context())
			defer done()
			restored, err := r.Do(stop)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "%s: station %q as of %s, %s, %s, %s, root %v\n%s", r.Dir, restored.Station,
				restored.Made.Format(time.RFC3339), reason.Count(restored.Files, "file", "files"), reason.Count(restored.Size, "entry", "entries"), restored.Verified(), restored.Root, restored.Advice())
			return nil
		},
	}
	cmd.Flags().StringVar(&r.From, "from", "", "the backup: a directory, or a tar file (required)")
	return cmd
}
