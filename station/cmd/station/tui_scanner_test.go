package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// slowly types a label on the real terminal, one character after the other with a pause between them, and then a suffix.
func (s *shift) slowly(label, suffix string, pause time.Duration) {
	s.t.Helper()
	for _, r := range label {
		time.Sleep(pause) // the scanner, not a wait of the test
		s.tmux("send-keys", "-l", "-t", "s", string(r))
	}
	time.Sleep(pause)
	s.tmux("send-keys", "-t", "s", suffix)
}

// The real program behind a scanner of three speeds. A scanner of 32 to 60 ms for a character once started bays with the
// digits of a label, and signed the operator out with the O of a badge.
func TestAScannerOfAnySpeedPressesNoKey(t *testing.T) {
	s := newShift(t)
	configuration := filepath.Join(s.dir, "station.yaml")
	text, err := os.ReadFile(configuration)
	if err != nil {
		t.Fatal(err)
	}
	pattern := "\nlabels: ['https://example\\.com/d/(?P<board>[0-9a-f-]{36})']\n"
	if err := os.WriteFile(configuration, append(text, pattern...), 0o600); err != nil {
		t.Fatal(err)
	}
	s.opens(nil, "--boards", "posix:4", "--operator", "OP-1")
	s.begins()
	for i, scanner := range []struct {
		pause  time.Duration
		suffix string
	}{{5, "Enter"}, {40, "Tab"}, {200, "C-c"}} {
		pause := scanner.pause * time.Millisecond
		s.slowly("OP-2", scanner.suffix, pause)
		s.sees(`Signed in: Ben`)
		s.slowly("OP-1", scanner.suffix, pause)
		s.sees(`Signed in: Anna Schmidt`)
		s.slowly(fmt.Sprintf("BAY-%d", i+1), scanner.suffix, pause)
		s.sees(fmt.Sprintf(`Bay posix-%d`, i+1))
		s.slowly("XsqXkrdOua1w2yoi", scanner.suffix, pause)
		s.sees(`not for this station: XsqXkrdOua1w2yoi`)
		board := uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i)}).String() // another board than the one in the bay
		s.slowly("https://example.com/d/"+board, scanner.suffix, pause)
		s.sees(`(?i)another board|exchanged|` + board[:8])
	}
	s.presses("q")
	s.sees(`Leave the station`)
	s.presses("F12")
	s.leaves()
	for _, e := range s.entries() {
		if strings.HasPrefix(e.Type, "cert.") || e.Type == "operator.logout" && e.Actor.ID == "" || strings.HasPrefix(e.Type, "bay.") {
			t.Errorf("a scan did %s: %+v", e.Type, e)
		}
	}
}

// The lines of --plain on a terminal: no label starts a bay by its number, and no octet of a label ends the station.
func TestAScannerAtALineTerminalStartsNothing(t *testing.T) {
	s := newShift(t)
	s.opens(nil, "--boards", "posix:4", "--operator", "OP-1", "--plain")
	s.sees(`Bays: `)
	for _, suffix := range []string{"Enter", "C-c", "C-d", "Tab"} {
		s.slowly("3", suffix, 5*time.Millisecond)
		s.sees(`Start bay 3\? Ctrl-G`)
	}
	s.presses(`C-\`) // FS
	s.slowly("XsqX", "Enter", 5*time.Millisecond)
	s.sees(`want a bay's number`)
	s.slowly("quit", "Enter", 5*time.Millisecond)
	s.sees(`Leave the station\? Ctrl-G`)
	for _, e := range s.entries() {
		if strings.HasPrefix(e.Type, "cert.") || strings.HasPrefix(e.Type, "line.drain") {
			t.Errorf("a scan did %s: %+v", e.Type, e)
		}
	}
	s.slowly("3", "Enter", 5*time.Millisecond)
	s.slowly("", "C-g", time.Second) // a person
	s.sees(`posix-3: PASS`)
	s.slowly("quit", "Enter", 5*time.Millisecond)
	s.slowly("", "C-g", time.Second)
	s.leaves()
}
