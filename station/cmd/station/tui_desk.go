package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"

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

// A desk implements ui.Badges, ui.History, ui.Details and ui.Copier.
type desk struct {
	bench  *bench
	line   *line
	badges map[string]badge // nil: the station has no badges.yaml, and operators type their id
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
	d.line.mu.Lock()
	d.line.automatic = false
	d.line.mu.Unlock()
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
		rows = append(rows, ui.Row{Run: id, At: at, Bay: run.Bay, BoardID: run.BoardID, Serial: run.Serial, Order: run.Order,
			Operator: run.Operator, Ending: run.Ending, Reason: run.Reason})
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
		Ending: run.Ending, Reason: run.Reason}, BoardID: run.BoardID}
	for text, into := range map[string]*time.Time{run.Admitted: &detail.Run.Started, run.Closed: &detail.Run.Finished} {
		if text == "" {
			continue
		}
		if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return ui.Detail{}, fmt.Errorf("reading Run %v: %w", id, err)
		}
	}
	if err := d.certificates(ctx, &detail, id.String()); err != nil {
		return ui.Detail{}, err
	}
	return detail, d.entries(ctx, &detail, id.String())
}

// certificates adds the certificate of the Run and what the registry says of the board.
func (d *desk) certificates(ctx context.Context, detail *ui.Detail, run string) error {
	rows, err := d.bench.registry.Certificates(ctx, registry.Filter{BoardID: detail.BoardID})
	for _, c := range rows {
		if c.Run == run {
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

// Copy implements ui.Copier: a file, because a bench has no clipboard that can be relied on.
func (d *desk) Copy(_ context.Context, text string) (string, error) {
	path := d.bench.state.in("copies", time.Now().UTC().Format("20060102T150405.000000000Z")+".txt")
	return path, writeFile(path, []byte(text))
}

// Examine implements ui.Doctor on the open bench.
func (d *desk) Examine(ctx context.Context) <-chan ui.Check {
	p := &patient{bench: d.bench}
	checks := make(chan ui.Check)
	go func() {
		defer close(checks)
		for _, e := range p.examinations() {
			do := e.do
			if open, opens := d.opened(p)[e.name]; opens {
				do = open
			}
			check := ui.Check{Name: e.name, State: ui.CheckOK}
			finding, err := do(ctx)
			check.Finding, _, _ = strings.Cut(finding, "\n") // rows are for the table of `station doctor`
			if errors.Is(err, errNotExamined) {
				check.State, check.Finding = ui.CheckNone, err.Error()
			} else if err != nil {
				check.State, check.Finding, check.Next = ui.CheckFail, err.Error(), e.next
			}
			select {
			case checks <- check:
			case <-ctx.Done():
				return
			}
		}
	}()
	return checks
}

// opened replaces the examinations that open something: here it is open, and must stay so.
func (d *desk) opened(p *patient) map[string]func(context.Context) (string, error) {
	return map[string]func(context.Context) (string, error){
		"configuration": func(context.Context) (string, error) {
			return fmt.Sprintf("station %q, profile %s", p.config.Station, p.profile.Name()), nil
		},
		"registry": func(context.Context) (string, error) {
			return fmt.Sprintf("open, %d entries in the audit log", p.registry.AuditSize()), nil
		},
		"HSM": func(context.Context) (string, error) {
			info := p.token.Info()
			text := fmt.Sprintf("%s %s, token %q, serial %s", info.Manufacturer, info.Model, info.Label, info.Serial)
			if info.Software {
				text += "; software, protects nothing"
			}
			return text, nil
		},
		"issuing key": func(ctx context.Context) (string, error) {
			signer, err := p.signer(ctx, p.config.Authority.IssuingLabel, p.issuing.PublicKey)
			if err != nil {
				return "", err
			}
			return prove(signer)
		},
		"audit key": func(context.Context) (string, error) { return prove(p.audit) },
		"verifier":  func(context.Context) (string, error) { return "listens, as " + p.verifier.ServerName(), nil },
	}
}
