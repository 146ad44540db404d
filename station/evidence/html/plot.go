package html

import (
	"fmt"
	"strings"
)

// The plots are SVG. Their coordinates are those of the view box; the style sheet decides how
// large a plot is.
const (
	plotWidth, plotHeight         = 420.0, 200.0
	plotLeft, plotTop             = 40.0, 10.0
	plotRight, plotBottom         = plotWidth - 8, plotHeight - 26
	labelOffset                   = 16.0
	gap                   float64 = 0.15 // of a column
)

// A plot is what the template draws.
type plot struct {
	ID, Title, Description, Caption string
	Bars                            []bar
	Line                            string // path, empty: none
	Ticks                           []tick // of the y axis
	Labels                          []label
	Legend                          []string // classes of the bars
}

type bar struct{ X, Y, Width, Height, Class string }

type tick struct{ Y, LabelY, Text string }

type label struct{ X, Anchor, Text string }

func coordinate(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }

// top gives the end of the y axis: 1, 2, 4, 6 or 8 times a power of ten. Half of it is shown, too.
func top(highest int) int {
	for power := 1; ; power *= 10 {
		for _, step := range []int{1, 2, 4, 6, 8} {
			if step*power >= highest {
				return step * power
			}
		}
	}
}

func (p *plot) scale(t texts, highest int) func(int) float64 {
	end := top(highest)
	y := func(n int) float64 { return plotBottom - (plotBottom-plotTop)*float64(n)/float64(end) }
	values := []int{0, end / 2, end}
	if end < 2 {
		values = []int{0, end}
	}
	for _, value := range values {
		p.Ticks = append(p.Ticks, tick{coordinate(y(value)), coordinate(y(value) + 4), t.number(int64(value))})
	}
	return y
}

func (p *plot) label(columns []column, form string) {
	width := (plotRight - plotLeft) / float64(len(columns))
	last := len(columns) - 1
	p.Labels = append(p.Labels, label{coordinate(plotLeft), "start", columns[0].Start.Format(form)})
	if last >= 2 {
		p.Labels = append(p.Labels, label{coordinate(plotLeft + (float64(last/2)+0.5)*width), "middle", columns[last/2].Start.Format(form)})
	}
	if last > 0 {
		p.Labels = append(p.Labels, label{coordinate(plotRight), "end", columns[last].Start.Format(form)})
	}
}

// endingsPlot draws the Runs of each span as a column, one part for each ending.
func endingsPlot(t texts, columns []column, form string) plot {
	p := plot{ID: "plot-runs", Title: t.text("plot.runs"), Legend: endingOrder}
	highest := 1
	for _, c := range columns {
		highest = max(highest, c.Runs())
	}
	y := p.scale(t, highest)
	p.label(columns, form)
	width := (plotRight - plotLeft) / float64(len(columns))
	for i, c := range columns {
		below := 0
		for ending, n := range c.Endings {
			if n > 0 {
				p.Bars = append(p.Bars, bar{coordinate(plotLeft + (float64(i)+gap/2)*width), coordinate(y(below + n)),
					coordinate(width * (1 - gap)), coordinate(y(below) - y(below+n)), endingOrder[ending]})
			}
			below += n
		}
	}
	p.Description = t.text("plot.runs.description", t.number(int64(len(columns))), t.number(int64(highest)))
	return p
}

// issuedPlot draws how many certificates were issued up to the end of each span.
func issuedPlot(t texts, columns []column, form string) plot {
	p := plot{ID: "plot-issued", Title: t.text("plot.issued")}
	total := 0
	for _, c := range columns {
		total += c.Issued
	}
	y := p.scale(t, max(total, 1))
	p.label(columns, form)
	width, sum := (plotRight-plotLeft)/float64(len(columns)), 0
	path := fmt.Sprintf("M%s %s", coordinate(plotLeft), coordinate(y(0)))
	for i, c := range columns {
		sum += c.Issued
		path += fmt.Sprintf("L%s %s", coordinate(plotLeft+float64(i+1)*width), coordinate(y(sum)))
	}
	p.Line = path
	p.Description = t.text("plot.issued.description", t.number(int64(total)))
	return p
}

// Runs is how many Runs ended in the span.
func (c column) Runs() int { return c.Endings[0] + c.Endings[1] + c.Endings[2] + c.Endings[3] }
