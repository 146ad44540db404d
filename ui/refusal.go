package ui

import (
	"context"
	"errors"

	"hallmark/station"
	"hallmark/station/operate"
	"hallmark/station/reason"
)

// Errors of the screen itself. Runs go on after such an error.
var ErrScreen = errors.New("the screen gave way: use --plain")

// errorText returns an error in the operator's language: the text of its refusal, or of its reason. If the catalogue has
// neither, the sentence of the sentinel stays, without the details that are in the log.
func (m Model) errorText(err error) string {
	var denial *operate.Denial
	if errors.As(err, &denial) {
		if denial.Act == operate.ActWithoutOrder {
			return m.t("denied.withoutorder")
		}
		return m.t("denied.role", m.t("denied."+string(denial.Least)))
	}
	for _, row := range reason.All(err) {
		if key := "refused." + row.Word; m.o.Texts.Has(key) {
			return m.t(key)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return m.t("refused.slow")
	}
	for _, row := range reason.All(err) {
		if key := "reason." + row.Word; m.o.Texts.Has(key) {
			return m.t(key)
		}
	}
	return m.clean(reason.Sentence(err))
}

// hsmText says what is wrong with the HSM.
func (m Model) hsmText() string {
	if key := "refused." + m.facts.HSM.Word; m.o.Texts.Has(key) {
		return m.t(key)
	}
	return m.clean(m.facts.HSM.Detail)
}

// stoppedText says why a bay is stopped.
func (m Model) stoppedText(b *bay) string { return m.reason(station.Reject, b.facts.Stopped) }

// reasonOf says why a Run did not pass, with what its error says of this one case, such as the program that uses a port.
func (m Model) reasonOf(run *station.Run) string {
	key, detail := "because."+run.Reason, reason.Detail(run.Err)
	if run.Ending != station.Pass && detail != "" && m.o.Texts.Has(key) {
		return m.t(key, m.clean(detail))
	}
	return m.reason(run.Ending, run.Reason)
}

// reason says why a Run did not pass. A word that the catalogue does not have is shown as it is.
func (m Model) reason(ending station.Ending, word string) string {
	if key := "reason." + word; m.o.Texts.Has(key) {
		return m.t(key)
	}
	if word == "" {
		return m.t("reason." + string(ending))
	}
	return m.clean(word)
}
