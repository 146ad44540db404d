package operate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/registry"
)

// Query selects Runs: those that match all fields that are not zero.
type Query struct {
	Text    string // part of a BoardID, of a serial number in hex, or of a work order
	Ending  station.Ending
	Outcome station.Outcome // of a Pass
	Since   time.Time
	Limit   int
}

// Row is one Run on record.
type Row struct {
	Run      uuid.UUID
	At       time.Time
	Bay      string
	BoardID  string
	Serial   string // of the certificate in hex, empty when the Run has none
	Order    string
	Operator string
	Purpose  devices.Purpose
	Ending   station.Ending
	Outcome  station.Outcome // of a Pass; empty for a Pass of registry schema 2
	Reason   string
}

// Detail is everything about one Run. Fields that are not known are left zero.
type Detail struct {
	Run         station.Run // the fields that the registry keeps
	BoardID     string      // also set when Run.Identity is not on record
	Certificate []byte      // DER
	CSR         []byte      // DER
	Registry    []Fact      // the registry's certificates of the board
	Audit       []AuditEntry
}

// Fact is one line of a table. Name is shown as the text "fact.NAME" of the
// catalogue if there is such a text, otherwise as it is.
type Fact struct{ Name, Value string }

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	Index int64
	At    time.Time
	Type  string
	Text  string
}

// A History reads Runs from the registry.
type History struct{ Registry *registry.Reader }

// Search finds Runs, newest first.
func (h History) Search(ctx context.Context, q Query) ([]Row, error) {
	found, err := h.Registry.SearchRuns(ctx, registry.Search{Text: q.Text, Ending: q.Ending, Since: q.Since, Limit: q.Limit})
	var rows []Row
	for _, run := range found {
		id, bad := uuid.Parse(run.ID)
		at, worse := time.Parse(time.RFC3339Nano, run.Begun)
		if err := errors.Join(bad, worse); err != nil {
			return nil, fmt.Errorf("reading Run %q: %w", run.ID, err)
		}
		rows = append(rows, Row{Run: id, At: at, Bay: run.Bay, BoardID: boardText(run.BoardID), Serial: run.Serial, Order: run.Order,
			Operator: run.Operator, Purpose: run.Purpose, Ending: run.Ending, Outcome: run.Outcome, Reason: run.Reason})
	}
	return rows, err
}

var errNoRun = errors.New("Run is not in the registry: it ended before the board was identified")

// boardText gives a BoardID for people, and nothing for a board that did not say who it is.
func boardText(id devices.BoardID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// Detail reads one Run.
func (h History) Detail(ctx context.Context, id uuid.UUID) (Detail, error) {
	found, err := h.Registry.SearchRuns(ctx, registry.Search{Run: id.String()})
	if err != nil {
		return Detail{}, err
	}
	if len(found) == 0 {
		return Detail{}, errNoRun
	}
	run := found[0]
	detail := Detail{Run: station.Run{ID: id, Bay: run.Bay, Operator: run.Operator, Order: run.Order, Rework: run.Rework,
		Purpose: run.Purpose, Ending: run.Ending, Outcome: run.Outcome, Reason: run.Reason}, BoardID: boardText(run.BoardID)}
	for text, into := range map[string]*time.Time{run.Begun: &detail.Run.Started, run.Closed: &detail.Run.Finished} {
		if text == "" {
			continue
		}
		if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return Detail{}, fmt.Errorf("reading Run %v: %w", id, err)
		}
	}
	if err := h.certificates(ctx, &detail, run); err != nil {
		return Detail{}, err
	}
	return detail, h.entries(ctx, &detail, id.String())
}

// certificates adds the certificate of the Run, and a Fact for each certificate of the board.
func (h History) certificates(ctx context.Context, detail *Detail, run registry.FoundRun) error {
	if run.BoardID.IsZero() {
		return nil // the board did not say who it is
	}
	rows, err := h.Registry.Certificates(ctx, registry.Filter{BoardID: run.BoardID})
	for _, c := range rows {
		if c.Run == run.ID {
			detail.Certificate = c.DER
		}
		detail.Registry = append(detail.Registry, Fact{Name: c.Serial, Value: c.Status + ", " + c.Profile + ", " + c.Changed})
	}
	return err
}

// entries adds the audit entries of the Run.
func (h History) entries(ctx context.Context, detail *Detail, run string) error {
	entries, err := h.Registry.EntriesOf(ctx, run)
	for _, e := range entries {
		text := string(e.Outcome) + " " + e.Actor.ID
		if e.Reason != "" {
			text += " " + e.Reason
		}
		detail.Audit = append(detail.Audit, AuditEntry{Index: e.Seq, At: e.Time.Time, Type: e.Type, Text: text})
		if _, ending, _ := strings.Cut(e.Type, "."); e.Run != nil && station.Ending(ending) == detail.Run.Ending {
			detail.Run.Steps, detail.Run.Wire = stepsOf(e), wireOf(e)
			detail.Run.Probe, detail.Run.Flash, detail.Run.Lock = registry.ProbePart(e)
		}
	}
	return err
}

// stepsOf gives the step times that the entry which closed a Run has.
func stepsOf(e audit.Entry) (steps []station.StepTime) {
	for _, step := range e.Run.Steps {
		steps = append(steps, station.StepTime{Name: step.Name, Retries: step.Retries,
			Took: time.Duration(step.TookUS) * time.Microsecond, Outside: time.Duration(step.OutsideUS) * time.Microsecond})
	}
	return steps
}

// wireOf gives the counters that the entry which closed a Run has. A counter that is missing is 0.
func wireOf(e audit.Entry) devices.WireCount {
	count := func(name string) int64 {
		n, err := strconv.ParseInt(e.Details[name], 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return devices.WireCount{Sent: count("wire_sent"), Received: count("wire_received"), Retries: int(count("wire_retries"))}
}

// Earlier returns the recorded Runs that were admitted at began or later. Each Run has only
// the fields that the numbers of a shift need. A Run that never reached a board is not on record.
func (h History) Earlier(ctx context.Context, began time.Time) ([]station.Run, error) {
	ends, err := h.Registry.EndsSince(ctx, began)
	var runs []station.Run
	for _, e := range ends {
		run, bad := closedRun(e)
		if bad != nil {
			return nil, fmt.Errorf("reading the Runs of the shift: entry %d: %w", e.Seq, bad)
		}
		runs = append(runs, run)
	}
	return runs, err
}

// closedRun makes a Run from the audit entry that closed the Run.
func closedRun(e audit.Entry) (station.Run, error) {
	if e.Run == nil {
		return station.Run{}, fmt.Errorf("%s without a Run", e.Type)
	}
	run := station.Run{Bay: e.Run.Bay, Operator: e.Run.Operator, Rework: e.Run.Rework, Finished: e.Time.Time, Reason: e.Reason}
	_, ending, _ := strings.Cut(e.Type, ".")
	run.Ending = station.Ending(ending)
	run.Steps, run.Wire, run.Outcome = stepsOf(e), wireOf(e), station.Outcome(e.Run.Outcome)
	run.Purpose, run.Started = devices.Purpose(e.Run.Purpose), run.Finished
	for _, step := range run.Steps {
		run.Started = run.Started.Add(-step.Took)
	}
	id, err := uuid.Parse(e.Run.ID)
	run.ID = id
	if e.Board == nil {
		return run, err
	}
	board, bad := devices.ParseBoardID(e.Board.ID)
	run.Identity = &devices.Identity{ID: board}
	return run, errors.Join(err, bad)
}
