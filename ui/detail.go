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

	tea "charm.land/bubbletea/v2"

	"hallmark/station"
)

// The detail of one Run: first the content of its events, and then also the registry's record of the Run.

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
		return resultMsg{said: m.pathText(where, "said.copied"), err: err}
	})
}

// detailText gives the detail as text, to be copied.
func (m Model) detailText() string {
	var b strings.Builder
	for _, line := range m.detailLines(200) {
		b.WriteString(strings.TrimRight(line.text, " ") + "\n")
	}
	return b.String()
}

// current returns the Run of the detail. While the Run is under way, current takes the newer state from the bay.
func (m Model) current() station.Run {
	for i := range m.bays {
		if m.bays[i].begun && m.bays[i].run.ID == m.detail.run.ID {
			return m.bays[i].run
		}
	}
	return m.detail.run
}

func (m Model) detailLines(w int) []textLine {
	run := m.current()
	p := &page{m: m, w: w}
	m.aboutRun(p, &run)
	m.aboutSteps(p, &run)
	m.aboutCertificate(p, &run)
	m.aboutCSR(p, &run)
	m.aboutRecord(p)
	if run.Wire.Sent > 0 || run.Wire.Received > 0 { // the record of an old Run may not have them
		p.head("detail.wire")
		p.namedFact("wire", m.t("detail.octets", run.Wire.Sent, run.Wire.Received, run.Wire.Retries))
	}
	if len(run.Console) > 0 {
		p.head("detail.console")
		p.text(plain, "  ", string(run.Console))
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
		if why := m.whyText(run.Ending, run.Outcome, run.Reason); why != "" {
			text += m.theme.shapes.dot + why
		}
		p.lines = append(p.lines, textLine{s, "  " + text})
		if !m.detail.fromHistory || run.Ending != station.Pass { // a board that passed earlier is not in the bay any more
			p.namedFact("next", m.nextOf(run, board))
		}
	}
	if run.Err != nil {
		p.namedFact("error", run.Err.Error())
	}
	p.namedFact("board", board)
	p.namedFact("run", run.ID.String())
	p.namedFact("bay", run.Bay)
	p.namedFact("operator", run.Operator)
	p.namedFact("order", run.Order)
	p.namedFact("rework", run.Rework)
	p.namedFact("purpose", strings.ToUpper(string(run.Purpose)))
	if id := run.Identity; id != nil {
		p.namedFact("hardware", id.HardwareID.String())
		p.namedFact("type", id.BoardType)
		p.namedFact("firmware", fmt.Sprintf("%s (%x)", id.Firmware, id.FirmwareHash[:8]))
	}
	m.aboutProbe(p, run)
	if !run.Started.IsZero() {
		p.namedFact("started", m.local(run.Started).Format("2006-01-02 15:04:05"))
	}
	if !run.Finished.IsZero() && !run.Started.IsZero() {
		p.namedFact("took", m.seconds(run.Finished.Sub(run.Started)))
	}
}

// aboutProbe shows the debug probe of the Run, and what it did.
func (m Model) aboutProbe(p *page, run *station.Run) {
	if probe := run.Probe; probe != nil {
		p.namedFact("probe", probe.Serial)
		p.namedFact("target", probe.Target)
	}
	if flash := run.Flash; flash != nil {
		p.namedFact("image", m.imageText(flash))
	}
	if lock := run.Lock; lock != nil {
		p.namedFact("lock", m.lockText(lock.State))
	}
}

func (m Model) imageText(flash *station.FlashRecord) string {
	if flash.Image == [len(flash.Image)]byte{} {
		return m.t("detail.locked")
	}
	image := fmt.Sprintf("%x", flash.Image[:8])
	if flash.Held {
		return m.t("detail.held", image)
	}
	return m.t("detail.flashed", image)
}

func (m Model) lockText(state station.LockState) string {
	if key := "fact.lock." + string(state); m.o.Texts.Has(key) {
		return m.t(key)
	}
	return m.clean(string(state))
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
		text := fmt.Sprintf("%9s  %s", m.seconds(step.Took), strings.Repeat(string(m.theme.shapes.thin), length))
		if step.Retries > 0 {
			text += " " + m.t("tile.retries", step.Retries)
		}
		label := "  " + m.stepText(step.Name)
		p.lines = append(p.lines, textLine{plain, label + strings.Repeat(" ", max(1, p.column()-width(label))) + text})
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
		p.namedFact("error", err.Error())
		return
	}
	digest := sha256.Sum256(der)
	p.namedFact("subject", cert.Subject.String())
	p.namedFact("issuer", cert.Issuer.String())
	p.namedFact("serial", fmt.Sprintf("%x", cert.SerialNumber))
	p.namedFact("valid", m.t("detail.until", cert.NotBefore.UTC().Format("2006-01-02"), cert.NotAfter.UTC().Format("2006-01-02 15:04 UTC")))
	p.namedFact("key", keyText(cert.PublicKey))
	p.namedFact("signature", cert.SignatureAlgorithm.String())
	p.namedFact("sha256", fmt.Sprintf("%x", digest))
	if run.Certificate != nil && run.Certificate.Stored {
		p.namedFact("stored", m.t("detail.stored"))
	}
	if h := run.Handshake; h != nil {
		p.namedFact("handshake", tls.VersionName(h.TLSVersion)+", "+tls.CipherSuiteName(h.CipherSuite))
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
		p.namedFact("error", err.Error())
		return
	}
	p.namedFact("subject", csr.Subject.String())
	p.namedFact("key", keyText(csr.PublicKey))
	p.namedFact("signature", csr.SignatureAlgorithm.String())
	digest := sha256.Sum256(der)
	p.namedFact("sha256", fmt.Sprintf("%x", digest))
}

// keyText shows the kind of a public key and the beginning of its point.
func keyText(key any) string {
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
		p.namedFact("error", m.errorText(v.err))
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
		status, _, _ := strings.Cut(fact.Value, ", ")
		if key := "fact.status." + status; m.o.Texts.Has(key) {
			fact.Value = m.t(key) + strings.TrimPrefix(fact.Value, status)
		}
		if m.o.Texts.Has("fact." + fact.Name) {
			p.namedFact(fact.Name, fact.Value)
		} else { // a serial number, which is never cut
			p.text(plain, "  ", fact.Name+"  "+fact.Value)
		}
	}
	if len(v.detail.Audit) > 0 {
		p.head("detail.audit")
	}
	for _, entry := range v.detail.Audit {
		p.text(plain, fmt.Sprintf("  %8d  %s  %-18s ", entry.Index, clockTime(m.local(entry.At)), m.clean(entry.Type)), entry.Text)
	}
}
