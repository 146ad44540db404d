package ui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"hallmark/station/label"
)

// A label of somebody else may hold a label of this station, such as the badge in SHOP-18. It is read as a whole, wherever the scan stops
// for a while. A stop behind its first character looks like the key of a person in front of a scan, and then nothing is done either.
func TestALabelInsideOfAnotherLabelCountsForNothing(t *testing.T) {
	open := sweeper(t)
	for _, text := range []string{"SHOP-18", "TWO-4712", "3WO-4712", "EBAY-5", "00" + strings.ReplaceAll(boardOf(7).String(), "-", ""), boardOf(7).String() + boardOf(7).String()} {
		for _, speed := range speeds {
			for stutter := -1; stutter <= len(text); stutter++ {
				d := open.again()
				d.types(text+"\r", speed*time.Millisecond, stutter)
				_, shown := d.message()
				answered := strings.Contains(shown, "not for this station") || stutter == 1 && strings.Contains(shown, "scan again")
				// A short label of a slow scanner that stops may count as keys, which show something.
				keys := speed == 200 && stutter > 0 && len(text) < many
				selected := 0
				if stutter == 1 && text[0] == '3' { // the key of a person would have chosen this bay
					selected = 2
				}
				if d.station.said() != "" || !keys && (!answered || d.selected != selected || d.screen != screenDashboard) {
					t.Errorf("%s, %d ms, hiccup before %d: asked for %q, answers %q, bay %d", text, speed, stutter, d.station.said(), shown, d.selected)
				}
			}
		}
	}
}

// A QR code holds up to 7,089 characters (ISO/IEC 18004).
func TestALongLabelIsOneLabel(t *testing.T) {
	board := boardOf(7).String()
	for text, asks := range map[string]string{
		strings.Repeat("O", 600) + "OP-18":                                 "",
		strings.Repeat("x", 4096):                                          "",
		strings.Repeat("1", 8000):                                          "",
		`{"pad":"` + strings.Repeat("y", 3000) + `","id":"` + board + `"}`: "start 1 by op17 for WO-4711 expecting " + short(board),
	} {
		for _, speed := range []time.Duration{5, 100} {
			if len(text) > 4000 && speed == 100 {
				continue // takes long
			}
			d := sweeper(t)
			d.o.IdleLock = 0
			d.types(text+"\r", speed*time.Millisecond, -1)
			_, shown := d.message()
			if d.station.said() != asks || asks == "" && !strings.Contains(shown, "not for this station") || d.screen != screenDashboard || d.dialog != nil {
				t.Errorf("%.20s, %d characters, %d ms: asked for %q, answers %.60q on screen %d", text, len(text), speed, d.station.said(), shown, d.screen)
			}
		}
	}
}

// A scan while a search is typed is searched for. None of its characters is a key, whatever ends it.
func TestAScanIsATextToSearchFor(t *testing.T) {
	for _, l := range sweptLabels() {
		want := l.text
		if strings.Contains(l.asks, "expecting") {
			want = boardOf(7).String()
		}
		for _, speed := range speeds {
			for n, suffix := range suffixes {
				d := sweeper(t)
				d.key("h")
				d.key("/")
				d.types(l.text+suffix, speed*time.Millisecond, n)
				searched := d.history.query.Text
				if d.station.said() != "" || d.leaving || d.dialog != nil || d.screen != screenHistory || searched != want || d.field != nil {
					t.Fatalf("%q, suffix %q, %d ms: asked for %q, searches %q on\n%s", l.text, suffix, speed, d.station.said(), searched, d.View())
				}
			}
		}
	}
}

