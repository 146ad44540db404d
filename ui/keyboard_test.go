package ui

import (
	"testing"
	"time"
)

// typingOn opens a screen whose keyboard is a terminal.
func typingOn(t *testing.T) (*driver, *terminal) {
	t.Helper()
	term := newTerminal(t, 80, 24)
	give, err := takeTerminal(term.Program, term.Program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := give(); err != nil {
			t.Error(err)
		}
	})
	d := drive(t, 4, 80, 24, "en")
	d.keyboard = newKeyboard(term.Program)
	return d, term
}

// takes reads n octets that were typed.
func (k *keyboard) takes(t *testing.T, n int) {
	t.Helper()
	for octets := make([]byte, n); n > 0; {
		got, err := k.Read(octets[:n])
		if err != nil {
			t.Fatal(err)
		}
		n -= got
	}
}

func TestEscapeSequencesHoldNoCharacters(t *testing.T) {
	for text, want := range map[string]int64{"\x1b[A": 0, "a\r\n\x7f\t": 1, "\x1b[200~Xy\x1b[201~": 0, "é": 2} {
		if got := characters([]byte(text)); got != want {
			t.Errorf("%q counts %d octets, want %d", text, got, want)
		}
	}
}

// On a busy machine the model gets two keys of a person one directly after the other. The time between their reads tells
// them from a scan.
func TestKeysThatWereReadApartAreNoScan(t *testing.T) {
	d, term := typingOn(t)
	read := func(text string) {
		t.Helper()
		if err := term.Type(text); err != nil {
			t.Fatal(err)
		}
		d.keyboard.takes(t, len(text))
	}
	read("2")
	d.keyboard.reads[0].at = d.keyboard.reads[0].at.Add(-time.Second) // the person waited
	read("n")
	d.send(keyPress("2"), keyPress("n"))
	if d.selected != 1 || d.screen != screenNumbers {
		t.Errorf("bay %d, screen %d: two keys were taken for a scan", d.selected, d.screen)
	}
	d.key("esc")
	read("3n") // one read: a scan
	d.send(keyPress("3"), keyPress("n"))
	d.send(heldMsg{turn: d.held.turn})
	d.shows("The scan was cut off")
	if d.selected != 1 || d.screen != screenDashboard {
		t.Errorf("bay %d, screen %d: a scan did what keys do", d.selected, d.screen)
	}
}

func TestACountThatWentWrongIsCorrectedWhileNobodyTypes(t *testing.T) {
	d, term := typingOn(t)
	if err := term.Type("xx"); err != nil { // octets that lead to no character
		t.Fatal(err)
	}
	d.keyboard.takes(t, 2)
	d.send(tickMsg{at: at(1)})
	if d.taken != 2 {
		t.Errorf("counted %d octets, want 2", d.taken)
	}
}
