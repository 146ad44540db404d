package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/registry"
	"hallmark/ui"
)

// A badge is one operator of badges.yaml:
//
//	OP-1001: {id: anna, name: Anna Schmidt}
type badge struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name"`
}

// A desk implements ui.Badges, ui.History, ui.Details, ui.Doctor, ui.Opener and ui.Copier.
type desk struct {
	bench  *bench
	line   *line
	badges map[string]badge // nil: the station has no badges.yaml, and operators type their id

	opening sync.Mutex     // covers the parts of bench that are opened late, and pin
	work    sync.WaitGroup // examinations and logins

	mu   sync.Mutex // covers what follows, and Add of work
	left bool       // no work begins any more
}

var (
	errBadges = errors.New("want lines like \"OP-1001: {id: anna, name: Anna Schmidt}\"")
	goodID    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
)

// readBadges reads badges.yaml; a station without the file has none.
func readBadges(path string) (map[string]badge, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the badges: %w", err)
	}
	badges := map[string]badge{}
	if err := yaml.UnmarshalWithOptions(text, &badges, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, errBadges, err)
	}
	for code, b := range badges {
		if code == "" || !goodID.MatchString(b.ID) || b.Name == "" {
			return nil, fmt.Errorf("%s: badge %q: %w", path, code, errBadges)
		}
	}
	return badges, nil
}

// SignIn implements ui.Badges.
func (d *desk) SignIn(ctx context.Context, code string) (ui.Operator, error) {
	who, known := d.badges[code]
	if d.badges == nil {
		who, known = badge{ID: code, Name: code}, goodID.MatchString(code)
	}
	if !known {
		denied := d.bench.said(ctx, "operator.login.fail", audit.Denied, "", map[string]string{"badge": code})
		return ui.Operator{}, errors.Join(fmt.Errorf("%w: %q", ui.ErrUnknownBadge, code), denied)
	}
	operator := ui.Operator{ID: who.ID, Name: who.Name}
	by := "badge"
	if d.badges == nil {
		by = "typed"
	}
	return operator, d.bench.said(ctx, "operator.login.ok", audit.Success, who.ID, map[string]string{"by": by})
}

// SignOut implements ui.Badges. Nothing starts by itself when nobody is there.
func (d *desk) SignOut(ctx context.Context, operator, why string) error {
	d.line.leaveAlone()
	return d.bench.said(ctx, "operator.logout", audit.Success, operator, map[string]string{"why": why})
}

// Search implements ui.History.
func (d *desk) Search(ctx context.Context, q ui.Query) ([]ui.Row, error) {
	found, err := d.bench.registry.SearchRuns(ctx, registry.Search{Text: q.Text, Ending: q.Ending, Since: q.Since, Limit: q.Limit})
	var rows []ui.Row
	for _, run := range found {
		id, bad := uuid.Parse(run.ID)
		at, worse := time.Parse(time.RFC3339Nano, run.Admitted)
		if err := errors.Join(bad, worse); err != nil {
			return nil, fmt.Errorf("reading Run %q: %w", run.ID, err)
		}
		rows = append(rows, ui.Row{Run: id, At: at, Bay: run.Bay, BoardID: run.BoardID.String(), Serial: run.Serial, Order: run.Order,
			Operator: run.Operator, Purpose: run.Purpose, Ending: run.Ending, Reason: run.Reason})
	}
	return rows, err
}

var errNoRun = errors.New("Run is not in the registry: it ended before the board was identified")

// Detail implements ui.Details.
func (d *desk) Detail(ctx context.Context, id uuid.UUID) (ui.Detail, error) {
	found, err := d.bench.registry.SearchRuns(ctx, registry.Search{Run: id.String()})
	if err != nil {
		return ui.Detail{}, err
	}
	if len(found) == 0 {
		return ui.Detail{}, errNoRun
	}
	run := found[0]
	detail := ui.Detail{Run: station.Run{ID: id, Bay: run.Bay, Operator: run.Operator, Order: run.Order, Rework: run.Rework,
		Purpose: run.Purpose, Ending: run.Ending, Reason: run.Reason}, BoardID: run.BoardID.String()}
	for text, into := range map[string]*time.Time{run.Admitted: &detail.Run.Started, run.Closed: &detail.Run.Finished} {
		if text == "" {
			continue
		}
		if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return ui.Detail{}, fmt.Errorf("reading Run %v: %w", id, err)
		}
	}
	if err := d.certificates(ctx, &detail, run); err != nil {
		return ui.Detail{}, err
	}
	return detail, d.entries(ctx, &detail, id.String())
}

// certificates adds the certificate of the Run and what the registry says of the board.
func (d *desk) certificates(ctx context.Context, detail *ui.Detail, run registry.FoundRun) error {
	rows, err := d.bench.registry.Certificates(ctx, registry.Filter{BoardID: run.BoardID})
	for _, c := range rows {
		if c.Run == run.ID {
			detail.Certificate = c.DER
		}
		detail.Registry = append(detail.Registry, ui.Fact{Name: c.Serial, Value: c.Status + ", " + c.Profile + ", " + c.Changed})
	}
	return err
}

func (d *desk) entries(ctx context.Context, detail *ui.Detail, run string) error {
	entries, err := d.bench.registry.EntriesOf(ctx, run)
	for _, e := range entries {
		text := string(e.Outcome) + " " + e.Actor.ID
		if e.Reason != "" {
			text += " " + e.Reason
		}
		detail.Audit = append(detail.Audit, ui.AuditEntry{Index: e.Seq, At: e.Time.Time, Type: e.Type, Text: text})
	}
	return err
}

// earlier implements ui.Options.Earlier: the Runs on record that were admitted in this shift, as far as numbers
// need them. Runs that never reached a board are on no record.
func (d *desk) earlier(ctx context.Context, began time.Time) ([]station.Run, error) {
	ends, err := d.bench.registry.EndsSince(ctx, began)
	var runs []station.Run
	for _, e := range ends {
		run, bad := closed(e)
		if bad != nil {
			return nil, fmt.Errorf("reading the Runs of the shift: entry %d: %w", e.Seq, bad)
		}
		runs = append(runs, run)
	}
	return runs, err
}

// closed reads a Run back from the entry that closed it.
func closed(e audit.Entry) (station.Run, error) {
	run := station.Run{Bay: e.Run.Bay, Operator: e.Run.Operator, Rework: e.Run.Rework, Finished: e.Time.Time, Reason: e.Reason}
	_, ending, _ := strings.Cut(e.Type, ".")
	run.Ending = station.Ending(ending)
	for _, step := range e.Run.Steps {
		run.Steps = append(run.Steps, station.StepTime{Name: step.Name, Retries: step.Retries,
			Took: time.Duration(step.TookUS) * time.Microsecond, Outside: time.Duration(step.OutsideUS) * time.Microsecond})
	}
	run.Purpose, run.Started = devices.Purpose(e.Run.Purpose), run.Finished
	for _, step := range run.Steps {
		run.Started = run.Started.Add(-step.Took)
	}
	board, err := devices.ParseBoardID(e.Board.ID)
	run.Identity = &devices.Identity{ID: board}
	id, bad := uuid.Parse(e.Run.ID)
	run.ID = id
	return run, errors.Join(err, bad)
}

// Copy implements ui.Copier: a file, because a bench has no clipboard that can be relied on.
func (d *desk) Copy(_ context.Context, text string) (string, error) {
	path := d.bench.state.in("copies", time.Now().UTC().Format("20060102T150405.000000000Z")+".txt")
	return path, writeFile(path, []byte(text))
}