// A scan may stop for a while, so a scan that begins sooner after a key is not known to begin there. It is refused, and its repetition is read.
func TestAScanAfterAKeyOfAPersonIsStillRead(t *testing.T) {
	const signsIn = "sign in op18; sign out op17: another operator signed in"
	for _, key := range []string{"n", "h", "3", "?", "q", "/", "o", "z"} {
		for _, speed := range speeds {
			for _, soon := range []bool{false, true} {
				d := sweeper(t)
				d.key(key)
				if soon {
					d.later(-within) // the scan begins a second after the key
				}
				d.types("OP-18\r", speed*time.Millisecond, -1)
				if soon && key != "q" && key != "/" {
					d.asked("")
					d.shows("scan again")
					d.types("OP-18\r", speed*time.Millisecond, -1)
				}
				want := signsIn
				if key == "q" || key == "/" && soon {
					want = "" // a question is open, and a text in the search is searched for
				}
				if d.station.said() != want {
					t.Errorf("%s, soon %v, then a scan of %d ms: asked for %q, want %q", key, soon, speed, d.station.said(), want)
				}
			}
		}
	}
}

// The bay that a person chose stays chosen when the scan behind it must be repeated. With more than nine bays two digits choose a bay.
func TestAScanAfterTheNumberOfABayStartsThisBay(t *testing.T) {
	board := boardOf(7).String()
	for _, test := range []struct {
		bays   int
		number string
		apart  time.Duration // between two digits
	}{{8, "3", 0}, {12, "12", 150}, {12, "12", 200}, {12, "12", 400}} {
		for _, pause := range []time.Duration{400, 1000, 2000, 4000} {
			d := drive(t, test.bays, 200, 50, "en")
			for _, digit := range test.number {
				d.later(test.apart * time.Millisecond)
				d.send(keyPress(string(digit)))
			}
			d.later(pause*time.Millisecond - within - time.Second)
			d.types(board+"\r", 5*time.Millisecond, -1)
			if pause*time.Millisecond <= within {
				d.asked("")
				d.shows("scan again")
				d.types(board+"\r", 5*time.Millisecond, -1)
			}
			d.asked("start " + test.number + " by op17 for WO-4711 expecting " + short(board))
		}
	}
}

func TestNoScanIsTriedAsAPIN(t *testing.T) {
	for _, l := range sweptLabels() {
		for _, speed := range speeds {
			for _, suffix := range suffixes {
				s := newFakeStation()
				o := options(t, s, 4, "en")
				o.Opener = s
				d := open(t, s, o, 80, 24)
				d.key("47")
				d.types(l.text+suffix, speed*time.Millisecond, -1)
				if len(s.pins) > 0 || len(d.field.text) > 0 || d.station.said() != "" {
					t.Fatalf("%q, suffix %q: PINs %q, typed %q, asked for %q", l.text, suffix, s.pins, string(d.field.text), d.station.said())
				}
			}
		}
	}
}

func TestAScanWithAConfiguredPrefix(t *testing.T) {
	for _, speed := range speeds {
		d := sweeper(t)
		d.o.Labels.Before, d.o.Labels.After = "~", "#"
		d.types("~OP-18#", speed*time.Millisecond, -1)
		d.asked("sign in op18; sign out op17: another operator signed in")
		d.types("WO-4712#", speed*time.Millisecond, -1)
		d.shows("No prefix: not from the scanner")
		d.asked("sign in op18; sign out op17: another operator signed in")
	}
}

// A scanner that types no enter: its suffix alone ends a scan. A key of a person that is the suffix ends nothing.
func TestTheConfiguredSuffixEndsAScan(t *testing.T) {
	for _, suffix := range []string{"#", "##", "\x1e", "\x1e\x04", "#\r"} {
		for _, speed := range speeds {
			for stutter := -1; stutter < 6; stutter++ {
				d := sweeper(t)
				d.o.Labels.After = strings.TrimSuffix(suffix, "\r")
				d.types("OP-18"+suffix, speed*time.Millisecond, stutter)
				d.asked("sign in op18; sign out op17: another operator signed in")
				if d.shows("Signed in: J. Weiß"); d.dialog != nil || len(d.held.chars) > 0 {
					t.Errorf("suffix %q, %d ms: a question is open, or characters are held", suffix, speed)
				}
			}
			d := sweeper(t)
			d.o.Labels.After = strings.TrimSuffix(suffix, "\r")
			d.key("h")
			d.key("/")
			d.types("4711"+suffix, speed*time.Millisecond, -1)
			if d.history.query.Text != "4711" || d.field != nil {
				t.Errorf("suffix %q, %d ms: searches for %q", suffix, speed, d.history.query.Text)
			}
		}
	}
	d := sweeper(t)
	d.o.Labels.After = "#"
	d.key("h")
	d.later(300 * time.Millisecond)
	d.key("#")
	if d.screen != screenHistory {
		t.Error("the keys of a person were read as a scan")
	}
}

