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

func (d *driver) held1(waited bool) { d.send(heldMsg{turn: d.held.turn, waited: waited}) }

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

func TestACharacterBehindWhichMoreWasReadIsNoKey(t *testing.T) {
	d, term := typingOn(t)
	if err := term.Type("1zz"); err != nil {
		t.Fatal(err)
	}
	d.keyboard.takes(t, 3)
	d.send(keyPress("1"))
	d.held1(false) // 30 ms are over, and the second character has not come through yet
	d.asked("")
	d.send(keyPress("z"), keyPress("z"))
	d.held1(true)
	d.asked("")
	d.shows("The scan was cut off")
}

func TestACharacterBehindWhichMoreWaitsInTheTerminalIsNoKey(t *testing.T) {
	d, term := typingOn(t)
	d.keyboard.given.Store(1)
	d.send(keyPress("1"))
	if err := term.Type("zz"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, more := d.keyboard.ahead(d.taken); more {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("what was typed never came to the terminal")
		}
	}
	d.held1(false)
	d.asked("")
}

func TestAWrongCountHoldsUpOneKeyOnly(t *testing.T) {
	d, _ := typingOn(t)
	d.keyboard.given.Store(3) // two octets that led to no character
	d.send(keyPress("1"))
	d.held1(false)
	d.asked("")
	d.held1(true)
	d.asked("start 1 by op17 for WO-4711")
	d.keyboard.given.Store(4)
	d.send(keyPress("2"))
	d.held1(false)
	d.asked("start 1 by op17 for WO-4711; start 2 by op17 for WO-4711")
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
	read("1")
	d.keyboard.reads[0].at = d.keyboard.reads[0].at.Add(-time.Second) // the person waited
	read("2")
	d.send(keyPress("1"))
	next, cmd := d.Update(keyPress("2"))
	d.Model = next.(Model)
	d.obey(cmd)
	d.asked("start 1 by op17 for WO-4711")
	d.held1(false)
	d.asked("start 1 by op17 for WO-4711; start 2 by op17 for WO-4711")
	read("34") // one read: a scan
	d.send(keyPress("3"), keyPress("4"))
	d.held1(false)
	d.held1(true)
	d.shows("The scan was cut off")
}
