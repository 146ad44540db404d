package ui

import (
	"fmt"
	"strings"
)

// Pages are texts that may be longer than the screen: detail, log, doctor.

type textLine struct {
	s    style
	text string
}

// A page collects the lines of a text. Headings have another style.
type page struct {
	m     Model
	w     int
	lines []textLine
}

func (p *page) head(key string) {
	if len(p.lines) > 0 {
		p.lines = append(p.lines, textLine{})
	}
	p.lines = append(p.lines, textLine{strong, p.m.t(key)})
}

// column is where the values begin. In a narrow page, names give room to values: a BoardID needs 36 columns.
func (p *page) column() int {
	if p.w < 60 {
		return 16
	}
	return 20
}

// fact writes a name and a value. A long value takes several lines.
func (p *page) fact(name, value string) {
	if value == "" {
		return
	}
	label := "  " + clip(name, p.column()-3, p.m.theme.shapes.ellipsis)
	p.text(plain, label+strings.Repeat(" ", max(1, p.column()-width(label))), value)
}

// namedFact is fact with a name from the catalogue.
func (p *page) namedFact(key, value string) { p.fact(p.m.t("fact."+key), value) }

// text writes foreign text of any length behind a label. Line breaks are kept, long lines are wrapped, and nothing is
// cut.
func (p *page) text(s style, label, value string) {
	blank := strings.Repeat(" ", width(label))
	for _, line := range strings.Split(strings.TrimRight(value, "\r\n"), "\n") {
		wrapped := wrap(p.m.cleanText(strings.TrimRight(line, "\r")), max(10, p.w-width(label)), 0, "")
		if len(wrapped) == 0 {
			wrapped = []string{""}
		}
		for _, part := range wrapped {
			p.lines = append(p.lines, textLine{s, strings.TrimRight(label+part, " ")})
			label = blank
		}
	}
}

// pane gives the area of this screen for a long text, and the text.
func (m Model) pane() (rect, []textLine) {
	r := m.body()
	switch m.screen {
	case screenDetail:
		return r, m.detailLines(r.w - 2)
	case screenLog:
		return r, m.logLines(r.w - 2)
	case screenDoctor:
		return rect{r.x, r.y + 2, r.w, r.h - 5}, m.checkLines(r.w-2, false)
	case screenStart:
		return rect{r.x, r.y + 3, r.w, r.h - 6}, m.checkLines(r.w-2, true)
	}
	return r, nil
}

// visible is how many lines of a text are shown in h rows: the last row is for the hint when there are more.
func visible(lines, h int) int {
	if lines > h {
		return max(1, h-1)
	}
	return h
}

// maxScroll is the number of lines by which the text of this screen can be scrolled.
func (m Model) maxScroll() int {
	r, lines := m.pane()
	return max(0, len(lines)-visible(len(lines), r.h))
}

func (m Model) drawPane(c *canvas) {
	r, lines := m.pane()
	rows := visible(len(lines), r.h)
	top := min(m.scroll, max(0, len(lines)-rows))
	for i, line := range lines[top:min(len(lines), top+rows)] {
		c.put(r.x+1, r.y+i, r.w-2, line.s, line.text)
	}
	if below := len(lines) - top - rows; below > 0 {
		c.right(r.w-1, r.y+r.h-1, r.w, barWarn, " "+m.t("lines.more", below)+" ")
	}
}

func (m Model) logLines(w int) []textLine {
	p := &page{m: m, w: w}
	p.head("log.title")
	if len(m.log) == 0 {
		p.lines = append(p.lines, textLine{dim, "  " + m.t("log.empty")})
	}
	for i := len(m.log) - 1; i >= 0; i-- { // newest first
		line, s := m.log[i], plain
		if strings.EqualFold(line.Level, "error") || strings.EqualFold(line.Level, "warn") {
			s = faultText
		}
		p.text(s, fmt.Sprintf("%s %-5s ", clockTime(line.At), m.clean(line.Level)), line.Text)
	}
	return p.lines
}
