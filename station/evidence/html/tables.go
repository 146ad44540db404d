package html

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"hallmark/station/audit"
)

// maxOrders is how many work orders the report shows, the newest ones.
const maxOrders = 200

func (r *Report) orderTable(view *page) {
	view.OrdersLeftOut = max(0, len(r.orders.all)-maxOrders)
	view.Orders = r.orders.all[view.OrdersLeftOut:]
}

// numberRow makes a row of a name and a number.
func (r *Report) numberRow(name string, n int) row {
	return row{Cells: []string{name, r.texts.count(n)}}
}

func (r *Report) certificateTables(view *page) {
	t, results := r.texts, r.certificates.results()
	byStatus, revoked := r.certificates.byStatus()
	view.Intents = []row{r.numberRow(t.text("intent.issued"), results[issued]), r.numberRow(t.text("intent.failed"), results[failed]),
		r.numberRow(t.text("intent.unresolved", t.count(revoked)), results[unresolved]), r.numberRow(t.text("intent.open"), results[open]),
		r.numberRow(t.text("intent.total"), len(r.certificates.bySerial))}
	view.Intents[len(view.Intents)-1].Total = true
	for _, status := range append(slices.Clone(statuses), "other") {
		if byStatus[status] > 0 || status == "active" {
			view.Statuses = append(view.Statuses, r.numberRow(t.text("status."+status), byStatus[status]))
		}
	}
	view.Statuses = append(view.Statuses, r.numberRow(t.text("status.total"), results[issued]))
	view.Statuses[len(view.Statuses)-1].Total = true
	for _, word := range r.certificates.denied.sorted(cmp.Compare[string]) {
		view.Denied = append(view.Denied, r.numberRow(cmp.Or(word, "–"), r.certificates.denied.counts[word]))
	}
}

func (r *Report) runTables(view *page) {
	t, total := r.texts, r.runs.ended.total()
	for _, ending := range endingOrder {
		n := r.runs.ended.counts[ending]
		view.Ended = append(view.Ended, row{Cells: []string{t.text("ending." + ending), t.count(n), t.percent(n, total)}})
		if ending != pass {
			continue
		}
		for _, outcome := range r.runs.outcomes.sorted(cmp.Compare[string]) {
			n := r.runs.outcomes.counts[outcome]
			view.Ended = append(view.Ended, row{Cells: []string{t.text("pass.of", t.word("outcome", cmp.Or(outcome, "unknown"))), t.count(n), t.percent(n, total)}})
		}
	}
	view.Ended = append(view.Ended, row{Cells: []string{t.text("runs.total"), t.count(total), t.percent(total, total)}, Total: true})
	for _, why := range r.runs.reasons.sorted(func(a, b runReason) int { return cmp.Or(cmp.Compare(a.ending, b.ending), cmp.Compare(a.word, b.word)) }) {
		n := r.runs.reasons.counts[why]
		view.Reasons = append(view.Reasons, row{Cells: []string{t.text("ending." + why.ending), cmp.Or(why.word, "–"), t.count(n), t.percent(n, total)}})
	}
	for _, name := range r.runs.stepOrder {
		s := r.runs.steps[name]
		view.Steps = append(view.Steps, row{Cells: []string{t.word("step", strings.ReplaceAll(name, " ", "-")), t.number(s.Count), t.milliseconds(float64(s.total) / float64(s.Count)),
			t.milliseconds(float64(s.longestUS)), t.number(s.Retries)}})
	}
}

func (r *Report) plots(view *page) {
	columns := r.timeline.columns()
	if len(columns) == 0 {
		return
	}
	form := "2006-01-02"
	switch width := r.timeline.width; {
	case width < time.Minute:
		form = "15:04:05"
	case width < day:
		form = "01-02 15:04"
	}
	view.Span = spanText(r.timeline.width)
	view.Plots = []plot{endingsPlot(r.texts, columns, form), issuedPlot(r.texts, columns, form)}
	for _, c := range columns {
		if c.Runs()+c.Issued > 0 {
			view.Columns = append(view.Columns, columnRow{momentOf(audit.Time{Time: c.Start}), c})
		}
	}
}

// stopped gives the bays that are stopped, in order.
func (r *Report) stopped() []string { return slices.Sorted(maps.Keys(r.bays)) }

func (r *Report) typeTable() (rows []row) {
	t := r.texts
	for _, kind := range slices.SortedFunc(maps.Keys(r.types.counts), func(a, b eventType) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.outcome, b.outcome))
	}) {
		rows = append(rows, row{Cells: []string{cmp.Or(kind.name, "–"), t.word("outcome", kind.outcome), t.count(r.types.counts[kind])}})
	}
	if r.types.others > 0 {
		rows = append(rows, row{Cells: []string{t.text("types.others"), "", t.count(r.types.others)}})
	}
	return append(rows, row{Cells: []string{t.text("types.total"), "", t.number(r.seen)}, Total: true})
}
