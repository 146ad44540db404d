package ui

import (
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/uuid"
)

func click(x, y int) tea.MouseClickMsg { return tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft} }

func wheel(button tea.MouseButton) tea.MouseWheelMsg { return tea.MouseWheelMsg{Button: button} }

// Each cell of a tile or row chooses its bay, at each size, and nothing is asked of the station.
func TestAClickChoosesTheBayUnderIt(t *testing.T) {
	for _, size := range [][3]int{{80, 24, 4}, {60, 16, 32}, {200, 50, 32}, {120, 40, 1}, {80, 24, 11}} {
		d := drive(t, size[2], size[0], size[1], "en")
		a := d.arrange(d.body())
		seen := map[int]bool{}
		for i := range d.bays {
			a = d.arrange(d.body()) // where the tiles are depends on the chosen bay
			at := a.bayRect(d.body(), i)
			d.send(click(at.x+at.w-1, at.y+at.h-1))
			if d.selected != i {
				t.Fatalf("%v: a click on bay %d chose %d", size, i+1, d.selected+1)
			}
			seen[d.selected] = true
		}
		before := d.selected
		d.send(click(3, 0), click(3, size[1]-1), tea.MouseClickMsg{X: 3, Y: 8, Button: tea.MouseRight})
		if d.selected != before || len(seen) != size[2] || d.station.said() != "" {
			t.Errorf("%v: header, footer or another button chose bay %d, asked for %q", size, d.selected+1, d.station.said())
		}
	}
}

func TestTheMouseDoesNothingUnderAPanelAndNeverActs(t *testing.T) {
	for _, opens := range []string{"x", "o", ":", "?"} {
		d := drive(t, 4, 80, 24, "en")
		d.send(EventMsg{running1(1, "1", 3)})
		d.key(opens)
		for y := range 24 {
			for x := 0; x < 80; x += 3 {
				d.send(click(x, y))
			}
		}
		d.send(wheel(tea.MouseWheelDown))
		if d.selected != 0 || d.station.said() != "" || d.dialog == nil && d.field == nil && !d.helpShown {
			t.Errorf("%s: bay %d, asked for %q", opens, d.selected+1, d.station.said())
		}
	}
}

func TestWheelAndClickMoveThroughTheHistory(t *testing.T) {
	for _, w := range []int{80, 160} {
		d := drive(t, 4, w, 24, "en")
		for i := range 100 {
			d.station.rows = append(d.station.rows, Row{Run: uuid.New(), BoardID: boardOf(i).String()})
		}
		d.key("h")
		for range 40 {
			d.send(wheel(tea.MouseWheelDown))
		}
		d.send(wheel(tea.MouseWheelUp))
		if d.history.cursor != 39 {
			t.Errorf("the wheel moved to row %d", d.history.cursor)
		}
		list, _ := d.historyParts(historyBody(d.body()))
		top := d.history.top(list)
		d.send(click(5, list.y+1+2))
		if d.history.cursor != top+2 {
			t.Errorf("a click on the third row of those from %d on chose %d", top, d.history.cursor)
		}
		d.later(time.Second)
		d.send(click(5, list.y)) // the titles
	}
}

// The octets of a click come as xterm sends them.
func TestClicksOfATerminal(t *testing.T) {
	s := newFakeStation()
	term, _, over := atTheBench(t, s)
	term.typeText("\x1b[<0;99;4M\x1b[<0;99;4m")
	term.waitFor("Bay 4")
	term.leaves(over)
	restored(t, term)
}
