package ui

// drawMessage draws the answer to the last key. Without an answer it draws the reason why no Run starts, and otherwise the
// chosen bay.
func (m Model) drawMessage(c *canvas) {
	s, text := m.message()
	if s != plain {
		c.fill(0, 2, c.w, 1, s, ' ')
	}
	c.put(1, 2, c.w-2, s, text)
}

func (m Model) message() (style, string) {
	if m.notice.text != "" && m.now.Sub(m.notice.at) < noticeFirst {
		return m.noticeText()
	}
	if s, text := m.alarm(); text != "" {
		return s, text
	}
	if m.notice.text != "" {
		return m.noticeText()
	}
	switch {
	case m.locked:
		return barWarn, m.t("banner.locked", m.clean(m.operator.Name))
	case m.operator.ID == "" && m.screen != screenStart:
		return barWarn, m.t("banner.signin")
	case m.factsBad != "":
		return barWarn, m.t("banner.blind", m.factsBad)
	case m.screen == screenDashboard:
		return plain, m.bayText()
	}
	return plain, ""
}

func (m Model) noticeText() (style, string) {
	if m.notice.bad {
		return barWarn, "! " + m.notice.text
	}
	return strong, m.notice.text
}

// alarm says why the line does not work.
func (m Model) alarm() (style, string) {
	switch {
	case m.hsmAway():
		return barAlarm, m.t("banner.away", m.hsmText())
	case m.facts.AuditBad != "":
		return barAlarm, m.t("banner.audit")
	case m.facts.ClockBad != "":
		return barAlarm, m.t("banner.clock", m.clean(m.facts.ClockBad))
	case m.facts.Paused != "":
		return barAlarm, m.t("banner.paused", m.clean(m.facts.Paused))
	case m.leaving:
		return barWarn, m.t("said.leaving", m.busy())
	case m.facts.Draining:
		return barWarn, m.t("banner.draining", m.busy())
	}
	return plain, ""
}
