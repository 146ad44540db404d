package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hallmark/station"
)

// The numbers of a shift: rate and takt at the top, endings and reasons at the left, the times of the steps at
// the right, the passes over time at the bottom.

func (m Model) drawNumbers(c *canvas, r rect) {
	title := m.t("numbers.title", m.shift.began.Format("15:04"))
	c.put(r.x+1, r.y, r.w, strong, title)
	c.right(r.x+r.w-1, r.y, r.w-width(title)-3, dim, m.health())
	m.drawRate(c, r.x+1, r.y+1, r.w-2)
	half, rows := r.w/2, r.h-9
	if rows < leastEndings { // the endings come before the spark
		rows = r.h - 5
	} else {
		high := m.sparkRows(rows)
		m.drawSpark(c, rect{r.x + 1, r.y + r.h - 2 - high, r.w - 2, high})
		rows -= high - 1
	}
	m.drawEndings(c, rect{r.x + 1, r.y + 5, half - 2, rows})
	m.drawStepTimes(c, rect{r.x + half, r.y + 5, half - 1, rows})
}

// leastEndings is the number of rows for the endings: a title, and one for each.
const leastEndings = 5

// rate shows the boards per hour, or the time from which the number is known.
func (m Model) rate() string {
	switch working := m.shift.working(); {
	case working.IsZero():
		return m.theme.shapes.none
	case m.now.Sub(working) < enough:
		return m.theme.shapes.none + " " + m.t("numbers.from", clockTime(m.local(working.Add(enough))))
	}
	return fmt.Sprintf("%.0f", m.shift.perHour(m.now))
}

// seconds shows how long something took, with the decimal mark of the language.
func (m Model) seconds(took time.Duration) string { return m.decimal(seconds(took)) }

// decimal gives a number of Go the decimal mark of the language.
func (m Model) decimal(number string) string {
	return strings.Replace(number, ".", m.t("number.decimal"), 1)
}

func (m Model) drawRate(c *canvas, x, y, w int) {
	takt, s, target := m.theme.shapes.none, strong, ""
	if actual := m.shift.takt(m.now); actual > 0 {
		takt = m.seconds(actual)
		if m.o.Takt > 0 && actual > m.o.Takt {
			s = faultText
		}
	}
	if m.o.Takt > 0 {
		target = " / " + m.seconds(m.o.Takt)
	}
	good, all := m.shift.firstPass()
	yield := m.theme.shapes.none
	if all > 0 {
		yield = m.decimal(fmt.Sprintf("%.1f", 100*float64(good)/float64(all))) + fmt.Sprintf(" %% (%d/%d)", good, all)
	}
	cells := []struct {
		label, value string
		s            style
	}{{"numbers.rate", m.rate(), strong}, {"numbers.takt", takt + target, s}, {"numbers.yield", yield, strong}}
	part := w / len(cells)
	for i, cell := range cells {
		c.put(x+i*part, y+1, part-1, dim, m.t(cell.label))
		c.put(x+i*part, y+2, part-1, cell.s, cell.value)
	}
}

func (m Model) drawEndings(c *canvas, r rect) {
	y := r.y
	c.put(r.x, y, r.w, strong, m.t("numbers.endings"))
	for _, e := range []station.Ending{station.Pass, station.Reject, station.Fault, station.Aborted} {
		y++
		_, s := endingStyles(e)
		c.put(r.x+1, y, r.w-8, s, m.shaped(e))
		c.right(r.x+r.w, y, 7, strong, fmt.Sprint(m.shift.endings[e]))
	}
	for _, reason := range m.shift.ranked() {
		y++
		if y >= r.y+r.h {
			return
		}
		text := string(m.theme.shapes.ending[reason.ending]) + " " + m.whyText(reason.ending, station.Outcome(reason.reason), reason.reason)
		c.put(r.x+3, y, r.w-10, plain, text)
		c.right(r.x+r.w, y, 7, plain, fmt.Sprint(m.shift.reasons[reason]))
	}
}

func (m Model) drawStepTimes(c *canvas, r rect) {
	mark := string(m.theme.shapes.now) + " "
	c.put(r.x, r.y, r.w, strong, m.t("numbers.steps", mark+m.t("numbers.bottleneck")))
	longest := m.shift.steps[m.shift.busiest].mean()
	for i, name := range m.o.Steps {
		sum, y := m.shift.steps[name], r.y+1+i
		if y >= r.y+r.h {
			return
		}
		s := plain
		if name == m.shift.busiest && sum.count > 0 {
			s = faultText
			c.put(r.x, y, 2, s, mark)
		}
		c.put(r.x+2, y, 13, s, m.stepText(name))
		took := m.theme.shapes.none
		if sum.count > 0 {
			took = m.seconds(sum.mean())
		}
		c.right(r.x+23, y, 8, s, took)
		length := 0
		if longest > 0 {
			length = int(time.Duration(max(0, r.w-24)) * sum.mean() / longest)
		}
		c.put(r.x+24, y, r.w-24, s, strings.Repeat(string(m.theme.shapes.thin), length))
	}
}

// sparkRows is the height of the passes over time, 1 to 6 rows, where there are rows for endings and reasons and steps.
func (m Model) sparkRows(rows int) int {
	if m.theme.shapes.spark[len(m.theme.shapes.spark)-1] != m.theme.shapes.full {
		return 1 // characters that do not fill their cell cannot stand on each other
	}
	return max(1, min(6, rows-1-max(len(m.o.Steps), leastEndings+len(m.shift.ranked()))))
}

// drawSpark draws the passes over time in a title and r.h rows. A time without a pass has the lowest mark.
func (m Model) drawSpark(c *canvas, r rect) {
	c.put(r.x, r.y, r.w, strong, m.t("numbers.spark"))
	counts := m.shift.spark(m.now, r.w)
	most := max(1, slices.Max(append(counts, 0)))
	marks := m.theme.shapes.spark
	for row := range r.h {
		var line strings.Builder
		for _, count := range counts {
			switch level := count*(len(marks)*r.h-1)/most - row*len(marks); {
			case row > 0 && level < 0:
				line.WriteRune(' ')
			default:
				line.WriteRune(marks[min(max(0, level), len(marks)-1)])
			}
		}
		c.put(r.x, r.y+r.h-row, r.w, passText, line.String())
	}
}

// tookOf finds the time of a step that has ended.
func tookOf(run *station.Run, name string) (time.Duration, bool) {
	for i := len(run.Steps) - 1; i >= 0; i-- {
		if run.Steps[i].Name == name {
			return run.Steps[i].Took, true
		}
	}
	return 0, false
}
