package ui

import (
	"fmt"
	"strings"
	"testing"

	"hallmark/station"
	"hallmark/station/issuance"
	"hallmark/ui/catalogue"
)

// wordRows is the number of rows of a word.
func wordRows(size wordSize) int {
	if size == wordText {
		return 1
	}
	return wordForms[size].rows
}

// An operator sees the board that failed from two metres: its word is never smaller than that of a board that passed, at no
// size of a tile and in no language.
func TestWhatIsBadIsNeverSmallerThanAPass(t *testing.T) {
	for _, language := range catalogue.Languages() {
		for _, c := range []charset{unicodeCharacters, consoleCharacters, asciiCharacters} {
			d := drive(t, 1, 80, 24, language)
			d.theme = newTheme(SchemeNone, c)
			for w := tileWidth - 2; w <= widestTile-2; w++ {
				for h := tileHeight - 2; h <= highestTile-2; h++ {
					r := rect{0, 0, w, h}
					pass := d.sizeOf(station.Pass, r)
					stop := largest(d.Model.t("tile.stop"), w, planEnded(w, h).word, d.theme.shapes)
					for name, size := range map[string]wordSize{"reject": d.sizeOf(station.Reject, r), "fault": d.sizeOf(station.Fault, r), "stop": stop} {
						if size < pass || wordRows(size) < wordRows(pass) {
							t.Fatalf("%s, characters %d, tile %d×%d: %s has size %d, a pass %d", language, c, w, h, name, size, pass)
						}
					}
				}
			}
		}
	}
}

// The parts of a tile fit into it, whatever the reason and the next action say.
func TestTheWordOfAnEndingHasItsRowsWhateverTheReasonSays(t *testing.T) {
	for _, language := range catalogue.Languages() {
		for _, size := range [][2]int{{60, 16}, {80, 24}, {120, 40}, {200, 50}} {
			for _, bays := range []int{1, 4, 8, 16, 32} {
				d := drive(t, bays, size[0], size[1], language)
				d.theme = newTheme(SchemeNone, asciiCharacters)
				for _, reason := range []string{"no-answer", "clone", "handshake-failed", "needs-flash", strings.Repeat("long-word ", 30)} {
					allEnd(d, station.Reject, reason)
					fits(t, d.View(), size[0], size[1])
				}
			}
		}
	}
}

// From two metres the frame and the whole tile of a board that failed have its colour; of a board that passed only the band has.
func TestAFailureFillsItsTile(t *testing.T) {
	count := func(e station.Ending, reason string, stopped bool) (cells int) {
		d := drive(t, 2, 120, 40, "en")
		d.send(EventMsg{ended(1, "1", e, reason)})
		if stopped {
			d.facts.Bays = []BayFacts{{Name: "1", Stopped: reason}}
			d.send(factsMsg{facts: d.facts})
		}
		d.selected = 1 // the frame of the chosen bay differs
		area, _ := endingStyles(e)
		for _, cell := range d.canvas(nil).cells {
			if cell.s == area {
				cells++
			}
		}
		return cells
	}
	pass, reject, fault, stopped := count(station.Pass, "", false), count(station.Reject, "store-io", false), count(station.Fault, "no-answer", false), count(station.Reject, "clone", true)
	if pass*2 > reject || pass*2 > fault || stopped < reject {
		t.Errorf("coloured cells: pass %d, reject %d, fault %d, stopped %d", pass, reject, fault, stopped)
	}
}

