package manage

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A boardAct is one of the commands hold, release and scrap.
type boardAct struct {
	act, verb string
	list      func(context.Context, *registry.Reader, registry.Which) ([]registry.Holdable, error)
	none      string
}

var (
	holds    = boardAct{operate.ActHold, "hold", holdable(false), "no board of the selection can be put on hold; `station boards` shows which are on hold or scrapped"}
	releases = boardAct{operate.ActRelease, "release", holdable(true), "no board of the selection is on hold; `station boards --status held` lists those that are"}
	scraps   = boardAct{operate.ActScrap, "scrap", func(ctx context.Context, r *registry.Reader, which registry.Which) ([]registry.Holdable, error) {
		return r.Scrappable(ctx, which)
	}, "no board of the selection can be scrapped; `station boards` shows which are scrapped"}
)

func holdable(held bool) func(context.Context, *registry.Reader, registry.Which) ([]registry.Holdable, error) {
	return func(ctx context.Context, r *registry.Reader, which registry.Which) ([]registry.Holdable, error) {
		return r.Holdable(ctx, which, held)
	}
}

func (c *Commands) hold() *cobra.Command {
	return c.boardAct(holds, "Puts boards on hold, after a preview; works while the station does", `hold puts boards on hold: no Run takes them, and the verifier refuses their certificates, until they are released. A Run that is under
way with such a board ends without a further certificate. The boards are those of the selected certificates, or the board
of --board. hold shows them first. For more than one, a person types their number, or the command has --yes.

A hold is for boards in the house. CRL and OCSP do not know it: revoke the certificates of boards in the field.`)
}

func (c *Commands) release() *cobra.Command {
	return c.boardAct(releases, "Releases boards that are on hold, after a preview; works while the station does", `release lets boards go on that are on hold. It shows them first. For more than one, a person types their number, or the
command has --yes. Their certificates have the status that they had before.`)
}

func (c *Commands) scrap() *cobra.Command {
	return c.boardAct(scraps, "Notes that boards were destroyed, after a preview: no Run takes them any more; works while the station does", `scrap notes that boards were destroyed: no Run takes them any more, verifiers refuse their certificates, and a CRL has these as
cessationOfOperation. The boards are those of the selected certificates, or the board of --board. scrap shows them first. For more than
one, a person types their number, or the command has --yes. It cannot be taken back.`)
}

func (c *Commands) boardAct(h boardAct, short, long string) *cobra.Command {
	var w which
	var ask operate.StatusChange
	var yes bool
	cmd := &cobra.Command{
		Use:   h.verb + " --board ID|--serial SERIAL|--order ID|--since TIME --reason TEXT",
		Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.parse(); err != nil {
				return reason.Usage(err)
			}
			if err := reason.CheckText(ask.Reason); err != nil {
				return reason.Usage(fmt.Errorf("--reason %w", err))
			}
			ask.Which = w.Which
			return c.actOnAll(cmd.Context(), h, ask, yes)
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why, for the record (required)")
	cmd.Flags().BoolVar(&yes, "yes", false, h.verb+" without a question")
	operator(cmd, &ask.Operator)
	return cmd
}

func (c *Commands) actOnAll(ctx context.Context, h boardAct, ask operate.StatusChange, yes bool) error {
	number := 0
	err := c.Reader.WithReader(ctx, func(_ workdir.Dir, reader *registry.Reader) error {
		all, err := h.list(ctx, reader, ask.Which)
		if err != nil {
			return err
		}
		number, ask.Seen = len(all), registry.SeenBoards(all)
		return c.preview(len(all), func(i int) string {
			text := fmt.Sprintf("board %s  %s", all[i].BoardID, all[i].Type)
			if all[i].Since != "" {
				text += fmt.Sprintf("  on hold since %s: %s", all[i].Since, all[i].Reason)
			}
			return text
		})
	})
	switch {
	case err != nil:
		return err
	case number == 0 && !(h.act == operate.ActScrap && ask.Which.OnlyBoard()): // the registry says why not
		return reason.Usage(errors.New(h.none))
	case number > 1:
		if err := c.askedFor(number, h.verb+" "+reason.Count(number, "board", "boards"), yes); err != nil {
			return err
		}
	}
	return c.do(ctx, h.act, ask)
}

// preview prints the first rows of a selection, and how many there are beyond them.
func (c *Commands) preview(number int, row func(int) string) error {
	for i := range min(number, shownAtMost) {
		if _, err := fmt.Fprintln(c.Stdout, reason.Printable(row(i))); err != nil {
			return err
		}
	}
	if more := number - shownAtMost; more > 0 {
		_, err := fmt.Fprintf(c.Stdout, "and %s\n", reason.Count(more, "more", "more"))
		return err
	}
	return nil
}
