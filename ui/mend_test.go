package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/fixtures/pty"
	"hallmark/station"
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

// The same in the middle of Runs, whose steps and endings are drawn meanwhile.
func TestForeignTextInTheMiddleOfARunIsGoneAndNoEndingIsLost(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	screen := pty.NewDisplay(120, 40)
	p := &painter{out: screen}
	paint := func() {
		if _, err := p.paint(&d.Model); err != nil {
			t.Fatal(err)
		}
	}
	for step := range 90 {
		for i := range 4 {
			d.send(EventMsg{running1(i, fmt.Sprint(i+1), min(step/10, 8))})
		}
		if step == 40 {
			if _, err := screen.Write([]byte(wall)); err != nil {
				t.Fatal(err)
			}
		}
		d.send(tickMsg{at: at(float64(step))}, factsMsg{facts: d.station.facts})
		paint()
	}
	d.send(EventMsg{ended(0, "1", station.Pass, "")}, EventMsg{ended(1, "2", station.Reject, "store-io")}, EventMsg{ended(2, "3", station.Fault, "no-answer")})
	paint()
	for seconds := 90; screen.Text() != asShown(p.shown); seconds++ {
		if seconds > 200 {
			t.Fatalf("the terminal shows\n%s\nwant\n%s", screen.Text(), asShown(p.shown))
		}
		d.send(tickMsg{at: at(float64(seconds))}, factsMsg{facts: d.station.facts})
		paint()
	}
	for _, text := range []string{"flash is defective", "board does not answer", "✓1 ✗1 ▲1"} {
		if !strings.Contains(screen.Text(), text) {
			t.Errorf("%q is not on\n%s", text, screen.Text())
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
