package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
)

// The smallest terminal that the screen is laid out for.
const (
	minWidth  = 60
	minHeight = 16
)

type rect struct{ x, y, w, h int }

// View gives the screen as text with its escape sequences.
func (m Model) View() tea.View {
	if m.w == 0 || m.h == 0 {
		return tea.NewView("")
	}
	return tea.NewView(m.canvas(nil).String())
}

// canvas draws the screen. It draws on the spare canvas if that canvas has the right size. A panic while drawing becomes a message
// on the screen; Runs go on.
func (m *Model) canvas(spare *canvas) (c *canvas) {
	c = spare
	if c == nil || c.w != m.w || c.h != m.h {
		c = newCanvas(m.w, m.h, m.theme)
	}
	defer func() {
		if value := recover(); value != nil {
			c.blank()
			m.drawLines(c, plain, wrap(m.t("screen.panic", m.clean(fmt.Sprint(value))), max(20, m.w-1), 0, ""))
		}
	}()
	c.blank()
	if m.tooSmall() {
		m.drawTooSmall(c)
	} else {
		m.draw(c)
	}
	return c
}

func (m Model) tooSmall() bool { return m.w < minWidth || m.h < minHeight }

// drawTooSmall says that the terminal is too small, how many Runs there are, and which question is open.
func (m Model) drawTooSmall(c *canvas) {
	lines, _ := m.smallLines()
	m.drawLines(c, strong, lines)
}

// smallLines are the lines of a terminal that is too small. They report whether the go key does what they show: nobody can answer a
// question that is not on the screen as a whole.
func (m Model) smallLines() (lines []string, asks bool) {
	texts := []string{m.t("small.text", m.w, m.h, minWidth, minHeight)}
	d := m.dialog
	if d == nil {
		texts = append(texts, m.t("small.runs", m.busy()))
	} else if len(d.choices) == 0 {
		texts = append(texts, d.title, d.text, m.keys.Go.show+" "+m.keys.Go.does+m.theme.shapes.dot+m.keys.Cancel.show+" "+m.keys.Cancel.does)
	}
	if m.notice.bad {
		texts = append(texts, "! "+m.notice.text)
	}
	for _, text := range texts {
		lines = append(lines, wrap(text, m.w, 0, "")...)
	}
	return lines, d != nil && len(d.choices) == 0 && len(lines) <= m.h
}

func (m Model) drawLines(c *canvas, s style, lines []string) {
	for i, line := range lines {
		c.put(0, i, m.w, s, line)
	}
}

// body is the area between the message line and the footer.
func (m Model) body() rect { return rect{0, 3, m.w, m.h - 4} }

func (m Model) draw(c *canvas) {
	m.drawHeader(c)
	m.drawMessage(c)
	m.drawScreen(c, m.body())
	m.drawFooter(c)
	if m.helpShown {
		m.drawHelp(c)
	}
	switch {
	case m.field != nil && m.field.panel():
		m.drawPanel(c)
	case m.field != nil && m.field.purpose == fieldPalette:
		m.drawPalette(c)
	}
	if m.dialog != nil {
		m.drawDialog(c)
	}
}

func (m Model) drawScreen(c *canvas, r rect) {
	switch m.screen {
	case screenStart:
		m.drawStart(c, r)
	case screenDetail, screenLog:
		m.drawPane(c)
	case screenHistory:
		m.drawHistory(c, r)
	case screenDoctor:
		m.drawChecks(c, r)
	case screenNumbers:
		m.drawNumbers(c, r)
	default:
		m.drawDashboard(c, r)
	}
}

// drawHeader draws station, operator and time, and below them what is wrong, the work order and the endings of the shift.
func (m Model) drawHeader(c *canvas) {
	c.fill(0, 0, c.w, 2, bar, ' ')
	c.right(c.w-1, 0, 8, bar, clockTime(m.now))
	operator := m.t("header.nobody")
	if m.operator.ID != "" {
		operator = m.clean(m.operator.Name)
	}
	name, left := m.clean(m.o.Station), c.w-11
	end := c.put(1, 0, min(left/2, width(name)), bar, name)
	c.put(end+3, 0, left-end-3, bar, m.t("header.operator", operator))
	x := m.drawWrong(c, 1)
	x = m.drawOrder(c, x)
	x = m.drawCounts(c, x)
	if m.facts.Automatic {
		x = m.drawPart(c, x, m.t("header.automatic"))
	}
	m.drawLast(c, x)
}

// drawPart writes a text into the second row of the header, and gives the column for the next one. A text without room
// is left out.
func (m Model) drawPart(c *canvas, x int, text string) int {
	if x+width(text) >= c.w {
		return x
	}
	return c.put(x, 1, c.w-x-1, bar, text) + headerGap
}

