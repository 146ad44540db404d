package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hallmark/station"
)

func TestALongFindingIsWrappedAndNothingOfItIsLost(t *testing.T) {
	words := make([]string, 150)
	for i := range words {
		words[i] = fmt.Sprintf("word%03d", i)
	}
	d := drive(t, 4, 80, 24, "en")
	d.station.checks = []Check{{Name: "disk", State: CheckFail, Finding: "first line\n" + strings.Join(words, " "), Next: "clear\nthe disk"}}
	d.key("d")
	d.key("go")
	shown := d.View()
	for range 40 {
		d.key("down")
		shown += d.View()
	}
	for _, want := range append(words, "first line\n", "clear", "the disk") {
		if !strings.Contains(shown, want) {
			t.Errorf("the finding lost %q", want)
		}
	}
}

func TestTheHintForMoreLinesHasALineOfItsOwn(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	for i := range 60 {
		d.send(feedMsg{logs: []LogLine{{At: at(0), Level: "INFO", Text: fmt.Sprintf("%02d %s", i, strings.Repeat("x", 60))}}})
	}
	d.key("l")
	for _, line := range strings.Split(d.View(), "\n") {
		if strings.Contains(line, "more lines") && strings.Contains(line, "x") {
			t.Errorf("the hint stands over text: %q", line)
		}
	}
	for range 100 {
		d.key("down")
	}
	d.shows("00 xxx") // the oldest line is the last
	d.key("up")
	if d.View(); strings.Contains(d.View(), "00 xxx") {
		t.Error("a key that went past the end has to be taken back before up moves")
	}
}

func TestTheStartSaysWhatComesNextHoweverManyChecksThereAre(t *testing.T) {
	for _, h := range []int{minHeight, 24, 50} {
		d := drive(t, 4, 80, h, "en")
		d.screen, d.station.checks = screenStart, nil
		for i := range 20 {
			d.station.checks = append(d.station.checks, Check{Name: fmt.Sprint("part ", i), State: CheckOK, Finding: strings.Repeat("fine ", 30)})
		}
		d.send(d.runChecks()())
		d.shows("The bench is ready.")
		d.shows("Press F12 to begin the shift")
	}
}

func TestHelpAndQuitAreInEachFooter(t *testing.T) {
	for _, language := range []string{"en", "de"} {
		for _, key := range []string{"", "n", "h", "l", "d", "enter"} {
			d := drive(t, 8, 80, 24, language)
			d.send(EventMsg{ended(1, "1", station.Pass, "")})
			d.key(key)
			lines := strings.Split(d.View(), "\n")
			footer := lines[len(lines)-1]
			for _, b := range []string{"? " + d.keys.Help.does, "q " + d.keys.Quit.does} {
				if !strings.Contains(footer, b) {
					t.Errorf("%s, key %q: no %q in %q", language, key, b, footer)
				}
			}
		}
	}
}

func TestNamesOfBaysKeepTheirEnd(t *testing.T) {
	s := newFakeStation()
	o := options(t, s, 0, "en")
	for i := range 32 {
		o.BayNames = append(o.BayNames, fmt.Sprintf("/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port%d", i+1))
	}
	d := open(t, s, o, 200, 50)
	d.screen = screenDashboard
	for i, bay := range o.BayNames {
		d.send(EventMsg{ended(i, bay, station.Pass, "")})
	}
	for i := range 32 {
		d.shows(fmt.Sprintf("%02d …", i+1))
		d.shows(fmt.Sprintf("t%d ", i+1))
	}
}

func TestTheBottleneckIsTheLongestBar(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		d := drive(t, 4, size[0], size[1], "en")
		d.send(EventMsg{ended(1, "1", station.Pass, "")})
		d.key("n")
		longest, marked := 0, 0
		for _, line := range strings.Split(d.View(), "\n") {
			length := strings.Count(line, "▄")
			longest = max(longest, length)
			if strings.Contains(line, "►") && !strings.Contains(line, "slowest") {
				marked = length
			}
		}
		if marked == 0 || marked != longest {
			t.Errorf("%v: the marked bar has %d, the longest %d", size, marked, longest)
		}
	}
}

func TestTheRateWaitsUntilItMeansSomething(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.key("n")
	d.shows("\n —") // nothing was run
	d.key("esc")
	e := ended(1, "1", station.Pass, "")
	e.Snap.Started, e.Snap.Finished = at(0), at(3)
	d.send(EventMsg{e}, tickMsg{at: at(5)})
	d.key("n")
	d.shows("— from 14:02:00 on")
	d.send(tickMsg{at: at(120)})
	d.shows(" 30 ") // one board in two minutes
}

func TestAKeyThatTheScreenDoesNotHaveSaysSo(t *testing.T) {
	for _, tt := range []struct{ screen, key, shows string }{
		{"h", "u", "u works on the bench only: first esc"},
		{"n", "3", "3 works on the bench only: first esc"},
		{"l", "x", "x works on the bench only: first esc"},
		{"", "z", "There is no key z here. ? shows the keys."},
		{"d", "z", "There is no key z here. ? shows the keys."},
	} {
		d := drive(t, 4, 80, 24, "en")
		d.key(tt.screen)
		d.key(tt.key)
		d.shows(tt.shows)
		d.asked("")
	}
	d := drive(t, 4, 80, 24, "en")
	d.screen = screenStart
	d.key("3")
	d.shows("begin the shift first")
}

func TestAnIdleBayIsNamedAsItsTileIs(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.facts.Bays = []BayFacts{{Name: "1", Present: BoardPresent}}
	d.send(factsMsg{facts: d.facts})
	d.shows("Bay 1: ready · Press F12 to start")
}

func TestTheQuestionOfADialogIsNeverCut(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.facts.Bays = []BayFacts{{Name: "1", Stopped: strings.Repeat("suspicious ", 60)}}
	d.send(factsMsg{facts: d.facts})
	d.key("a")
	d.shows("Your name goes on record.")
}

func TestTimesAreReadable(t *testing.T) {
	for took, want := range map[time.Duration]string{0: "0.0 s", -time.Second: "0.0 s", 200 * time.Microsecond: "<1 ms", 38 * time.Millisecond: "38 ms",
		320 * time.Millisecond: "0.3 s", 99 * time.Second: "99.0 s", 100 * time.Second: "1:40", 75 * time.Minute: "75:00"} {
		if got := seconds(took); got != want {
			t.Errorf("%v is shown as %q, want %q", took, got, want)
		}
	}
}
