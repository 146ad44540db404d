// Package html makes the report of an evidence bundle: one HTML file for people who read no log.
// The report follows from the entries, the checkpoint and the language alone, so the same export
// makes the same file.
package html

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hallmark/station/audit"
)

// Options say how a report is written.
type Options struct {
	Language   string // one of Languages
	Checkpoint []byte // the signed note over the entries; the report of a note over other entries shows size and root alone
}

// ErrLanguage: there is no such language.
var ErrLanguage = errors.New("the report has no such language")

// A Report takes the entries of a log in their order, and writes what they say. It keeps numbers
// and short lists, never the entries.
type Report struct {
	texts      texts
	checkpoint []byte

	station     string
	seen        int64 // entries
	first, last audit.Time
	types       tally[eventType]
	checkpoints int

	runs         runs
	certificates certificates
	orders       orders
	operators    operators
	timeline     timeline
	ceremony     ceremony
	events       map[section]*list
	bays         map[string]bool // stopped bays that nobody acknowledged
}

type eventType struct{ name, outcome string }

// New makes an empty report.
func New(o Options) (*Report, error) {
	read, ok := languages[o.Language]
	if !ok {
		return nil, fmt.Errorf("%w: %q; there are %s", ErrLanguage, o.Language, strings.Join(Languages(), ", "))
	}
	r := &Report{texts: read(), checkpoint: slices.Clone(o.Checkpoint), runs: newRuns(), certificates: newCertificates(), orders: newOrders(),
		operators: operators{}, timeline: newTimeline(), events: map[section]*list{}, bays: map[string]bool{}}
	for _, s := range sections {
		r.events[s] = &list{}
	}
	return r, nil
}

// format is the version of the form of a report. Each change of the template, the style sheet, a
// text or the entries of a section needs a new one: a checker compares a report of its own format octet for octet.
const format = 5

// made finds language and format in a report.
var made = regexp.MustCompile(`<html lang="([a-z]+)">\n<head>(?:\n<meta [^>]*>)*\n<meta name="generator" content="hallmark report ([0-9]+)">`)

// Again makes an empty report of the kind that was found. It returns nil for a report of another
// format.
func Again(found, checkpoint []byte) *Report {
	parts := made.FindSubmatch(found[:min(len(found), 1024)])
	if parts == nil || string(parts[2]) != strconv.Itoa(format) {
		return nil
	}
	report, err := New(Options{Language: string(parts[1]), Checkpoint: checkpoint})
	if err != nil {
		return nil
	}
	return report
}

// Add takes the next entry. An entry may lack any part.
func (r *Report) Add(entry *audit.Entry) {
	e := eventOf(entry)
	if r.seen == 0 || e.Time.Before(r.first.Time) {
		r.first = e.Time
	}
	if r.seen == 0 || e.Time.After(r.last.Time) {
		r.last = e.Time
	}
	if r.seen++; r.station == "" {
		r.station = e.station
	}
	r.types.add(eventType{e.kind, e.outcome})
	if e.kind == audit.TypeCheckpoint {
		r.checkpoints++
	}
	// 1. Certificates and work orders ask for the Run, which ends behind them.
	begun := r.runs.of(&e)
	r.certificates.add(&e)
	r.orders.add(&e, begun)
	r.operators.add(&e, begun)
	r.timeline.add(&e)
	r.runs.add(&e)
	// 2. What stands in the report word by word.
	r.ceremony.add(&e)
	r.noteBay(&e)
	if s, ok := sectionOf(&e); ok {
		r.events[s].add(&e)
	}
}

func (r *Report) noteBay(e *event) {
	switch e.kind {
	case "bay.stopped":
		if len(r.bays) < maxKinds {
			r.bays[shown(e.bay)] = true
		}
	case "bay.acknowledged":
		delete(r.bays, shown(e.details["bay"]))
	}
}

// Write writes the report about the entries that were added. head is what they prove.
func (r *Report) Write(w io.Writer, head audit.Head) error {
	view, err := r.page(head)
	if err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	if err := r.texts.template().Execute(w, view); err != nil {
		return fmt.Errorf("making the report: %w", err)
	}
	return nil
}

// note gives the checkpoint for paper. The signature is in it if the note is over this head.
func (r *Report) note(head audit.Head) (text string, signed bool) {
	lines := bytes.SplitN(r.checkpoint, []byte("\n"), 4)
	if len(lines) == 4 && string(lines[1]) == fmt.Sprint(head.Size) && string(lines[2]) == head.Root.String() {
		return string(r.checkpoint), true
	}
	origin, _, _ := strings.Cut(r.ceremony.details["vkey"], "+")
	return fmt.Sprintf("%s\n%d\n%v\n", origin, head.Size, head.Root), false
}
