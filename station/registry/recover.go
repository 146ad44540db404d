package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"hallmark/devices"
	"hallmark/station/audit"
)

// recover closes what the last process left open: intents first, then Runs. It does so
// in one transaction, with an audit entry for each.
func (r *Registry) recover(ctx context.Context) error {
	if err := r.clock(ctx); err != nil {
		return err
	}
	err := r.write(ctx, func(w *work) error {
		intents, err := w.closeIntents()
		if err != nil {
			return fmt.Errorf("closing open intents: %w", err)
		}
		runs, err := w.closeRuns()
		if err != nil {
			return fmt.Errorf("closing open Runs: %w", err)
		}
		return w.started(intents, runs)
	})
	if err != nil {
		return fmt.Errorf("recovering: %w", err)
	}
	return nil
}

// clock refuses a clock that is behind the newest entry, unless an operator accepts it.
func (r *Registry) clock(ctx context.Context) error {
	var step *audit.ClockError
	if err := r.log.ClockStep(); !errors.As(err, &step) {
		return err
	}
	if r.config.AcceptClock != "" {
		return r.note(ctx, clockStep(step, audit.Success, actor(r.config.AcceptClock)))
	}
	return errors.Join(step, r.note(ctx, clockStep(step, audit.Denied, audit.Itself())))
}

func clockStep(step *audit.ClockError, outcome audit.Outcome, by audit.Actor) audit.Entry {
	return audit.Entry{
		Actor: by, Category: audit.CategorySystem, Type: audit.TypeClockStep, Outcome: outcome, Reason: "clock-back",
		Details: map[string]string{"newest": stamp(step.Newest), "now": stamp(step.Now), "behind": step.Newest.Sub(step.Now).Round(time.Second).String()},
	}
}

// closeIntents ends each intent without a result as unresolved (I10).
func (w *work) closeIntents() (int, error) {
	n := 0
	for ; ; n++ {
		var in row
		err := w.row(rowColumns+`WHERE status = 'intended' ORDER BY id LIMIT 1`, nil, in.into()...)
		if none(err) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		if err := w.unresolved(in, errInterrupted, "the station ended between intent and result"); err != nil {
			return n, err
		}
	}
}

func (w *work) closeRuns() (int, error) {
	n := 0
	for ; ; n++ {
		var run string
		var boardID devices.BoardID
		err := w.row(`SELECT id, board_id FROM runs WHERE ending IS NULL LIMIT 1`, nil, &run, board(&boardID))
		if none(err) {
			return n, nil
		} else if err != nil {
			return n, err
		}
		if err := w.interrupt(run, boardID); err != nil {
			return n, err
		}
	}
}

// started writes the entry of the start, and before it an entry with the number of
// closed intents and Runs, if there were any.
func (w *work) started(intents, runs int) error {
	if intents+runs > 0 {
		_, err := w.append(audit.Entry{
			Actor: audit.Itself(), Category: audit.CategoryLog, Type: "log.recovered", Outcome: audit.Success,
			Details: map[string]string{"unresolved": strconv.Itoa(intents), "interrupted": strconv.Itoa(runs)},
		})
		if err != nil {
			return err
		}
	}
	_, err := w.append(audit.Entry{Actor: audit.Itself(), Category: audit.CategoryLog, Type: "log.startup", Outcome: audit.Success})
	return err
}
