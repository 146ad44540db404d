package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/instance"
)

// A whole shift at 120×40 as an operator does it: badge, work order from the palette, four emulated boards of which one is a copy of
// another, a port where nobody answers, history beside the chosen Run, export, sign out. Each act of a person is on record under the
// name of the person.
func TestAShiftAt120By40WithACloneAndASilentPort(t *testing.T) {
	s := newShift(t)
	s.w, s.h = "120", "40"
	s.clones("qemu", 3)
	s.opens(nil, "--boards", "qemu:4,"+fixtures.TalkerOnPort(t, fixtures.Silent))
	s.meets()
	s.scans("OP-1")
	s.sees(`Signed in: Anna Schmidt`)
	s.commands("open a work")
	s.sees(`New work order`)
	s.scans("WO-55")
	s.sees(`► WO-55 _`) // the label of a new work order is typed by the scanner
	s.presses("9", "F12")
	s.sees(`WO-55 \S+ 0/9`)
	s.commands("start all")
	s.sees(`5 bays can start`)
	s.presses("Up", "F12") // the arrow keeps it from being a key that is held down

	shown := s.sees(`✓4 ✗1 ▲1`)
	for _, want := range []string{`identity belongs to another`, `board does not answer`, `KNOWN \d`, `NEW \d`, `→ Keep the board, call`, `2/9`} {
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("the bench does not show %q:\n%s", want, shown)
		}
	}
	s.presses("h")
	shown = s.sees(`(?s)time +bay +ending.*│ Run\n.*BoardID +[0-9a-f]{8}-`)
	for _, want := range []string{`► .* ✓ PASS|► .* ✗ REJECT`, `✗ REJECT +[0-9a-f]{8} identity belongs`, `all endings · 5 Runs`} { // four of this shift, one of the first copy
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("the history does not show %q:\n%s", want, shown)
		}
	}
	s.presses("F12")
	s.sees(`5 Runs are in .*/copies/runs-.*\.csv`)
	s.presses("Escape")
	s.sees(`1 qemu-1`)
	s.presses("O")
	s.sees(`Sign Anna Schmidt out`)
	s.presses("Up", "F12")
	s.sees(`Signed out`)
	s.presses("q")
	s.sees(`Leave the station`)
	s.presses("Up", "F12")
	s.leaves()

	types := s.types()
	inOrder(t, types, "station.start success "+instance.LocalUser(), "operator.login.ok success anna", "order.opened success anna", "line.order success anna",
		"run.pass success anna", "export.runs success anna", "operator.logout success anna", "line.drain success station", "station.stop success "+instance.LocalUser())
	for _, one := range []string{"run.reject denied anna", "bay.stopped denied anna"} {
		if !slices.Contains(types, one) {
			t.Errorf("no %q among\n%s", one, strings.Join(types, "\n"))
		}
	}
}

// meets begins a shift to which nobody has signed in.
func (s *shift) meets() {
	s.t.Helper()
	s.sees(`Press F12 to begin the shift`)
	s.presses("Up", "F12") // the arrow keeps it from being a key that is held down
	s.sees(`Scan your badge to sign in`)
}

// commands does a command of the palette.
func (s *shift) commands(words string) {
	s.t.Helper()
	s.presses(":")
	s.presses("-l", words)
	s.sees(`: ` + words)
	s.presses("F12")
}

// clones enrols a board in the first bay of a kind, and puts a board with the same BoardID and another hardware id into a bay.
func (s *shift) clones(kind string, bay int) {
	s.t.Helper()
	if code, _, errs := do(s.t, "enrol", "--dir", s.dir, "--firmware", s.firmware, kind); code != exitPass {
		s.t.Fatal(errs)
	}
	known := fixtures.Must(os.ReadFile(filepath.Join(s.dir, "bays", kind+"-1", "1", "fuses.bin")))(s.t)
	folder := filepath.Join(s.dir, "bays", kind+"-"+string(rune('0'+bay)), "1")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "fuses.bin"), append(slices.Clone(known[:32]), "0123456789abcdef"...), 0o600); err != nil {
		s.t.Fatal(err)
	}
}
