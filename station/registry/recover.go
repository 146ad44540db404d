package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/devices"
	"hallmark/station/audit"
)

// recover closes what the last process left open: intents first, then Runs. It does so
// in one transaction, with an audit entry for each. There is nothing to do before the ceremony
// has begun the log.
func (r *Registry) recover(ctx context.Context) error {
	if r.log.Head().Size == 0 {
		return nil
	}
	err := r.submit(ctx, func(w *work) error {
		for _, a := range r.accepted {
			if _, err := w.append(a.entry(r.config.AcceptRegistry)); err != nil {
				return err
			}
		}
		intents, err := w.closeIntents()
		if err != nil {
			return fmt.Errorf("closing open intents: %w", err)
		}
		runs, err := w.closeRuns()
		if err != nil {
			return fmt.Errorf("closing open Runs: %w", err)
		}
		if err := w.started(intents, runs, r.config.Startup); err != nil {
			return err
		}
		return w.adoptFirst(r.config.Profiles)
	})
	if err != nil {
		return fmt.Errorf("recovering: %w", err)
	}
	return nil
}

// clock refuses a clock that is behind the newest entry, on record, unless an operator accepts
// the clock.
func (r *Registry) clock(ctx context.Context) error {
	var step *audit.ClockError
	if r.config.AcceptClock != "" || !errors.As(r.log.ClockStep(), &step) {
		return nil
	}
	err := r.attach(ctx)
	if err == nil {
		err = r.noteStep(ctx, clockStep(step, audit.Denied, audit.Itself()))
	}
	return errors.Join(step, err)
}

func (r *Registry) acceptClock(ctx context.Context) error {
	var step *audit.ClockError
	if r.config.AcceptClock == "" || !errors.As(r.log.ClockStep(), &step) {
		return nil
	}
	return r.noteStep(ctx, clockStep(step, audit.Success, actor(r.config.AcceptClock)))
}

func (r *Registry) noteStep(ctx context.Context, e audit.Entry) error {
	return r.submit(ctx, func(w *work) error {
		_, err := w.append(e)
		return err
	})
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

// typeStartup is the entry of each start.
const typeStartup = "log.startup"

// started writes the entry of the start, and before it an entry with the number of
// closed intents and Runs, if there were any.
func (w *work) started(intents, runs int, facts map[string]string) error {
	if intents+runs > 0 {
		_, err := w.append(audit.Entry{
			Actor: audit.Itself(), Category: audit.CategoryLog, Type: "log.recovered", Outcome: audit.Success,
			Details: map[string]string{"unresolved": strconv.Itoa(intents), "interrupted": strconv.Itoa(runs)},
		})
		if err != nil {
			return err
		}
	}
	before, err := w.lastStartup()
	if err != nil {
		return err
	}
	written, err := w.append(audit.Entry{Actor: audit.Itself(), Category: audit.CategoryLog, Type: typeStartup, Outcome: audit.Success,
		Details: startupDetails(before, facts)})
	if err != nil {
		return err
	}
	return w.exec(`INSERT INTO state VALUES ('startup', ?1) ON CONFLICT (key) DO UPDATE SET value = ?1`, strconv.FormatInt(written.Seq, 10))
}

// lastStartup gives the details of the newest entry of a start that a checkpoint covers, or nil. An entry behind the newest checkpoint
// could hide what changed, and say that it was like this before.
func (w *work) lastStartup() (map[string]string, error) {
	var seq int64
	err := w.row(`SELECT CAST(value AS INTEGER) FROM state WHERE key = 'startup'`, nil, &seq)
	if none(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the row about the newest start: %w", err)
	}
	if covered := w.log.Covered(); seq >= covered {
		const before = `SELECT seq FROM audit_entry WHERE seq < ? AND instr(body, CAST(',"type":"log.startup","v":' AS BLOB)) ORDER BY seq DESC LIMIT 1`
		if err := w.row(before, []any{covered}, &seq); none(err) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("looking for the entry of the last start: %w", err)
		}
	}
	e, err := entryAt(context.Background(), w.conn, seq)
	if err != nil {
		return nil, fmt.Errorf("reading the entry of the last start: %w", err)
	}
	return e.Details, nil
}

// changedDetail names the facts that differ from those of the start before.
const changedDetail = "changed"

// startupDetails adds to the facts of a start what changed since the start before. A start
// whose entry had no facts, or the first one, has nothing to compare with.
func startupDetails(before, facts map[string]string) map[string]string {
	if len(facts) == 0 {
		return nil
	}
	details, changed := map[string]string{}, []string{}
	for name, value := range facts {
		if details[name] = text(value); name == OperatorsFact && len(value) <= MaxOperatorsFact {
			details[name] = value
		}
	}
	for name := range before {
		if _, there := details[name]; name != changedDetail && name != operatorsChanged && !there {
			changed = append(changed, name)
		}
	}
	for name, value := range details {
		if old, there := before[name]; len(before) > 0 && (!there || old != value) {
			changed = append(changed, name)
		}
	}
	if slices.Sort(changed); len(changed) > 0 {
		details[changedDetail] = strings.Join(changed, " ")
	}
	if slices.Contains(changed, OperatorsFact) {
		details[operatorsChanged] = text(operatorsDiffer(before[OperatorsFact], details[OperatorsFact]))
	}
	return details
}

// OperatorsFact is the fact of a start that lists the operators with their roles, with blanks between them.
const (
	OperatorsFact    = "operators"
	MaxOperatorsFact = 16 << 10            // octets
	operatorsChanged = "operators_changed" // which operators are new (+) and gone (-)
)

// operatorsDiffer names the operators that two starts list differently: -anna=operator +anna=lead.
func operatorsDiffer(before, now string) string {
	old, fresh := strings.Fields(before), strings.Fields(now)
	var all []string
	for _, o := range old {
		if !slices.Contains(fresh, o) {
			all = append(all, "-"+o)
		}
	}
	for _, o := range fresh {
		if !slices.Contains(old, o) {
			all = append(all, "+"+o)
		}
	}
	return strings.Join(all, " ")
}