// headerGap is the number of columns between two parts of the header, orderBar the length of the bar of a work order.
const headerGap, orderBar = 3, 16

// drawOrder draws the work order, and how far it is.
func (m Model) drawOrder(c *canvas, x int) int {
	o := m.facts.Order
	switch {
	case o.ID == "":
		return m.drawPart(c, x, m.t("header.noorder"))
	case o.Quota == 0:
		room := c.w - x - width(m.t("header.order", "", o.Count)) - width(m.countsText()) - 2*headerGap
		return m.drawPart(c, x, m.t("header.order", ends(m.clean(o.ID), max(8, room), m.theme.shapes.ellipsis), o.Count))
	}
	count := m.t("header.quota", o.Count, o.Quota)
	if o.Closed != "" {
		count += " " + m.t("header.orderclosed")
	}
	room := c.w - x - width(count) - width(m.countsText()) - 2*headerGap // a long id leaves room for the counts
	id := ends(m.clean(o.ID), max(8, room), m.theme.shapes.ellipsis)
	x = c.put(x, 1, c.w-x-1, bar, id) + 1
	if x+orderBar+1+width(count)+width(m.countsText()) < c.w-2*headerGap {
		full := int(min(orderBar, orderBar*o.Count/o.Quota))
		c.fill(x, 1, orderBar, 1, bar, m.theme.shapes.empty)
		c.fill(x, 1, full, 1, bar, m.theme.shapes.full)
		x += orderBar + 1
	}
	return m.drawPart(c, x, count)
}

func (m Model) drawCounts(c *canvas, x int) int { return m.drawPart(c, x, m.countsText()) }

// countsText says how many Runs of the shift ended in each way. Aborted ones are shown only if there are any.
func (m Model) countsText() string {
	var counts []string
	for _, e := range []station.Ending{station.Pass, station.Reject, station.Fault, station.Aborted} {
		if n := m.shift.endings[e]; n > 0 || e != station.Aborted {
			counts = append(counts, fmt.Sprintf("%c%d", m.theme.shapes.ending[e], n))
		}
	}
	return strings.Join(counts, " ")
}

// drawLast draws the shapes of the last endings at the right, the newest at the end.
func (m Model) drawLast(c *canvas, x int) {
	last := m.shift.last[max(0, len(m.shift.last)-max(0, c.w-1-x)):]
	for i, e := range last {
		c.put(c.w-1-len(last)+i, 1, 1, bar, string(m.theme.shapes.ending[e]))
	}
}

// drawWrong draws what is wrong with HSM, clock and audit log, and gives the column for the next part. What is well is in
// the numbers of the shift.
func (m Model) drawWrong(c *canvas, x int) int {
	add := func(wrong bool, s style, key string) {
		if wrong {
			x = c.put(x, 1, c.w-x-1, s, " "+m.t(key)+" ") + 1
		}
	}
	add(m.facts.HSM.State == HSMAway, barAlarm, "header.away")
	add(m.facts.ClockBad != "", barAlarm, "header.clockbad")
	add(m.factsBad != "", barAlarm, "header.blind")
	add(m.factsBad == "" && m.facts.AuditBad != "", barAlarm, "header.auditbad")
	add(m.facts.HSM.State == HSMSoftware, barWarn, "header.software")
	add(m.facts.Unwitnessed != "", barWarn, "header.unwitnessed")
	add(m.facts.ReportBad != "", barWarn, "header.reportbad")
	return x
}

// health says in one line how HSM, clock and audit log are.
func (m Model) health() string {
	parts := []string{m.t("header.closed"), m.t("header.clock"), m.t("header.audit", m.facts.Entries)}
	switch m.facts.HSM.State {
	case HSMReady:
		parts[0] = m.t("header.hsm")
	case HSMSoftware:
		parts[0] = m.t("header.software")
	case HSMAway:
		parts[0] = m.t("header.away")
	}
	if m.facts.ClockBad != "" {
		parts[1] = m.t("header.clockbad")
	}
	switch {
	case m.factsBad != "":
		parts[2] = m.t("header.blind")
	case m.facts.AuditBad != "":
		parts[2] = m.t("header.auditbad")
	case !m.facts.Checkpointed.IsZero():
		parts[2] = m.t("header.anchored", m.facts.Entries, coarse(m.now.Sub(m.facts.Checkpointed)))
	}
	return strings.Join(parts, m.theme.shapes.dot)
}

func (m Model) drawField(c *canvas, x, y, w int, label string) {
	end := c.put(x, y, w, strong, label+" ")
	text := m.clean(string(m.field.text))
	for width(text) > w-(end-x)-1 && text != "" {
		text = text[len(cut(text, 1)):] // show the end of a long text, where the operator types
	}
	c.put(end, y, w-(end-x), plain, text+"_")
}

