package html

import (
	"cmp"
	"strings"

	"hallmark/station/audit"
)

// orders follows the work orders. A board counts for an order from its first intent on.
type orders struct {
	byID   map[string]*order
	all    []*order          // in the order of their first entries
	newest map[string]string // board: the order of its newest intent
}

type order struct {
	ID, Product     string
	Images          []string // SHA-256 of the firmware that its boards may run; empty: any
	Quota, Recorded int64    // Recorded: boards that the newest entry says were counted
	boards          map[string]counted
	Endings         [4]int
	Denied          int // signatures that were refused, as beyond the quota
}

// counted is one board of an order.
type counted struct {
	intents int
	state   string // begun, unresolved, issued, reworked
}

func newOrders() orders { return orders{byID: map[string]*order{}, newest: map[string]string{}} }

func (o *orders) add(e *event, begun begunRun) {
	if e.hasOrder && e.order != "" {
		o.of(e.order).take(e)
	}
	id := cmp.Or(e.order, begun.order)
	switch {
	case e.ending == pass && (e.passed == "issued" || e.passed == "reworked"):
		o.passed(e)
	case e.kind == "cert.issue.intent" && id == "":
		delete(o.newest, e.board)
	}
	if id == "" {
		return
	}
	switch row := o.of(id); e.kind {
	case "cert.issue.intent":
		o.newest[e.board] = id
		row.intended(e)
	case "cert.issue.failed":
		row.failed(e)
	case "cert.issue.unresolved":
		row.unresolved(e)
	case "cert.issue.denied":
		row.Denied++
	default:
		row.end(e)
	}
}

func (o *orders) of(id string) *order {
	if o.byID[id] == nil {
		o.byID[id] = &order{ID: id, boards: map[string]counted{}}
		o.all = append(o.all, o.byID[id])
	}
	return o.byID[id]
}

// passed notes the Pass of a board in the order for which its certificate was signed.
func (o *orders) passed(e *event) {
	row := o.byID[o.newest[e.board]]
	if row == nil {
		return
	}
	if b, ok := row.boards[e.board]; ok && b.state != "issued" && b.state != "reworked" {
		b.state = e.passed
		row.boards[e.board] = b
	}
}

func (o *order) take(e *event) {
	o.Product, o.Quota = cmp.Or(e.product, o.Product), cmp.Or(e.quota, o.Quota)
	if e.kind == audit.TypeOrderOpened || e.kind == audit.TypeOrderRevised {
		o.Images = strings.FieldsFunc(clean(e.details["firmware_allow"]), func(r rune) bool { return r == ',' })
	}
	if e.kind == "cert.issue.intent" || e.kind == "cert.issue.failed" {
		o.Recorded = e.counted
	}
}

func (o *order) intended(e *event) {
	b := o.boards[e.board]
	b.intents, b.state = b.intents+1, cmp.Or(b.state, "begun")
	o.boards[e.board] = b
}

// failed takes a board out again whose only signature was not made.
func (o *order) failed(e *event) {
	b, ok := o.boards[e.board]
	if b.intents--; !ok || b.intents > 0 {
		if ok {
			o.boards[e.board] = b
		}
		return
	}
	delete(o.boards, e.board)
}

func (o *order) unresolved(e *event) {
	if b, ok := o.boards[e.board]; ok && b.state == "begun" {
		b.state = "unresolved"
		o.boards[e.board] = b
	}
}

func (o *order) end(e *event) {
	for i, ending := range endingOrder {
		if e.ending == ending {
			o.Endings[i]++
		}
	}
}

// state counts the boards in a state.
func (o *order) state(state string) (n int64) {
	for _, b := range o.boards {
		if b.state == state {
			n++
		}
	}
	return n
}

// Issued and the other methods are the parts of the quota.
func (o *order) Issued() int64     { return o.state("issued") }
func (o *order) Reworked() int64   { return o.state("reworked") }
func (o *order) Unresolved() int64 { return o.state("unresolved") }
func (o *order) Begun() int64      { return o.state("begun") }

// Left is how many boards of the order have not begun. It is negative if there are more boards than ordered.
func (o *order) Left() int64 { return o.Quota - int64(len(o.boards)) }

// Holds reports whether the entries agree with the count that the station recorded.
func (o *order) Holds() bool { return o.Left() >= 0 && o.Recorded == int64(len(o.boards)) }
