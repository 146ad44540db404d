package auditor

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) certificates() *cobra.Command {
	group := group("certificates", "Lists certificates, and writes files with them from the registry")
	group.AddCommand(c.exportCertificates(), c.listCertificates())
	return group
}

func (c *Commands) listCertificates() *cobra.Command {
	var only filter
	var form format
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists every certificate and serial number: active, superseded, revoked, unresolved",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := only.parse(cmd)
			if err = errors.Join(err, form.check()); err != nil {
				return reason.Usage(err)
			}
			return c.certificateList(cmd.Context(), chosen, form)
		},
	}
	only.ofBoards(cmd.Flags())
	only.ofRuns(cmd.Flags(), "only certificates that were signed in a Run that")
	form.flags(cmd.Flags())
	return cmd
}

// ListUnresolved is the same list with the unresolved serial numbers alone.
func (c *Commands) ListUnresolved() *cobra.Command {
	var form format
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists serial numbers for which nobody knows whether the HSM has signed; works while the station does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := form.check(); err != nil {
				return reason.Usage(err)
			}
			return c.certificateList(cmd.Context(), registry.Filter{Status: "unresolved"}, form)
		},
	}
	form.flags(cmd.Flags())
	return cmd
}

func (c *Commands) certificateList(ctx context.Context, only registry.Filter, form format) error {
	return c.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
		rows, err := reader.Certificates(ctx, only)
		if err != nil {
			return err
		}
		l := list{columns: []string{"serial_number", "board_id", "purpose", "profile", "status", "reason", "run", "not_before", "not_after", "intended", "changed", "certificate_sha256", "rework"}}
		for _, r := range rows {
			l.add(r.Serial, r.BoardID.String(), r.Purpose.String(), r.Profile, r.Status, r.Reason, r.Run, r.NotBefore, r.NotAfter, r.Intended, r.Changed, r.SHA256, strconv.FormatBool(r.Rework))
		}
		return form.print(c.Stdout, l)
	})
}
