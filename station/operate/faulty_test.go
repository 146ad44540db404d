package operate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station"
)

func TestAutomaticStartLeavesABayAloneAfterThreeFaults(t *testing.T) {
	port := filepath.Join(t.TempDir(), "ttyACM0")
	tty := fixtures.TalkerOnPort(t, fixtures.MCUmgr)
	s := ready(t, port)
	begun := 0
	s.events = func(e station.Event) {
		if e.Kind == station.RunStarted {
			begun++
		}
	}
	s.must(s.Automatic(t.Context(), true, "anna", ""))
	plugs := func() {
		t.Helper()
		s.must(os.RemoveAll(port))
		s.checkPorts()
		s.must(os.Symlink(tty, port))
		s.checkPorts()
		s.skipFaulty()
		s.startAutomatic(time.Now())
		s.runs.Wait()
	}
	for range 5 {
		plugs()
	}
	if begun != maxFaults {
		t.Errorf("%d Runs were begun, want %d", begun, maxFaults)
	}
	if bay := s.facts().Bays[0]; bay.Faults != maxFaults || bay.Fault != "other-smp-server" {
		t.Errorf("%+v", bay)
	}
	why := s.facts().Bays[0].Skipped
	if !strings.Contains(why, "3 Faults in a row") || !strings.Contains(why, "other-smp-server") {
		t.Errorf("the bay says %q", why)
	}
	s.recorded("bay.skipped", "anna", map[string]string{"bay": port, "reason": why})

	s.must(s.Skip(t.Context(), port, "", "anna"))
	if bay := s.facts().Bays[0]; bay.Faults != 0 || bay.Fault != "" {
		t.Errorf("taken back: %+v", bay)
	}
	plugs()
	if begun != maxFaults+1 {
		t.Error("a bay that an operator takes back is not started")
	}
	s.starts(1, Start{}) // by hand
	s.waits()
	if s.bays[0].faults != 0 {
		t.Errorf("%d Faults count after a start by hand", s.bays[0].faults)
	}
}
