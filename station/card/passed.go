package card

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/label"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Refusals of the label of a board: it would say of a board that it is good.
var (
	errNotPassed = errors.New("has not passed, so it gets no label")
	errScrapped  = errors.New("was scrapped")
)

// havePassed returns nil, or what the registry knows of the first of these boards that may have no label, with the next action.
// The texts are those of labels; a text that is none is refused by draw.
func havePassed(ctx context.Context, dir workdir.Dir, labels *label.Reader, boards []string) (err error) {
	if len(boards) == 0 {
		return nil
	}
	reader, err := registry.OpenReader(ctx, dir.Registry())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	for _, text := range boards {
		id, bad := uuid.Parse(labels.Read(labels.Before + text + labels.After).Text)
		if bad != nil {
			continue
		}
		if err := hasPassed(ctx, reader, devices.BoardID(id)); err != nil {
			return err
		}
	}
	return nil
}

func hasPassed(ctx context.Context, reader *registry.Reader, id devices.BoardID) error {
	rows, err := reader.Boards(ctx, registry.Filter{BoardID: id})
	if err != nil {
		return err
	}
	if len(rows) > 0 && rows[0].Scrapped != "" {
		return reason.Usage(fmt.Errorf("board %s %w at %s: destroy its label, too", id, errScrapped, rows[0].Scrapped))
	}
	passed, err := reader.SearchRuns(ctx, registry.Search{Text: id.String(), Ending: station.Pass, Limit: 1})
	if err != nil || len(passed) > 0 {
		return err
	}
	newest, err := reader.SearchRuns(ctx, registry.Search{Text: id.String(), Limit: 1})
	if err != nil {
		return err
	}
	return reason.Usage(fmt.Errorf("board %s %w: %s", id, errNotPassed, known(newest)))
}

// known says how the newest Run ended, and what to do.
func known(newest []registry.FoundRun) string {
	if len(newest) == 0 {
		return "no Run has met it; compare the BoardID with the list of `station boards`"
	}
	run := newest[0]
	if run.Ending == "" {
		return fmt.Sprintf("its Run of %s is not closed; print the label after the Run", run.Begun)
	}
	next := "enrol it"
	if row, is := reason.For(run.Reason); is {
		next = row.Next
	}
	return fmt.Sprintf("its newest Run, of %s, ended as %s (%s); %s", run.Begun, run.Ending, run.Reason, next)
}
