package ui

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"hallmark/station"
)

// Detail of one Run: what its events said at once, what is on record when it has been read.

type detailView struct {
	run         station.Run
	board       string // BoardID, where the Run does not hold it
	turn        int
	fromHistory bool
	detail      Detail
	loaded      bool
	err         error
}

type detailMsg struct {
	turn   int
	detail Detail
	err    error
}

func (v detailView) filled(msg detailMsg) detailView {
	if msg.turn != v.turn {
		return v
	}
	v.detail, v.err, v.loaded = msg.detail, msg.err, true
	if msg.err == nil && v.run.Identity == nil && msg.detail.Run.Identity != nil {
		v.run = msg.detail.Run
	}
	if msg.detail.BoardID != "" {
		v.board = msg.detail.BoardID
	}
	return v
}

func (m Model) openDetail() (Model, tea.Cmd) {
	b := m.bay()
	m.detail = detailView{run: b.run, board: b.boardID(), turn: m.detail.turn + 1}
	m.screen, m.scroll = screenDetail, 0
	return m, m.askDetail()
}

func (m Model) askDetail() tea.Cmd {
	if m.o.Detail == nil {
		return nil
	}
	turn, run := m.detail.turn, m.detail.run.ID
	return m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		detail, err := m.o.Detail.Detail(ctx, run)
		return detailMsg{turn, detail, err}
	})
}

func (m Model) whyNotCopy() string {
	if m.o.Copier == nil {
		return m.t("why.nocopy")
	}
	return ""
}

func (m Model) copyDetail() (Model, tea.Cmd) {
	text := m.detailText()
	return m, m.ask(answerSoon, func(ctx context.Context) tea.Msg {
		where, err := m.o.Copier.Copy(ctx, text)
		return resultMsg{said: m.t("said.copied", m.clean(where)), err: err}
	})
}

// detailText is the detail as lines that can be pasted elsewhere.
func (m Model) detailText() string {
	var b strings.Builder
	for _, line := range m.detailLines(200) {
		b.WriteString(strings.TrimRight(line.text, " ") + "\n")
	}
	return b.String()
}

// current is the Run of the detail: while it runs, the events know more than the view.
func (m Model) current() station.Run {
	for i := range m.bays {
		if m.bays[i].begun && m.bays[i].run.ID == m.detail.run.ID {
			return m.bays[i].run
		}
	}
	return m.detail.run
}

// A page collects the lines of a text, headings in another style.
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

const factColumn = 20

// fact writes name and value; a long value goes on below itself.
func (p *page) fact(name, value string) {
	if value == "" {
		return
	}
	label := "  " + clip(name, factColumn-3, p.m.look.shapes.ellipsis)
	label += strings.Repeat(" ", max(1, factColumn-width(label)))
	for i, line := range wrap(p.m.clean(value), max(10, p.w-factColumn), 0, "") {
		if i > 0 {
			label = strings.Repeat(" ", factColumn)
		}
		p.lines = append(p.lines, textLine{plain, label + line})
	}
}

func (p *page) known(key, value string) { p.fact(p.m.t("fact."+key), value) }

func (m Model) detailLines(w int) []textLine {
	run := m.current()
	p := &page{m: m, w: w}
	m.aboutRun(p, &run)
	m.aboutSteps(p, &run)
	m.aboutCertificate(p, &run)
	m.aboutCSR(p, &run)
	m.aboutRecord(p)
	p.head("detail.wire")
	p.known("wire", m.t("detail.octets", run.Wire.Sent, run.Wire.Received, run.Wire.Retries))
	if len(run.Console) > 0 {
		p.head("detail.console")
		for _, line := range strings.Split(strings.TrimRight(string(run.Console), "\r\n"), "\n") {
			p.lines = append(p.lines, textLine{plain, "  " + m.clean(strings.TrimRight(line, "\r"))})
		}
	}
	return p.lines
}