// The suffix of the scanner may stand in a label of somebody else. What comes behind it is no label.
func TestTheConfiguredSuffixInsideOfAnotherLabelCountsForNothing(t *testing.T) {
	const signsIn = "sign in op18; sign out op17: another operator signed in"
	for _, suffix := range []string{"#", "##", "\x1e"} {
		for _, end := range []string{"", "\r"} {
			for _, speed := range speeds {
				d := sweeper(t)
				d.o.Labels.After = suffix
				d.types("SHOP"+suffix+"OP-18"+suffix+end, speed*time.Millisecond, -1)
				d.asked("")
				d.types("OP-18"+suffix+end, speed*time.Millisecond, -1)
				if d.station.said() != signsIn {
					t.Errorf("suffix %q, end %q, %d ms: the next label asks for %q", suffix, end, speed, d.station.said())
				}
			}
		}
	}
}

// A text that a person types into a field of an action may hold the suffix.
func TestTheConfiguredSuffixEndsOnlyFieldsForLabels(t *testing.T) {
	for purpose, ends := range map[fieldPurpose]bool{fieldOrder: true, fieldSearch: true, fieldOpenOrder: false, fieldRaiseOrder: false, fieldPalette: false} {
		d := sweeper(t)
		d.o.Labels.After = "#"
		d.field = &field{purpose: purpose}
		d.types("WO-4712#", 5*time.Millisecond, -1)
		if open := d.field != nil && string(d.field.text) == "WO-4712#"; open == ends {
			t.Errorf("field %d: the suffix is typed %v, ends %v", purpose, open, ends)
		}
	}
}

// A label may hold the octets that a terminal sends for the go key, or the scanner may send the key in the middle of a label.
func TestTheGoKeyInTheMiddleOfAScanDoesNothing(t *testing.T) {
	for _, speed := range speeds {
		d := sweeper(t)
		d.types("1234", speed*time.Millisecond, -1)
		d.later(speed * time.Millisecond)
		d.send(tea.KeyPressMsg{Code: tea.KeyF12})
		d.asked("")
		d.shows("The scan was cut off")
	}
}

func TestTheAnswerToAScanStaysUntilTheNextAction(t *testing.T) {
	d := sweeper(t)
	d.o.IdleLock = 0
	d.types("4006381333931\r", 5*time.Millisecond, -1)
	d.send(tickMsg{at: at(3600)})
	d.shows("not for this station")
	d.send(factsMsg{facts: Facts{HSM: HSM{State: HSMAway}}})
	d.shows("HSM AWAY: the line waits") // that is more urgent by now
	d.send(factsMsg{facts: d.station.facts})
	d.shows("not for this station")
	d.key("right")
	if strings.Contains(d.View(), "not for this station") {
		t.Error("the answer is still there after the next key")
	}
}

func TestASerialNumberFindsItsBoard(t *testing.T) {
	d := sweeper(t)
	p, err := label.ParsePattern(`SN(?P<serial>[0-9a-f]{8})`)
	if err != nil {
		t.Fatal(err)
	}
	d.o.Labels.Patterns = []label.Pattern{p}
	board := boardOf(7).String()
	d.station.rows = []Row{{Serial: "994f12aa00", BoardID: boardOf(8).String()}, {Serial: "004f12aa00", BoardID: board}}
	d.types("SN4f12aa00\r", 5*time.Millisecond, -1)
	d.asked("start 1 by op17 for WO-4711 expecting " + short(board))
	d.station.rows = nil
	d.types("SN4f12aa01\r", 5*time.Millisecond, -1)
	d.shows("No certificate has the serial number 4f12aa01")
}
