package card

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hallmark/configs"
	"hallmark/station/label"
	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// Commands has the command `station labels`.
type Commands struct {
	Dir    *string // the station directory, known when the command runs
	Stdout io.Writer
}

// wanted is what the flags ask for.
type wanted struct {
	orders, bays, badges, boards []string
	allBays, allBadges           bool
}

// Refusals of the command.
var (
	errNothing = errors.New("want what to print: --order, --bay, --bays, --badge, --badges or --board")
	errNoBay   = errors.New("no such bay in station.yaml: want the name or the number of a bay (`station bays` lists them)")
	errNoBays  = errors.New("--bays: station.yaml has no bays: name them with --bay")
	errNoBadge = errors.New("no such person in badges.yaml: want the id of an operator")
)

// Command returns the command.
func (c *Commands) Command() *cobra.Command {
	var w wanted
	cmd := &cobra.Command{
		Use:   "labels [--order ID]... [--bay NAME]... [--bays] [--badge OPERATOR]... [--badges] [--board ID]... >FILE.html",
		Short: "Prints labels for the scanner as a page for A4: work orders, bays, badges, boards",
		Long: `labels writes one HTML page for A4, without script, to standard output. Open it in a browser and print it in its real size. Each label
has a Code 128 and a QR code of the same text. A label is printed only if the screen of this station reads it as what it is: with the
usual beginnings OP-, WO- and BAY-, or by a pattern under labels in station.yaml. What scanner.prefix and scanner.suffix name is not printed, because
the scanner types it. A board gets a label only if it has passed. Who holds a badge can sign in with it: give the page to nobody else.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.write(cmd.Context(), w) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&w.orders, "order", nil, "a work order, as its label says it, such as WO-1")
	flags.StringArrayVar(&w.bays, "bay", nil, "a bay of station.yaml by name or number; without bays there, any number")
	flags.BoolVar(&w.allBays, "bays", false, "all bays of station.yaml")
	flags.StringArrayVar(&w.badges, "badge", nil, "the badges of an operator of badges.yaml, by id")
	flags.BoolVar(&w.allBadges, "badges", false, "all badges of badges.yaml")
	flags.StringArrayVar(&w.boards, "board", nil, "a BoardID, or the text of a board's label; the board must have passed")
	return cmd
}

func (c *Commands) write(ctx context.Context, w wanted) error {
	dir, err := workdir.Existing(*c.Dir)
	if err != nil {
		return err
	}
	config, err := configs.Load(dir.Config())
	if err != nil {
		return reason.Usage(err)
	}
	operators, err := configs.LoadOperators(dir.Badges())
	if err != nil {
		return reason.Usage(err)
	}
	labels, err := w.labels(config.Bays, operators)
	if err != nil {
		return reason.Usage(err)
	}
	if err := havePassed(ctx, dir, config.LabelReader(), w.boards); err != nil {
		return err
	}
	return Write(c.Stdout, config.Station, config.LabelReader(), labels)
}

// labels gives the labels in the order of work: badges, work orders, bays, boards. A label that is asked for twice is there once.
func (w wanted) labels(bays []configs.Bay, operators map[string]configs.Operator) ([]Label, error) {
	all, err := w.badgeLabels(operators)
	for _, order := range w.orders {
		all = append(all, Label{Kind: label.Order, Text: order})
	}
	places, wrong := w.bayLabels(bays)
	all = append(all, places...)
	for _, board := range w.boards {
		if id, err := uuid.Parse(board); err == nil {
			board = id.String()
		}
		all = append(all, Label{Kind: label.Board, Text: board})
	}
	if err = errors.Join(err, wrong); err == nil && len(all) == 0 {
		err = errNothing
	}
	return once(all), err
}

func once(all []Label) (labels []Label) {
	for _, l := range all {
		if !slices.ContainsFunc(labels, func(other Label) bool { return other.Kind == l.Kind && other.Text == l.Text }) {
			labels = append(labels, l)
		}
	}
	return labels
}

func (w wanted) badgeLabels(operators map[string]configs.Operator) (all []Label, err error) {
	found := map[string]bool{}
	for _, code := range slices.Sorted(maps.Keys(operators)) {
		operator := operators[code]
		if w.allBadges || slices.Contains(w.badges, operator.ID) {
			found[operator.ID] = true
			all = append(all, Label{Kind: label.Badge, Text: code, Caption: operator.Name})
		}
	}
	for _, id := range w.badges {
		if !found[id] {
			err = errors.Join(err, fmt.Errorf("--badge %q: %w", id, errNoBadge))
		}
	}
	return all, err
}

func (w wanted) bayLabels(bays []configs.Bay) (all []Label, err error) {
	add := func(name string) {
		all = append(all, Label{Kind: label.Bay, Text: label.Usual().Bay + name, Caption: name})
	}
	for i := range bays {
		if w.allBays {
			add(bays[i].Name)
		}
	}
	if w.allBays && len(bays) == 0 {
		err = errNoBays
	}
	for _, asked := range w.bays {
		switch i := find(bays, asked); {
		case len(bays) == 0:
			add(asked)
		case i < 0:
			err = errors.Join(err, fmt.Errorf("--bay %q: %w", asked, errNoBay))
		default:
			add(bays[i].Name)
		}
	}
	return all, err
}

// find gives the bay with a name, or otherwise the one with a number from 1 on. It gives -1 for none.
func find(bays []configs.Bay, asked string) int {
	if i := slices.IndexFunc(bays, func(b configs.Bay) bool { return b.Name == asked }); i >= 0 {
		return i
	}
	if n, err := strconv.Atoi(asked); err == nil && n >= 1 && n <= len(bays) {
		return n - 1
	}
	return -1
}