func (m Model) aboutRun(p *page, run *station.Run) {
	p.head("detail.run")
	board := m.detail.board
	if run.Identity != nil {
		board = run.Identity.ID.String()
	}
	if run.Ending != "" {
		_, s := endingStyles(run.Ending)
		text := m.shaped(run.Ending)
		if run.Ending != station.Pass {
			text += m.look.shapes.dot + m.reason(run.Ending, run.Reason)
		}
		p.lines = append(p.lines, textLine{s, "  " + text})
		p.known("next", m.nextAction(max(0, m.find(run.Bay)), run.Ending, run.Reason))
	}
	if run.Err != nil {
		p.known("error", run.Err.Error())
	}
	p.known("board", board)
	p.known("run", run.ID.String())
	p.known("bay", run.Bay)
	p.known("operator", run.Operator)
	p.known("order", run.Order)
	p.known("rework", run.Rework)
	if id := run.Identity; id != nil {
		p.known("hardware", id.HardwareID.String())
		p.known("type", id.BoardType)
		p.known("firmware", fmt.Sprintf("%s (%x)", id.Firmware, id.FirmwareHash[:8]))
	}
	if !run.Started.IsZero() {
		p.known("started", run.Started.Format("2006-01-02 15:04:05"))
	}
	if !run.Finished.IsZero() && !run.Started.IsZero() {
		p.known("took", seconds(run.Finished.Sub(run.Started)))
	}
}

func (m Model) aboutSteps(p *page, run *station.Run) {
	if len(run.Steps) == 0 {
		return
	}
	p.head("detail.steps")
	longest := run.Steps[0].Took
	for _, step := range run.Steps {
		longest = max(longest, step.Took)
	}
	for _, step := range run.Steps {
		length := 0
		if longest > 0 {
			length = int(20 * step.Took / longest)
		}
		text := fmt.Sprintf("%9s  %s", seconds(step.Took), strings.Repeat(string(m.look.shapes.full), length))
		if step.Retries > 0 {
			text += " " + m.t("tile.retries", step.Retries)
		}
		label := "  " + m.stepText(step.Name)
		p.lines = append(p.lines, textLine{plain, label + strings.Repeat(" ", max(1, factColumn-width(label))) + text})
	}
}

func (m Model) aboutCertificate(p *page, run *station.Run) {
	der := m.detail.detail.Certificate
	if run.Certificate != nil {
		der = run.Certificate.DER
	}
	if len(der) == 0 {
		return
	}
	p.head("detail.certificate")
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		p.known("error", err.Error())
		return
	}
	digest := sha256.Sum256(der)
	p.known("subject", cert.Subject.String())
	p.known("issuer", cert.Issuer.String())
	p.known("serial", fmt.Sprintf("%x", cert.SerialNumber))
	p.known("valid", m.t("detail.until", cert.NotBefore.UTC().Format("2006-01-02"), cert.NotAfter.UTC().Format("2006-01-02 15:04 UTC")))
	p.known("key", keyWords(cert.PublicKey))
	p.known("signature", cert.SignatureAlgorithm.String())
	p.known("sha256", fmt.Sprintf("%x", digest))
	if run.Certificate != nil && run.Certificate.Stored {
		p.known("stored", m.t("detail.stored"))
	}
	if h := run.Handshake; h != nil {
		p.known("handshake", tls.VersionName(h.TLSVersion)+", "+tls.CipherSuiteName(h.CipherSuite))
	}
}

func (m Model) aboutCSR(p *page, run *station.Run) {
	der := m.detail.detail.CSR
	if run.CSR != nil {
		der = run.CSR
	}
	if len(der) == 0 {
		return
	}
	p.head("detail.csr")
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		p.known("error", err.Error())
		return
	}
	p.known("subject", csr.Subject.String())
	p.known("key", keyWords(csr.PublicKey))
	p.known("signature", csr.SignatureAlgorithm.String())
	digest := sha256.Sum256(der)
	p.known("sha256", fmt.Sprintf("%x", digest))
}

// keyWords names a public key and the beginning of its point.
func keyWords(key any) string {
	ec, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return fmt.Sprintf("%T", key)
	}
	point, err := ec.Bytes()
	if err != nil || ec.Curve != elliptic.P256() {
		return ec.Params().Name
	}
	return fmt.Sprintf("P-256 %x", point[1:9])
}