func TestTheHeaderShowsOrderCountsAndTheLastEndings(t *testing.T) {
	for _, w := range []int{minWidth, 80, 120, 200} {
		d := drive(t, 4, w, 24, "en")
		for i, e := range []station.Ending{station.Pass, station.Pass, station.Reject, station.Fault, station.Pass} {
			d.send(EventMsg{ended(i, fmt.Sprint(i%4+1), e, "")})
		}
		row := strings.Split(d.View(), "\n")[1]
		want := []string{"WO-4711", "123/500", "✓3 ✗1 ▲1"}
		if w >= 80 {
			want = append(want, "███░", "✓✓✗▲✓")
		}
		for _, part := range want {
			if !strings.Contains(row, part) {
				t.Errorf("%d columns: no %q in %q", w, part, row)
			}
		}
		for _, fine := range []string{"HSM", "clock", "audit"} {
			if strings.Contains(row, fine) {
				t.Errorf("%d columns: %q says %q, and nothing is wrong", w, row, fine)
			}
		}
		d.send(factsMsg{facts: Facts{Order: d.facts.Order, HSM: HSM{State: HSMAway}, ClockBad: "went back"}})
		if row := strings.Split(d.View(), "\n")[1]; !strings.Contains(row, "HSM AWAY") || !strings.Contains(row, "CLOCK WRONG") {
			t.Errorf("%d columns: %q hides what is wrong", w, row)
		}
	}
}

func TestATileWithRoomShowsBoardAndSerialNumber(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		d := drive(t, 4, size[0], size[1], "en")
		e := passes(1, 1, "1", station.Reworked, 3)
		e.Snap.Certificate = &issuance.Certificate{Serial: [16]byte{0x4f, 0x12, 15: 0xaa}}
		d.send(EventMsg{e})
		d.shows(e.Snap.Identity.ID.String())
		d.shows("s/n 4f1200000000000000000000000000aa")
		d.shows("REWORK")
	}
}

// A few bays fill a large screen, and their words grow with it.
func TestAFewBaysFillALargeScreen(t *testing.T) {
	for _, language := range catalogue.Languages() {
		d := drive(t, 4, 200, 50, language)
		allEnd(d, station.Reject, "store-io")
		if a := d.arrange(d.body()); a.w*a.columns < 190 || a.h*a.rows < 40 {
			t.Errorf("%s: tiles of %d×%d", language, a.w, a.h)
		}
		if size := d.sizeOf(station.Reject, rect{0, 0, 98, 21}); size != wordGreat {
			t.Errorf("%s: the word has size %d", language, size)
		}
	}
}

// Engineering asks for the board of a stopped bay; a bay that is out of work shows no ending of an earlier board.
func TestAStoppedTileNamesItsBoardAndASkippedTileIsCalm(t *testing.T) {
	d := drive(t, 2, 120, 40, "en")
	d.theme = newTheme(SchemeDark, unicodeCharacters)
	allEnd(d, station.Reject, "clone")
	d.facts.Bays = []BayFacts{{Name: "1", Stopped: "clone"}, {Name: "2", Skipped: "jig"}}
	d.send(factsMsg{facts: d.facts})
	c := d.canvas(nil)
	places := d.arrange(d.body())
	if at := places.bayRect(d.body(), 0); !strings.Contains(textIn(c.cells), d.bays[0].boardID()) {
		t.Errorf("the stopped tile at %v does not have its board %s:\n%s", at, d.bays[0].boardID(), d.View())
	}
	if at := places.bayRect(d.body(), 1); c.cells[at.y*c.w+at.x].s != plain {
		t.Errorf("the frame of the skipped tile has the style %d", c.cells[at.y*c.w+at.x].s)
	}
}

// A BoardID is in a tile as a whole or not at all: half of a number looks like another number.
func TestNoNumberOfATileIsCut(t *testing.T) {
	for h := 16; h <= 50; h++ {
		d := drive(t, 8, 112, h, "en")
		allEnd(d, station.Reject, "clone")
		d.facts.Bays = []BayFacts{{Name: "1", Stopped: "clone"}}
		d.send(factsMsg{facts: d.facts})
		screen := d.View()
		for i := range d.bays {
			half := (len(d.bays[i].boardID()) + 1) / 2
			if first, second := d.bays[i].boardID()[:half+1], d.bays[i].boardID()[half+1:]; strings.Contains(screen, first) != strings.Contains(screen, second) {
				t.Errorf("112x%d: bay %d has one half of %s:\n%s", h, i+1, d.bays[i].boardID(), screen)
			}
		}
	}
}
