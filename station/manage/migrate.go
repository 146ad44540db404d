package manage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"hallmark/station/instance"
	"hallmark/station/workdir"
)

func (c *Commands) migrate() *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use:   "migrate --dir D [--dry-run]",
		Short: "Brings the registry to the schema of this program after an upgrade, with a copy kept",
		Long: `migrate says which schema the registry has, which steps lead to the schema of this program, how much free space they
need, what the copy of the registry will be called, and the way back. Then it does what the first start of a new program
does: it makes the copy, does all steps and their audit entry in one transaction, and records a start. It needs neither
HSM nor PIN. It refuses a registry of a newer schema, and one that a station has open.

With --dry-run it changes nothing, and works while a station runs. Without room for the migration, it fails in both ways.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.migrateIn(cmd.Context(), dry) },
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

func (c *Commands) migrateIn(ctx context.Context, dry bool) error {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	todo, err := instance.PlanMigration(ctx, dir)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(c.Stdout, todo.Text()); err != nil || todo.From == todo.To {
		return err
	}
	if err := todo.HasRoom(); err != nil {
		return err
	}
	if dry {
		_, err := fmt.Fprintf(c.Stdout, "next      station migrate --dir %s as the user of the station, while no station runs there; the next start does the same\n", dir)
		return err
	}
	if err := c.begin(ctx, dir); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Stdout, "registry.db has schema %d now; keep %s until the next backup\n", todo.To, todo.Copy)
	return err
}

// begin does what a start does to the registry, and says each part before it begins: a large registry takes some seconds.
func (c *Commands) begin(ctx context.Context, dir workdir.Dir) (err error) {
	start := time.Now()
	files, err := instance.OpenFiles(dir, instance.Options{Migrating: func(what string) {
		// A reader who is gone stops no migration.
		_, _ = fmt.Fprintf(c.Stdout, "%8.1f s  %s\n", time.Since(start).Seconds(), what)
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	record, err := files.OpenRecord(ctx)
	if err != nil {
		return err
	}
	return record.Begin(ctx)
}