func (m Model) aboutRecord(p *page) {
	v := m.detail
	switch {
	case m.o.Detail == nil:
		return
	case v.err != nil:
		p.head("detail.registry")
		p.known("error", m.words(v.err))
		return
	case !v.loaded:
		p.head("detail.registry")
		p.lines = append(p.lines, textLine{dim, "  " + m.t("history.loading")})
		return
	}
	if len(v.detail.Registry) > 0 {
		p.head("detail.registry")
	}
	for _, fact := range v.detail.Registry {
		name := m.clean(fact.Name)
		if m.o.Texts.Has("fact." + fact.Name) {
			name = m.t("fact." + fact.Name)
		}
		p.fact(name, fact.Value)
	}
	if len(v.detail.Audit) > 0 {
		p.head("detail.audit")
	}
	for _, entry := range v.detail.Audit {
		text := fmt.Sprintf("  %8d  %s  %-18s %s", entry.Index, clockTime(entry.At), m.clean(entry.Type), m.clean(entry.Text))
		p.lines = append(p.lines, textLine{plain, text})
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
		p.lines = append(p.lines, textLine{s, fmt.Sprintf("%s %-5s %s", clockTime(line.At), m.clean(line.Level), m.clean(line.Text))})
	}
	return p.lines
}

// checkLines is the doctor's table: a word, a name, a finding, and what to do.
func (m Model) checkLines(w int) []textLine {
	p := &page{m: m, w: w}
	p.head("doctor.title")
	for _, check := range m.checks.checks {
		s := map[CheckState]style{CheckOK: passText, CheckWarn: faultText, CheckFail: rejectText}[check.State]
		shape := map[CheckState]rune{CheckOK: m.look.shapes.ending[station.Pass], CheckWarn: m.look.shapes.ending[station.Fault], CheckFail: m.look.shapes.ending[station.Reject]}[check.State]
		if shape == 0 {
			shape = '?'
		}
		state := clip(m.t("check."+string(check.State)), 9, m.look.shapes.ellipsis)
		head := fmt.Sprintf("%c %s%s %s", shape, state, strings.Repeat(" ", 9-width(state)), clip(m.clean(check.Name), 15, m.look.shapes.ellipsis))
		head += strings.Repeat(" ", max(1, 28-width(head)))
		for i, line := range wrap(m.clean(check.Finding), max(10, w-28), 6, m.look.shapes.ellipsis) {
			if i > 0 {
				head = strings.Repeat(" ", 28)
			}
			p.lines = append(p.lines, textLine{s, head + line})
		}
		if (check.State == CheckFail || check.State == CheckWarn) && check.Next != "" {
			for _, line := range wrap(m.look.shapes.next+m.clean(check.Next), max(10, w-28), 3, m.look.shapes.ellipsis) {
				p.lines = append(p.lines, textLine{strong, strings.Repeat(" ", 28) + line})
			}
		}
	}
	p.lines = append(p.lines, textLine{}, m.checkSummary())
	return p.lines
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

// drawStart is the first screen of a shift.
func (m Model) drawStart(c *canvas, r rect) {
	c.centre(r.x, r.y, r.w, strong, m.t("start.title"))
	y := r.y + 1
	switch {
	case m.field != nil && m.field.purpose == fieldPIN:
		c.put(r.x+3, y+2, r.w-6, strong, m.t("pin.label.text"))
		c.put(r.x+3, y+3, r.w-6, plain, m.t("pin.hidden"))
		return
	case !m.unlocked:
		c.put(r.x+3, y+2, r.w-6, running, m.t("pin.checking"))
		return
	}
	lines := m.checkLines(r.w - 2)
	if m.checks.done && m.failedChecks() == 0 {
		lines = append(lines, textLine{strong, m.look.shapes.next + m.t("start.go", m.keys.Begin.Help().Key)})
	} else if m.checks.done {
		lines = append(lines, textLine{strong, m.look.shapes.next + m.t("start.correct", m.keys.Again.Help().Key)})
	}
	m.drawLines(c, rect{r.x, y + 1, r.w, r.h - 2}, lines)
}
