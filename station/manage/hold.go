package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hallmark/station/operate"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A boardAct is one of the commands hold, release, scrap and rework.
type boardAct struct {
	act, verb string
	list      func(context.Context, *registry.Reader, registry.Which) ([]registry.Holdable, error)
	none      string
	since     string // what a board of the list is since when; empty: on hold
	whyNot    bool   // the registry says why a single board is refused
}

var (
	holds    = boardAct{act: operate.ActHold, verb: "hold", list: holdable(false), none: "no board of the selection can be put on hold; `station boards` shows which are on hold or scrapped"}
	releases = boardAct{act: operate.ActRelease, verb: "release", list: holdable(true), none: "no board of the selection is on hold; `station boards --status held` lists those that are"}
	scraps   = boardAct{act: operate.ActScrap, verb: "scrap", whyNot: true, list: func(ctx context.Context, r *registry.Reader, which registry.Which) ([]registry.Holdable, error) {
		return r.Scrappable(ctx, which)
	}, none: "no board of the selection can be scrapped; `station boards` shows which are scrapped"}
	marks = boardAct{act: operate.ActMark, verb: "mark", whyNot: true, list: reworkable(false),
		none: "no board of the selection can be marked; `station boards` shows which are marked or scrapped, and which have a certificate"}
	withdraws = boardAct{act: operate.ActWithdraw, verb: "withdraw the mark of", since: "marked", list: reworkable(true),
		none: "no board of the selection is marked; `station boards --status rework` lists those that are"}
)

func reworkable(marked bool) func(context.Context, *registry.Reader, registry.Which) ([]registry.Holdable, error) {
	return func(ctx context.Context, r *registry.Reader, which registry.Which) ([]registry.Holdable, error) {
		return r.Reworkable(ctx, which, marked)
	}
}

func holdable(held bool) func(context.Context, *registry.Reader, registry.Which) ([]registry.Holdable, error) {
	return func(ctx context.Context, r *registry.Reader, which registry.Which) ([]registry.Holdable, error) {
		return r.Holdable(ctx, which, held)
	}
}

func (c *Commands) hold() *cobra.Command {
	return c.boardAct("hold", holds, "Puts boards on hold, after a preview; works while the station does", `hold puts boards on hold: no Run takes them, and the verifier refuses their certificates, until they are released. A Run that is under
way with such a board ends without a further certificate. The boards are those of the selected certificates, or the board
of --board. hold shows them first. For more than one, a person types their number, or the command has --yes.

A hold is for boards in the house. CRL and OCSP do not know it: revoke the certificates of boards in the field.`)
}

func (c *Commands) release() *cobra.Command {
	return c.boardAct("release", releases, "Releases boards that are on hold, after a preview; works while the station does", `release lets boards go on that are on hold. It shows them first. For more than one, a person types their number, or the
command has --yes. Their certificates have the status that they had before.`)
}

func (c *Commands) scrap() *cobra.Command {
	return c.boardAct("scrap", scraps, "Notes that boards were destroyed, after a preview: no Run takes them any more; works while the station does", `scrap notes that boards were destroyed: no Run takes them any more, verifiers refuse their certificates, and a CRL has these as
cessationOfOperation. The boards are those of the selected certificates, or the board of --board. scrap shows them first. For more than
one, a person types their number, or the command has --yes. It cannot be taken back.`)
}

func (c *Commands) rework() *cobra.Command {
	withdraw := false
	cmd := c.boardCommand("rework", func() boardAct {
		if withdraw {
			return withdraws
		}
		return marks
	}, "Marks boards for a new certificate, after a preview; works while the station does", `rework marks boards: the next Run of such a board, in any bay and however it is started, gives it a new certificate for the same
key, and ends as reworked with the reason of the mark. The old certificate stays valid until the new one has passed its handshake; then the
mark is spent. A Run that is under way is not changed. The boards are those of the selected certificates that have a certificate to
replace: an active one, or one that was revoked for another reason than keyCompromise. rework shows them first. For more than one, a
person types their number, or the command has --yes. --withdraw takes marks back.

A board on hold can be marked; its rework waits for the release.`)
	cmd.Flags().BoolVar(&withdraw, "withdraw", false, "withdraw the marks of the boards")
	return cmd
}

func (c *Commands) boardAct(verb string, h boardAct, short, long string) *cobra.Command {
	return c.boardCommand(verb, func() boardAct { return h }, short, long)
}

// boardCommand makes a command from what act gives when the command runs.
func (c *Commands) boardCommand(verb string, act func() boardAct, short, long string) *cobra.Command {
	var w which
	var ask operate.StatusChange
	var yes bool
	cmd := &cobra.Command{
		Use:   verb + " --board ID|--serial SERIAL|--order ID|--since TIME --reason TEXT",
		Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := w.parse(); err != nil {
				return reason.Usage(err)
			}
			if err := reason.CheckText(ask.Reason); err != nil {
				return reason.Usage(fmt.Errorf("--reason %w", err))
			}
			ask.Which = w.Which
			return c.actOnAll(cmd.Context(), act(), ask, yes)
		},
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&ask.Reason, "reason", "", "why, for the record (required)")
	cmd.Flags().BoolVar(&yes, "yes", false, verb+" without a question")
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
				text += fmt.Sprintf("  %s since %s: %s", cmp.Or(h.since, "on hold"), all[i].Since, all[i].Reason)
			}
			return text
		})
	})
	switch {
	case err != nil:
		return err
	case number == 0 && !(h.whyNot && ask.Which.OnlyBoard()): // the registry says why not
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
