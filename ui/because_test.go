package ui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"hallmark/station"
	"hallmark/station/reason"
	"hallmark/ui/catalogue"
)

// because is an error with a detail, as that of a port that another program uses.
type because struct {
	error
	detail string
}

func (b because) Detail() string { return b.detail }

func TestATileAndALineNameTheProgramThatUsesThePort(t *testing.T) {
	e := ended(1, "1", station.Fault, "port-in-use")
	e.Snap.Err = fmt.Errorf("opening: %w", because{errors.New("in use"), "picocom (pid 4711)"})
	d := drive(t, 2, 120, 40, "en")
	d.send(EventMsg{e})
	screen := strings.Join(strings.Fields(strings.ReplaceAll(d.View(), "│", " ")), " ")
	if !strings.Contains(screen, "port is in use by picocom (pid 4711)") {
		t.Errorf("the screen does not name the program:\n%s", d.View())
	}

	var lines strings.Builder
	p := NewPlain(&lines, load(t, "de"), []string{"1"}, true, false)
	p.Event(e)
	if want := "Port ist belegt durch picocom (pid 4711)"; !strings.Contains(lines.String(), want) {
		t.Errorf("got %s, want %q", lines.String(), want)
	}
}

func TestEachDetailOfARefusalHasARow(t *testing.T) {
	for _, key := range load(t, catalogue.Reference).Keys() {
		word, found := strings.CutPrefix(key, "because.")
		if row, known := reason.For(word); found && (!known || row.Screen == "") {
			t.Errorf("%s: no Run ends with %q", key, word)
		}
	}
}
