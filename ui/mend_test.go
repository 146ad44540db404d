package ui

import (
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/fixtures/pty"
)

// wall writes over the screen, as wall(1) and the kernel do: a text at the place of the cursor, and lines that scroll.
const wall = "\r\nBroadcast message from root@station (tty1):\r\n\r\nThe system goes down at noon.\r\n\r\n"

func TestForeignTextIsGoneAfterSomeTimeWithoutAKey(t *testing.T) {
	for _, rate := range []int{0, serialRate} {
		d := drive(t, 4, 80, 24, "en")
		screen := pty.NewDisplay(80, 24)
		p := &painter{out: screen, rate: rate}
		paint := func() int {
			octets, err := p.paint(&d.Model)
			if err != nil {
				t.Fatal(err)
			}
			return octets
		}
		paint()
		if _, err := screen.Write([]byte(wall)); err != nil {
			t.Fatal(err)
		}
		seconds, octets := 0, 0
		for ; screen.Text() != asShown(p.shown); seconds++ {
			if seconds > 120 {
				t.Fatalf("after %d seconds:\n%s\nwant\n%s", seconds, screen.Text(), asShown(p.shown))
			}
			d.send(tickMsg{at: at(float64(seconds + 1))}, factsMsg{facts: d.station.facts})
			octets += paint()
		}
		t.Logf("rate %d: %d seconds, %d octets a second", rate, seconds, octets/seconds)
		if octets/seconds > 100 {
			t.Errorf("rate %d: %d octets a second", rate, octets/seconds)
		}
	}
}

func TestAnyKeyMendsAFastTerminalAtOnce(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	screen := pty.NewDisplay(80, 24)
	p := &painter{out: screen}
	for range 2 {
		if _, err := p.paint(&d.Model); err != nil {
			t.Fatal(err)
		}
		if _, err := screen.Write([]byte(wall)); err != nil {
			t.Fatal(err)
		}
		d.now = d.now.Add(time.Second)
		d.send(tea.KeyPressMsg{Code: tea.KeyRight})
	}
	if _, err := p.paint(&d.Model); err != nil {
		t.Fatal(err)
	}
	if screen.Text() != asShown(p.shown) {
		t.Errorf("the screen shows\n%s", screen.Text())
	}
}
