package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// With require_scan_back, a bay goes on after a Pass only when an operator has scanned the label of the board that passed. So no
// board leaves with the label of another one. The bay waits for the label also after a restart. A batch has no scanner and waits for none.

// A passedLabel is the one that a bay waits for.
type passedLabel struct {
	board   string   // BoardID
	serials []string // serial numbers of the certificates in hex, one for each key
	wrong   string   // what was scanned last instead, may be empty
}

// fits reports whether a scanned text is this label.
func (l *passedLabel) fits(text string) bool {
	return strings.EqualFold(text, l.board) ||
		slices.ContainsFunc(l.serials, func(s string) bool { return strings.EqualFold(strings.TrimLeft(text, "0"), strings.TrimLeft(s, "0")) })
}

// unlabelled returns nil, or which label the bay waits for. The Runs of a batch do not wait.
func (b *bayState) unlabelled(ask Start) error {
	if b.label == nil || ask.ended != nil {
		return nil
	}
	return fmt.Errorf("%s: %w: board %s", b.spec.Name, ErrLabelWanted, b.label.board)
}

// wantedLabel gives the label that a bay waits for after the last Run of a board, or nil. The end of the Run has put on record that
// the bay waits.
func (c *Controller) wantedLabel(ctx context.Context, last *station.Run) *passedLabel {
	if !last.ScanBack || last.Ending != station.Pass {
		return nil
	}
	serials, err := c.record.Registry.SerialsOnLabel(context.WithoutCancel(ctx), last.Identity.ID)
	if err != nil { // the label with the BoardID counts nevertheless
		c.record.Log.Error("a bay does not know the serial numbers on the label of its board", "bay", last.Bay, "error", err)
	}
	return &passedLabel{board: last.Identity.ID.String(), serials: serials}
}

// ReadLabel takes the label of a board that an operator scanned for a bay: its BoardID, or the serial number of its certificate.
// The label of another board is refused with ErrWrongLabel, and the bay waits on. Both are on record.
func (c *Controller) ReadLabel(ctx context.Context, bay, text, operator string) error {
	_, err := c.readLabel(ctx, bay, text, operator)
	return err
}

// readLabel also gives the board whose label was right; "" if the bay waited for none.
func (c *Controller) readLabel(ctx context.Context, bay, text, operator string) (board string, err error) {
	b, err := c.find(bay)
	if err != nil {
		return "", err
	}
	if err := reason.CheckText(text); err != nil {
		return "", fmt.Errorf("label %w", err)
	}
	c.mu.Lock()
	wanted := b.label
	c.mu.Unlock()
	if wanted == nil {
		return "", nil // somebody else has scanned it
	}
	outcome, right := audit.Success, wanted.fits(text)
	if !right {
		outcome = audit.Denied
	}
	if err := c.record.NoteBy(ctx, "label.read", outcome, operator, map[string]string{"bay": bay, "board": wanted.board, "read": text}); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.label != wanted {
		return "", nil
	}
	if !right {
		b.label = &passedLabel{wanted.board, wanted.serials, text}
		return "", fmt.Errorf("%s: %w: scanned %s, want %s", bay, ErrWrongLabel, text, wanted.board)
	}
	b.label = nil
	c.tellChange()
	return wanted.board, nil
}

// restoreLabels lets the bays wait for the labels for which they waited before this start.
func (c *Controller) restoreLabels(ctx context.Context) error {
	if !c.record.Config.RequireScanBack {
		return nil
	}
	entries, err := c.record.Registry.WantedLabels(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		if b, err := c.find(e.Details["bay"]); err == nil { // otherwise this start has no such bay
			b.label = &passedLabel{board: e.Details["board"], serials: strings.Fields(e.Details["serial"])}
		}
	}
	return nil
}

// labelBay gives the bay that waits for the label with this text, otherwise the first bay that waits for a label, otherwise "".
func (c *Controller) labelBay(text string) (bay string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bays {
		if b.label == nil {
			continue
		}
		if b.label.fits(text) {
			return b.spec.Name
		}
		if bay == "" {
			bay = b.spec.Name
		}
	}
	return bay
}
