package html

import (
	"fmt"
	"time"

	"hallmark/station/audit"
)

// summary makes what stands first: the sums that must hold, and the figures.
func (r *Report) summary(view *page, head audit.Head) {
	t, results := r.texts, r.certificates.results()
	unfinished := len(r.runs.open)
	view.Checks = []check{
		{r.seen == head.Size, t.text("check.entries", t.number(r.seen), t.number(head.Size))},
		{results[open] == 0, t.text("check.intents", t.count(len(r.certificates.bySerial)), t.count(results[issued]), t.count(results[failed]),
			t.count(results[unresolved]), t.count(results[open]))},
		{r.certificates.strays == 0, t.text("check.strays", t.count(r.certificates.strays))},
		{r.runs.strays == 0, t.text("check.runs", t.count(r.runs.admitted), t.count(r.runs.refused), t.count(r.runs.ended.total()), t.count(unfinished), t.count(r.runs.strays))},
		r.ordersCheck(),
	}
	met, passed, first := r.runs.yield()
	count := func(name string, n int, note string) {
		view.Figures = append(view.Figures, figure{t.count(n), t.text(name), note})
	}
	count("figure.met", met, "")
	count("figure.passed", passed, t.text("figure.yield", t.percent(passed, met)))
	count("figure.first", first, t.text("figure.first.yield", t.percent(first, met)))
	for _, outcome := range []string{"issued", "reworked", "confirmed"} {
		count("figure."+outcome, r.runs.outcomes.counts[outcome], "")
	}
	byStatus, _ := r.certificates.byStatus()
	count("figure.active", byStatus["active"], "")
	count("figure.unresolved", results[unresolved], "")
}

func (r *Report) ordersCheck() check {
	wrong := 0
	for _, o := range r.orders.all {
		if !o.Holds() {
			wrong++
		}
	}
	return check{wrong == 0, r.texts.text("check.orders", r.texts.count(len(r.orders.all)), r.texts.count(wrong))}
}

// spanText gives a span of whole seconds, minutes, hours or days.
func spanText(width time.Duration) string {
	switch {
	case width < time.Minute:
		return fmt.Sprintf("%d\u00a0s", width/time.Second)
	case width < time.Hour:
		return fmt.Sprintf("%d\u00a0min", width/time.Minute)
	case width < day:
		return fmt.Sprintf("%d\u00a0h", width/time.Hour)
	}
	return fmt.Sprintf("%d\u00a0d", width/day)
}
