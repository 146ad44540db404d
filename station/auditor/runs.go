package auditor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func (c *Commands) runs() *cobra.Command {
	var selected selection
	var form format
	var limit int
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "Lists Runs, the newest first; works while the station does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := selected.parse()
			if err = errors.Join(err, form.check(), checkLimit(cmd.Flags(), limit)); err != nil {
				return reason.Usage(err)
			}
			return c.listRuns(cmd.Context(), chosen, limit, form)
		},
	}
	selected.flags(cmd.Flags())
	if err := cmd.Flags().MarkHidden("type"); err != nil { // of entries, not of Runs
		panic(err) // the flag is defined above
	}
	cmd.Flags().Lookup("status").Usage = "only Runs in which a certificate was signed that has this status now"
	cmd.Flags().IntVar(&limit, "limit", 0, "at most that many rows (default: all)")
	form.flags(cmd.Flags())
	return cmd
}

func (c *Commands) listRuns(ctx context.Context, chosen registry.Selection, limit int, form format) error {
	if chosen.Type != "" {
		return reason.Usage(errors.New("--type selects entries of the audit log; see `station audit show --help`"))
	}
	return c.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
		runs, err := reader.SearchRuns(ctx, registry.Search{Text: textOf(chosen), Ending: station.Ending(chosen.Ending), Since: chosen.Since})
		if err != nil {
			return err
		}
		l := runList(limit, runs, func(r registry.FoundRun) bool { return selects(chosen, r) })
		return form.print(c.Stdout, l)
	})
}

// runList has a row for each Run that is selected, at most limit rows; 0: all.
func runList(limit int, runs []registry.FoundRun, selected func(registry.FoundRun) bool) list {
	l := list{columns: []string{"run", "begun", "closed", "board_id", "purpose", "ending", "outcome", "reason", "bay", "operator", "order", "rework", "serial_number", "hardware_id"}}
	for _, r := range runs {
		if limit > 0 && len(l.rows) == limit {
			break
		}
		if !selected(r) {
			continue
		}
		board := ""
		if !r.BoardID.IsZero() {
			board = r.BoardID.String()
		}
		l.add(r.ID, r.Begun, r.Closed, board, r.Purpose.String(), string(r.Ending), string(r.Outcome), r.Reason, r.Bay, r.Operator, r.Order, r.Rework, r.Serial, r.HardwareID)
	}
	return l
}

// A RunExport writes Runs that a person has found on the screen to new files, as `station runs --csv` and `--json` print them.
type RunExport struct {
	Record *instance.Record
	Folder string // where the files go; empty: the folder for copies in the station directory
}

// runsExported is the entry for a file of Runs that left the station.
const runsExported = "export.runs"

// Export writes the Runs with this part of a BoardID, a serial number or an order, and with this ending; empty: any. It gives the
// path of the file and the number of Runs. The operator and the SHA-256 of the file go on record.
func (e RunExport) Export(ctx context.Context, operator, text string, ending station.Ending, json bool) (path string, runs int, err error) {
	found, err := e.Record.Registry.SearchRuns(ctx, registry.Search{Text: text, Ending: ending})
	if err != nil {
		return "", 0, err
	}
	l := runList(0, found, func(registry.FoundRun) bool { return true })
	var content bytes.Buffer
	end := ".csv"
	if json {
		end = ".jsonl"
	}
	if err := (&format{json: json, csv: !json}).print(&content, l); err != nil {
		return "", 0, err
	}
	if path, err = e.Record.Dir.NewCopy(e.Folder, "runs-", end, content.Bytes()); err != nil {
		return "", 0, err
	}
	err = e.Record.NoteBy(ctx, runsExported, audit.Success, operator, map[string]string{"to": filepath.Base(path), "runs": strconv.Itoa(len(l.rows)), "text": reason.Printable(text), "ending": string(ending),
		"sha256": fmt.Sprintf("%x", sha256.Sum256(content.Bytes()))})
	if err != nil {
		return "", 0, fmt.Errorf("%s is written, and the audit log does not say so: %w", path, err)
	}
	return path, len(l.rows), nil
}

// textOf gives what the registry searches for: it finds a BoardID, a serial number or an order.
func textOf(chosen registry.Selection) string {
	switch {
	case !chosen.BoardID.IsZero():
		return chosen.BoardID.String()
	case chosen.Serial != "":
		return chosen.Serial
	}
	return chosen.Order
}

func selects(s registry.Selection, r registry.FoundRun) bool {
	return (s.BoardID.IsZero() || r.BoardID == s.BoardID) && (s.Serial == "" || r.Serial == s.Serial) && (s.Order == "" || strings.EqualFold(r.Order, s.Order)) &&
		(s.Operator == "" || r.Operator == s.Operator) && (s.Bay == "" || r.Bay == s.Bay) && (s.Reason == "" || r.Reason == s.Reason) && (s.Status == "" || r.Status == s.Status) &&
		(s.Until.IsZero() || r.Begun < s.Until.Format("2006-01-02T15:04:05.000000000Z"))
}

// Orders returns the command that lists work orders, under a name.
func (c *Commands) Orders(name string) *cobra.Command {
	var only filter
	var form format
	cmd := &cobra.Command{
		Use:   name,
		Short: "Lists work orders with their counts; works while the station does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := only.parse(cmd)
			if err = errors.Join(err, form.check()); err != nil {
				return reason.Usage(err)
			}
			ctx := cmd.Context()
			return c.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
				orders, err := reader.Orders(ctx, chosen)
				if err != nil {
					return err
				}
				l := list{columns: []string{"order", "product", "quota", "counted", "opened", "issued", "reworked", "confirmed", "firmware_allow",
					"closed", "lot", "until", "certified", "unresolved", "revoked", "unused", "not_before", "revision", "order_sha256", "owner_sha256", "profiles_allow"}}
				for _, o := range orders {
					l.add(o.ID, o.Product, strconv.FormatInt(o.Quota, 10), strconv.FormatInt(o.Counted, 10), o.Opened,
						strconv.FormatInt(o.Issued, 10), strconv.FormatInt(o.Reworked, 10), strconv.FormatInt(o.Confirmed, 10), o.Firmware,
						o.Closed, o.Lot, o.Until, strconv.FormatInt(o.Boards.Certified, 10), strconv.FormatInt(o.Boards.Unresolved, 10),
						strconv.FormatInt(o.Boards.Revoked, 10), strconv.FormatInt(o.Boards.Unused, 10),
						o.NotBefore, strconv.FormatInt(o.Revision, 10), o.SHA256, o.OwnerSHA256, o.Profiles)
				}
				return form.print(c.Stdout, l)
			})
		},
	}
	only.ofOrders(cmd.Flags())
	form.flags(cmd.Flags())
	return cmd
}
