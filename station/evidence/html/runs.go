package html

import (
	"cmp"
	"maps"
	"slices"

	"hallmark/station/audit"
)

// The endings of a Run.
const (
	pass    = "pass"
	reject  = "reject"
	fault   = "fault"
	aborted = "aborted"
)

var endings = map[string]bool{pass: true, reject: true, fault: true, aborted: true}

// endingOrder is the order in which endings stand in tables and plots.
var endingOrder = []string{pass, reject, fault, aborted}

// runs counts Runs and boards.
type runs struct {
	open              map[string]begunRun // admitted Runs without an end, by id
	admitted, refused int
	strays            int // Runs that end and never began
	ended             tally[string]
	outcomes          tally[string]
	reasons           tally[runReason]
	boards            map[key]boardRuns
	steps             map[string]*stepTimes
	stepOrder         []string
}

type begunRun struct{ order, operator string }

type runReason struct{ ending, word string }

// boardRuns is what happened to one board.
type boardRuns struct {
	firstPassed, passed, ended bool
}

type stepTimes struct {
	Name             string
	Count, Retries   int64
	total, longestUS int64
}

func newRuns() runs {
	return runs{open: map[string]begunRun{}, boards: map[key]boardRuns{}, steps: map[string]*stepTimes{}}
}

// of gives what is known of the Run of an entry from the entry that admitted its board.
func (r *runs) of(e *event) begunRun { return r.open[e.run] }

func (r *runs) add(e *event) {
	switch {
	case e.kind == "board.admitted":
		r.admitted++
		r.open[e.run] = begunRun{e.order, e.operator}
	case e.ending != "":
		r.end(e)
	}
}

func (r *runs) end(e *event) {
	_, begun := r.open[e.run]
	switch {
	case e.details["admitted"] == "false":
		r.refused++
	case !begun:
		r.strays++
	}
	delete(r.open, e.run)
	r.ended.add(e.ending)
	if e.ending == pass {
		r.outcomes.add(e.passed)
	} else {
		r.reasons.add(runReason{e.ending, e.reason})
	}
	if e.board != "" {
		board := keyOf(e.board)
		b := r.boards[board]
		b.firstPassed = b.firstPassed || !b.ended && e.ending == pass
		b.passed, b.ended = b.passed || e.ending == pass, true
		r.boards[board] = b
	}
	r.time(e.steps)
}

// maxSteps is how many different steps are counted. A Run has about ten.
const maxSteps = 32

func (r *runs) time(steps []audit.Step) {
	for _, step := range steps {
		name := clean(step.Name)
		s := r.steps[name]
		if s == nil && len(r.steps) >= maxSteps {
			continue
		}
		if s == nil {
			s = &stepTimes{Name: name}
			r.steps[name], r.stepOrder = s, append(r.stepOrder, name)
		}
		took := min(max(step.TookUS, 0), int64(1e12)) // a Run of twelve days is made up
		s.Count, s.Retries, s.total = s.Count+1, s.Retries+int64(step.Retries), s.total+took
		s.longestUS = max(s.longestUS, took)
	}
}

// yield counts boards: those that a Run met, those that passed, and those whose first Run passed.
func (r *runs) yield() (met, passed, first int) {
	for _, b := range r.boards {
		if b.passed {
			passed++
		}
		if b.firstPassed {
			first++
		}
	}
	return len(r.boards), passed, first
}

// operators counts what each operator did.
type operators map[string]*operator

type operator struct {
	Name            string
	Endings         [4]int // as endingOrder
	In, Out, Denied int    // sign-ins, sign-outs, refused sign-ins
}

func (o operators) add(e *event, begun begunRun) {
	switch {
	case e.ending != "":
		if i := slices.Index(endingOrder, e.ending); i >= 0 {
			o.of(cmp.Or(e.operator, begun.operator)).Endings[i]++
		}
	case e.kind == "operator.login.ok":
		o.of(e.actor).In++
	case e.kind == "operator.logout":
		o.of(e.actor).Out++
	case e.kind == "operator.login.fail":
		o.of("").Denied++
	}
}

// of gives the row of an operator. A log that somebody made up may name a new one in each entry:
// beyond maxKinds they share the row without a name.
func (o operators) of(name string) *operator {
	if o[name] == nil && len(o) >= maxKinds {
		name = ""
	}
	if o[name] == nil {
		o[name] = &operator{Name: name}
	}
	return o[name]
}

func (o operators) sorted() []*operator {
	return slices.SortedFunc(maps.Values(o), func(a, b *operator) int { return cmp.Compare(a.Name, b.Name) })
}

// Runs is how many Runs of the operator ended.
func (o *operator) Runs() int { return o.Endings[0] + o.Endings[1] + o.Endings[2] + o.Endings[3] }
