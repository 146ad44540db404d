package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hallmark/station"
	"hallmark/station/reason"
	"hallmark/ui/catalogue"
)

// The table of checks, on its own screen and at the start of a shift.

const findingColumn = 28

// checkLines returns the table of checks: state, name, finding and next action. If oneLine is true, the finding of a check
// that passed is cut to one line. The other findings are complete.
func (m Model) checkLines(w int, oneLine bool) []textLine {
	p := &page{m: m, w: w}
	for _, check := range m.checks.checks {
		s, head := m.checkHead(check)
		if check.State == CheckOK && oneLine {
			p.lines = append(p.lines, textLine{s, clip(head+m.clean(m.finding(check)), w, m.theme.shapes.ellipsis)})
			continue
		}
		p.text(s, head, m.finding(check))
		if (check.State == CheckFail || check.State == CheckWarn) && check.Next != "" {
			p.text(strong, strings.Repeat(" ", findingColumn)+m.theme.shapes.next, m.checkText("check.next.", check, check.Next))
		}
	}
	return p.lines
}

// checkText is the catalogue's text of a group for a check. In English, and where the catalogue does not know the check, it is
// the text of the check itself.
func (m Model) checkText(group string, check Check, own string) string {
	if key := group + strings.ReplaceAll(strings.ToLower(check.Name), " ", "-"); m.o.Texts.Language() != catalogue.Reference && m.o.Texts.Has(key) {
		return m.t(key)
	}
	return own
}

// finding is what a check found. What failed is said in the operator's language first, if the catalogue has a text for its
// reason. The finding itself follows for the engineer, whose manual is in English.
func (m Model) finding(check Check) string {
	switch {
	case check.State == CheckNone:
		return m.t("check.unchecked")
	case check.State == CheckOK && m.o.Texts.Language() != catalogue.Reference && m.o.Texts.Has("check.found."+check.Word):
		return m.t("check.found."+check.Word, m.values(check)...)
	case check.State == CheckWarn:
		if said := m.checkText("check.soon.", check, ""); said != "" {
			return said + " (" + check.Finding + ")"
		}
		return check.Finding
	case check.Err == nil || m.o.Texts.Language() == catalogue.Reference:
		return check.Finding
	}
	for _, row := range reason.All(check.Err) {
		for _, group := range []string{"refused.", "reason."} {
			if key := group + row.Word; m.o.Texts.Has(key) {
				return m.t(key) + " (" + check.Finding + ")"
			}
		}
	}
	return check.Finding
}

// values gives the values of a finding. How long something took is shown as everywhere on the screen.
func (m Model) values(check Check) []any {
	values := slices.Clone(check.Values)
	for i, value := range values {
		if took, is := value.(time.Duration); is {
			values[i] = m.seconds(took)
		}
	}
	return values
}

func (m Model) checkHead(check Check) (style, string) {
	s, shape := dim, '?'
	switch check.State {
	case CheckOK:
		s, shape = passText, m.theme.shapes.ending[station.Pass]
	case CheckWarn:
		s, shape = faultText, m.theme.shapes.ending[station.Fault]
	case CheckFail:
		s, shape = rejected, m.theme.shapes.ending[station.Reject]
	}
	state := clip(m.t("check."+string(check.State)), 9, m.theme.shapes.ellipsis)
	head := fmt.Sprintf("%c %s%s %s", shape, state, strings.Repeat(" ", 9-width(state)), clip(m.clean(m.checkText("check.name.", check, check.Name)), 15, m.theme.shapes.ellipsis))
	return s, head + strings.Repeat(" ", max(1, findingColumn-width(head)))
}

func (m Model) checkSummary() textLine {
	switch {
	case m.checks.done && m.failedChecks() > 0:
		return textLine{rejectText, m.t("doctor.failed", m.failedChecks())}
	case m.checks.done:
		return textLine{passText, m.t("doctor.ready")}
	case m.checks.running:
		return textLine{running, m.t("doctor.running")}
	}
	return textLine{dim, m.t("doctor.none")}
}

// drawChecks draws the title, the table, and the result of all checks. Title and result are always visible.
func (m Model) drawChecks(c *canvas, r rect) {
	c.put(r.x+1, r.y, r.w-2, strong, m.t("doctor.title"))
	m.drawPane(c)
	place, lines := m.pane()
	after := place.y + min(len(lines), place.h) + 1
	summary := m.checkSummary()
	c.put(r.x+1, after, r.w-2, summary.s, summary.text)
	if next := m.afterChecks(); next != "" {
		c.put(r.x+1, after+1, r.w-2, strong, m.theme.shapes.next+next)
	}
}

// afterChecks is the next action below the table.
func (m Model) afterChecks() string {
	switch {
	case m.screen == screenDoctor && m.whyNotCheck() == "":
		return m.t("doctor.go", m.keys.Go.show)
	case m.screen != screenStart || !m.checks.done:
		return ""
	case m.failedChecks() > 0:
		return m.t("start.correct", m.keys.Go.show)
	}
	return m.t("start.go", m.keys.Go.show)
}

// drawStart is the first screen of a shift.
func (m Model) drawStart(c *canvas, r rect) {
	c.centre(r.x, r.y, r.w, strong, m.t("start.title"))
	switch {
	case m.field != nil && m.field.purpose == fieldPIN:
		c.put(r.x+3, r.y+3, r.w-6, strong, m.t("pin.label.text", m.keys.Go.show))
		c.put(r.x+3, r.y+4, r.w-6, plain, m.t("pin.hidden"))
	case !m.unlocked:
		c.put(r.x+3, r.y+3, r.w-6, running, m.t("pin.checking"))
	default:
		m.drawChecks(c, rect{r.x, r.y + 1, r.w, r.h - 1})
	}
}
