package ui

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/station"
	"hallmark/station/reason"
	"hallmark/ui/catalogue"
)

var tokenMissing = reason.New("token-missing", "token missing")

var (
	update   = flag.Bool("update", false, "write the golden screens anew")
	pictures = flag.String("pictures", "", "also draw each golden screen as SVG, in each colour scheme, to new files in this folder")
)

// Each screen, at each size and in each language, without colours: word and
// shape alone must do.
func TestGoldenScreens(t *testing.T) {
	scenes := []struct {
		name  string
		scene func(d *driver)
	}{
		{"start", func(d *driver) {
			d.screen = screenStart
			d.operator = Operator{}
			d.send(d.runChecks()())
		}},
		{"start-failed", func(d *driver) {
			d.screen = screenStart
			d.station.checks[2] = Check{Name: "HSM", State: CheckFail, Finding: "token missing", Err: tokenMissing, Next: "check that the HSM is connected and the PIN source is right"}
			d.station.checks[3].State = CheckNone
			d.station.checks[3].Finding = "not checked: what it needs has failed above"
			d.send(d.runChecks()())
		}},
		{"pin", func(d *driver) {
			d.screen, d.unlocked, d.field = screenStart, false, &field{purpose: fieldPIN, secret: true, text: []rune("1234")}
		}},
		{"signed-out", func(d *driver) { d.operator = Operator{} }},
		{"idle", func(d *driver) {}},
		{"running", func(d *driver) {
			for i := range d.bays {
				d.send(EventMsg{running1(i, d.bays[i].name, i%9)})
			}
		}},
		{"mixed", func(d *driver) {
			for _, e := range mixed(len(d.bays)) {
				d.send(EventMsg{e})
			}
		}},
		{"pass", func(d *driver) { allEnd(d, station.Pass, "") }},
		{"reject", func(d *driver) { allEnd(d, station.Reject, "handshake-failed") }},
		{"fault", func(d *driver) { allEnd(d, station.Fault, "no-answer") }},
		{"aborted", func(d *driver) { allEnd(d, station.Aborted, "operator") }},
		{"stopped", func(d *driver) {
			allEnd(d, station.Reject, "clone")
			d.facts.Bays = []BayFacts{{Name: "1", Stopped: "clone"}, {Name: "2", Skipped: "jig is defective"}}
			d.send(factsMsg{facts: d.facts})
		}},
		{"hsm-away", func(d *driver) {
			d.send(factsMsg{facts: Facts{Order: d.facts.Order, HSM: HSM{State: HSMAway, Detail: "session with the token was lost", Word: "session-lost"}, Entries: 48213}})
		}},
		{"detail", func(d *driver) {
			d.station.detail = Detail{Registry: []Fact{{Name: "status", Value: "active"}, {Name: "operator", Value: "op17"}},
				Audit: []AuditEntry{{Index: 48210, At: at(-5), Type: "run.admitted", Text: "bay 1"},
					{Index: 48211, At: at(-4), Type: "certificate.intent", Text: "serial 4f12"}}}
			e := ended(1, "1", station.Reject, "store-io")
			e.Snap.Err = errors.New("writing certificate: board: flash refused to erase, program or read (rc 13)")
			e.Snap.Console = []byte("*** boot 1.4.2 ***\r\nflash: sector 3 bad\x1b[31m\r\n")
			d.send(EventMsg{e})
			d.key("enter")
		}},
		{"history", func(d *driver) {
			for i := range 30 {
				e := ended(i, fmt.Sprint(i%8+1), []station.Ending{station.Pass, station.Pass, station.Reject, station.Fault}[i%4], []string{"", "", "store-io", "no-answer"}[i%4])
				d.station.rows = append(d.station.rows, Row{Run: e.Run, At: e.At, Bay: e.Bay, BoardID: e.Snap.Identity.ID.String(),
					Serial: "4f12aa00112233445566778899aabbcc", Order: "WO-4711", Operator: "op17", Ending: e.Snap.Ending, Reason: e.Snap.Reason})
			}
			d.key("h")
			d.key("down")
		}},
		{"doctor", func(d *driver) {
			d.key("d")
			d.key("go")
		}},
		{"numbers", func(d *driver) {
			for i := range 200 {
				e := ended(i, fmt.Sprint(i%8+1), []station.Ending{station.Pass, station.Pass, station.Pass, station.Pass, station.Reject, station.Fault, station.Pass, station.Aborted}[i%8],
					[]string{"", "", "", "", "store-io", "no-answer", "", "operator"}[i%8])
				e.Snap.Finished = at(float64(i*36 + i*i%700))
				d.send(EventMsg{e})
			}
			d.now = at(2 * 3600)
			d.key("n")
		}},
		{"log", func(d *driver) {
			d.send(feedMsg{logs: []LogLine{{At: at(0), Level: "INFO", Text: "bay 1: admitted"}, {At: at(1), Level: "WARN", Text: "bay 3: request sent again \x1b[2J"}}})
			d.key("l")
		}},
		{"help", func(d *driver) { d.key("?") }},
		{"palette", func(d *driver) {
			d.key(":")
			d.key("r")
		}},
		{"order-field", func(d *driver) {
			d.key("o")
			d.key("WO-4")
		}},
		{"dialog", func(d *driver) {
			d.send(EventMsg{running1(1, "1", 4)})
			d.key("x")
		}},
		{"skip", func(d *driver) {
			d.key("k")
			d.key("2")
		}},
		{"flash", func(d *driver) {
			d.o.Steps = append(append([]string{"flash"}, testSteps...), "lock")
			for i := range d.bays {
				d.send(EventMsg{flashing(i, d.bays[i].name, 12*i)})
			}
			for i, what := range []station.Wait{station.WaitPort, station.WaitBoard, station.WaitRead, station.WaitStart, station.WaitProof} {
				d.send(EventMsg{waitsFor(3+i, d.bays[3+i].name, "flash", what)})
			}
			d.send(EventMsg{waitsFor(0, "1", "lock", station.WaitLock)})
			cut := ended(1, "2", station.Fault, "needs-flash")
			cut.Snap.Identity = nil
			d.send(EventMsg{cut})
		}},
		{"rows", func(d *driver) {}},
		{"small", func(d *driver) {}},
	}
	for _, language := range catalogue.Languages() {
		for _, size := range [][2]int{{60, 16}, {80, 24}, {120, 40}, {200, 50}} {
			for _, s := range scenes {
				w, h, bays := size[0], size[1], 8
				if w == 200 {
					bays = 32
				}
				if s.name == "rows" {
					w, h, bays = size[0], size[1]-size[1]/50, 32
				}
				if s.name == "small" {
					w, h = size[0]/2-1, 9
				}
				name := fmt.Sprintf("%s-%s-%dx%d", s.name, language, size[0], size[1])
				t.Run(name, func(t *testing.T) {
					d := drive(t, bays, w, h, language)
					d.theme = newTheme(SchemeNone, unicodeCharacters)
					if s.name == "rows" {
						for _, e := range mixed(32) {
							d.send(EventMsg{e})
						}
					}
					s.scene(d)
					fits(t, d.View(), w, h)
					golden(t, name, d.View())
					if *pictures != "" {
						d.draws(name)
					}
				})
			}
		}
	}
}

