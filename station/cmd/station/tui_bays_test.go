package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"hallmark/station"
	"hallmark/station/registry"
)

// The numbers on the screen agree with the registry, for each number of bays.
func TestEveryBayPassesAndTheNumbersAreThoseOfTheRegistry(t *testing.T) {
	colour := regexp.MustCompile(`\x1b\[[0-9;]*[34][0-9]`)
	for _, row := range []struct {
		name, w, h, boards string
		bays               int
		environment        []string
		colours            bool
	}{
		{"four QEMU boards at 80 by 24", "80", "24", "qemu:4", 4, nil, true},
		{"32 posix boards at 200 by 50", "200", "50", "posix:32", 32, nil, true},
		{"32 posix boards without colours", "200", "50", "posix:32", 32, []string{"NO_COLOR=1"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newShift(t)
			s.w, s.h = row.w, row.h
			s.opens(row.environment, "--boards", row.boards, "--operator", "OP-1")
			s.sees(`Press F12 to begin the shift`)
			s.presses("F12")
			s.sees(`Press F12 to start`)
			s.presses("u", "F12")
			s.sees(`start by themselves`)
			s.runs(func(passes, bays, open int) bool { return bays == row.bays })
			s.presses("u", "F12")
			s.sees(`wait for their start`)
			if shown := s.tmux("capture-pane", "-p", "-e", "-t", "s"); colour.MatchString(shown) != row.colours {
				t.Errorf("colours %t, want %t:\n%s", !row.colours, row.colours, shown)
			}
			s.presses("n")
			s.runs(func(passes, bays, open int) bool {
				same := regexp.MustCompile(fmt.Sprintf(`PASS +%d\b`, passes))
				return open == 0 && same.MatchString(s.tmux("capture-pane", "-p", "-t", "s"))
			})
			s.presses("q")
			s.sees(`Leave the station`)
			s.presses("F12")
			s.leaves()
			if code, _, errs := do(t, "audit", "verify", "--dir", s.dir); code != exitPass {
				t.Error(errs)
			}
		})
	}
}

// runs waits until so reports true for the recorded Runs: the number of passes, of bays with a Run, and of open Runs.
func (s *shift) runs(so func(passes, bays, open int) bool) {
	s.t.Helper()
	reader, err := registry.OpenReader(s.t.Context(), filepath.Join(s.dir, "registry.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer reader.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		runs, err := reader.SearchRuns(s.t.Context(), registry.Search{})
		if err != nil {
			s.t.Fatal(err)
		}
		passes, open, bays := 0, 0, map[string]bool{}
		for _, run := range runs {
			switch run.Ending {
			case station.Pass:
				passes++
				bays[run.Bay] = true
			case "":
				open++
			default:
				s.t.Fatalf("a Run ended as %s: %s", run.Ending, run.Reason)
			}
		}
		if so(passes, len(bays), open) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d passes in %d bays, %d under way", passes, len(bays), open)
		}
	}
}
