package ui

import (
	"fmt"
	"strings"
	"testing"

	"hallmark/station"
)

// labelsWanted is a bench whose bays 1 and 2 passed and wait for the labels of their boards.
func labelsWanted(t *testing.T, language string) *driver {
	d := drive(t, 3, 120, 40, language)
	for i := range 2 {
		d.send(EventMsg{ended(i+1, fmt.Sprint(i+1), station.Pass, "")})
		d.station.facts.Bays = append(d.station.facts.Bays, BayFacts{Name: fmt.Sprint(i + 1), Label: boardOf(i + 1).String()})
	}
	d.send(factsMsg{facts: d.station.facts})
	return d
}

func TestABayThatPassedWaitsForTheLabelOfItsBoard(t *testing.T) {
	for _, language := range []string{"en", "de", "es"} {
		one, two, three := boardOf(1).String(), boardOf(2).String(), boardOf(3).String()
		d := labelsWanted(t, language)
		d.shows(d.Model.t("next.label", short(one)))
		d.key("go")
		d.shows(d.Model.t("why.label", "1", short(one)))
		d.scan(three) // of a board that is nowhere on the bench
		d.shows(d.Model.t("label.wrong", "1", short(one), "")[:30])
		d.shows(d.Model.t("label.scanned", short(three), short(one))[:12])
		if d.rings != 1 {
			t.Error("no bell")
		}
		d.scan(two) // the label of another bay that waits frees that bay
		d.shows(d.Model.t("said.label", "2", short(two)))
		d.key("1")
		d.scan(one)
		d.shows(d.Model.t("said.label", "1", short(one)))
		if !d.becomes(func() bool { return d.bays[0].facts.Label == "" }) { // the facts come after the answer
			t.Error("the bay waits on")
		}
		d.key("go")
		d.asked(fmt.Sprintf("label %s for 1 by op17; label %s for 2 by op17; label %s for 1 by op17; start 1 by op17 for WO-4711", short(three), short(two), short(one)))
	}
}

// A bay that waits for no label starts with the board of a label, as ever.
func TestALabelForAnotherBayStartsThatBay(t *testing.T) {
	d := labelsWanted(t, "en")
	d.key("3")
	d.scan(boardOf(3).String())
	d.asked("start 3 by op17 for WO-4711 expecting " + short(boardOf(3).String()))
}

// A label may have the serial number of the certificate. A number that nobody knows is a wrong label, too.
func TestASerialNumberIsALabelOfThePassedBoard(t *testing.T) {
	d := labelsWanted(t, "en")
	d.station.rows = []Row{{Serial: "4f12", BoardID: boardOf(1).String()}}
	d.send(boardMsg{serial: "4f12", board: boardOf(1).String()})
	d.shows(d.Model.t("said.label", "1", short(boardOf(1).String())))
	d.key("2")
	d.send(boardMsg{serial: "beef"})
	d.shows("the label says beef")
}

// Lines of text and the detail of a Run say the same next action as the tile: first the label.
func TestLinesAndDetailAskForTheLabelOfThePassedBoard(t *testing.T) {
	for _, language := range []string{"en", "de", "es"} {
		one, two := boardOf(1).String(), boardOf(2).String()
		var out strings.Builder
		lines := NewPlain(&out, load(t, language), []string{"1", "2"}, false, false)
		lines.Opened(Facts{ScanBack: true, Bays: []BayFacts{{Name: "1"}, {Name: "2", Label: two}}})
		lines.Event(ended(1, "1", station.Pass, ""))
		lines.LabelRead("1", one)
		d := labelsWanted(t, language)
		for _, want := range []string{d.Model.t("why.label", "2", short(two)), d.Model.t("next.label", short(one)), d.Model.t("said.label", "1", short(one))} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the lines do not say %q:\n%s", language, want, out.String())
			}
		}
		first, _, _ := strings.Cut(out.String(), d.Model.t("said.label", "1", short(one)))
		if next := d.Model.t("next.pass"); strings.Contains(first, next) {
			t.Errorf("%s: the lines say %q before the label is read:\n%s", language, next, out.String())
		}
		d.key("enter")
		d.shows(d.Model.t("next.label", short(one)))
	}
}

// The label of a rework has a new serial number. The label before the rework is still on the bench, and must not pass as the new one.
func TestAnOldSerialNumberOfTheBoardIsReadAsItIs(t *testing.T) {
	d := labelsWanted(t, "en")
	d.send(boardMsg{serial: "01d", board: boardOf(1).String()})
	d.asked("label 01d for 1 by op17")
}