// draws draws the screen in each colour scheme.
func (d *driver) draws(name string) {
	d.t.Helper()
	for scheme, terminal := range map[ColourScheme]terminalLook{SchemeDark: darkTerminal, SchemeLight: lightTerminal, SchemeContrast: darkTerminal, SchemeNone: darkTerminal} {
		d.theme = newTheme(scheme, unicodeCharacters)
		if err := os.WriteFile(filepath.Join(*pictures, fmt.Sprintf("%s-%s.svg", name, scheme)), []byte(svg(d.canvas(nil), terminal)), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

func allEnd(d *driver, e station.Ending, reason string) {
	for i := range d.bays {
		d.send(EventMsg{ended(i, d.bays[i].name, e, reason)})
	}
}

func fits(t testing.TB, screen string, w, h int) {
	t.Helper()
	lines := strings.Split(screen, "\n")
	if len(lines) > h {
		t.Errorf("%d lines on a screen of %d", len(lines), h)
	}
	for i, line := range lines {
		if width(line) > w {
			t.Errorf("line %d has %d columns on a screen of %d: %q", i+1, width(line), w, line)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "screens", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("no golden screen (make it with -update and look at it): %v", err)
	}
	if string(want) != got+"\n" {
		t.Errorf("screen differs from %s; got:\n%s", path, got)
	}
}