// drawPanel draws the field for a badge or a work order over the middle of the screen.
func (m Model) drawPanel(c *canvas) {
	label := map[fieldPurpose]string{fieldBadge: "field.badge", fieldOrder: "field.order", fieldOpenOrder: "field.openorder", fieldRaiseOrder: "field.raiseorder"}[m.field.purpose]
	w := min(64, c.w-4)
	x, y := (c.w-w)/2, max(0, (c.h-7)/2)
	c.fill(x-1, y, w+2, 7, plain, ' ')
	c.box(x, y, w, 7, strong, m.theme.shapes.chosenFrame)
	asks := wrap(m.t(label), w-6, 2, m.theme.shapes.ellipsis) // above the field: in its row, a label would hide what is typed
	for n, line := range asks {
		c.put(x+3, y+3-len(asks)+n, w-6, plain, line)
	}
	m.drawField(c, x+3, y+3, w-6, string(m.theme.shapes.cursor))
	s, lines := dim, []string{m.footerHint()}
	if m.notice.bad { // what is wrong with the text stands where the person looks
		s, lines = faultText, wrap("! "+m.notice.text, w-6, 2, m.theme.shapes.ellipsis)
	}
	for n, line := range lines {
		c.put(x+3, y+6-len(lines)+n, w-6, s, line)
	}
}

// drawHelp lists every key of this screen, and why a key does nothing just now. The header stays
// visible. If one column is too high, the help has two columns.
func (m Model) drawHelp(c *canvas) {
	actions := slices.DeleteFunc(m.actions(), func(a action) bool {
		return a.key.moves()
	})
	columns, w := 1, min(c.w-4, 90)
	if len(actions)+3 > c.h-2 {
		columns, w = 2, c.w-2
	}
	rows := (len(actions) + columns - 1) / columns
	h := min(c.h-2, rows+3)
	x, y := (c.w-w)/2, 2+max(0, (c.h-2-h)/2)
	c.fill(x, y, w, h, plain, ' ')
	c.box(x, y, w, h, strong, m.theme.shapes.frame)
	c.centre(x, y, w, strong, " "+m.t("help.title")+" ")
	part := (w - 3) / columns
	for i, a := range actions {
		left, row := x+2+i/rows*part, y+1+i%rows
		s, text := plain, a.key.text()
		if columns > 1 {
			text = a.key.does
		}
		if why := a.remark(m); why != "" {
			s = dim
			if columns == 1 { // half a sentence helps nobody; the palette has the whole one
				text += ": " + why
			}
		}
		c.put(left, row, 7, keycap, a.key.show)
		c.put(left+7, row, part-8, s, text)
	}
	closes := m.t("help.close.page", m.keys.Go.show)
	if m.screen == screenDashboard { // elsewhere no digit chooses a bay
		closes = m.t("help.close", m.bayKey(0), m.bayKey(len(m.bays)-1), m.keys.Go.show)
	}
	c.put(x+2, y+h-2, w-4, strong, closes)
}

// local gives a time in the time zone of the screen. Times on record are in UTC.
func (m Model) local(at time.Time) time.Time { return at.In(m.now.Location()) }

func clockTime(at time.Time) string { return at.Format("15:04:05") }

// seconds shows how long something took: in milliseconds below a tenth of a second, in tenths below a
// hundred seconds, otherwise in minutes and seconds.
func seconds(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	switch {
	case d > 0 && d < time.Millisecond:
		return "<1 ms"
	case d > 0 && d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	if d < 100*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// coarse shows an age in its largest unit.
func coarse(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// ending names an ending in the operator's language.
func (m Model) ending(e station.Ending) string { return m.t("ending." + string(e)) }

// shaped names an ending with its shape.
func (m Model) shaped(e station.Ending) string {
	return string(m.theme.shapes.ending[e]) + " " + m.ending(e)
}

func (m Model) stepName(i int) string {
	if i < 0 || i >= len(m.o.Steps) {
		return m.t("step.start")
	}
	return m.stepText(m.o.Steps[i])
}

// waitText says what the running step waits for; empty: it does not say.
func (m Model) waitText(b *bay) string {
	if key := "wait." + string(b.waits); m.o.Texts.Has(key) {
		return m.t(key)
	}
	return ""
}

// nowText names the running step of a bay, with its progress if the step says how far it is.
func (m Model) nowText(b *bay) string {
	if b.moved.Total <= 0 {
		return m.stepName(b.step)
	}
	return m.t("tile.percent", m.stepName(b.step), b.moved.Percent())
}

// stepText names a step; the catalogue's keys have no spaces.
func (m Model) stepText(name string) string {
	if key := "step." + strings.ReplaceAll(name, " ", "-"); m.o.Texts.Has(key) {
		return m.t(key)
	}
	return m.clean(name)
}
