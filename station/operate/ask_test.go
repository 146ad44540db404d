package operate

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/reason"
)

func TestABoardThatIsAskedAgainAndAgainIsLoggedWhenItsAnswerChanges(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	var a answer
	for _, said := range []string{"silent", "silent", "silent", "board-1", "silent"} {
		a.log(log, said, "asked", "said", said)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], "said=board-1 answer_before_came=3") || strings.Contains(lines[2], "came") {
		t.Errorf("the log has\n%s", out.String())
	}
}

// The Supervisor asks a silent board at each tick, and the engineers' log gets one line.
func TestASilentBoardFillsNoLog(t *testing.T) {
	s := ready(t, "/dev/no-such-port")
	logged := func() string {
		text, err := os.ReadFile(s.record.Dir.LogFile())
		s.must(err)
		return string(text)
	}
	before := logged()
	s.bays[0].presence.doubtful, s.bays[0].lastBoard = true, "board"
	for range 5 {
		s.mu.Lock()
		s.askBoard(s.bays[0])
		s.mu.Unlock()
		s.runs.Wait()
	}
	if lines := strings.Count(strings.TrimPrefix(logged(), before), "does not answer"); lines != 1 {
		t.Errorf("%d lines", lines)
	}
}

// flashes is the debug port of a bay that flashes, and whose probe is missing.
type flashes struct{ station.DebugPort }

var errNoProbe = reason.New("probe-missing", "no probe answers")

func (flashes) Setup() station.DebugSetup { return station.DebugSetup{Image: &station.FirmwareImage{}} }

func (flashes) Target(context.Context) (station.ProbeRecord, error) {
	return station.ProbeRecord{}, errNoProbe
}

// A blank board never says who it is, so nobody would learn that it is not the board of the last Run.
func TestAnswersThatNeverCome(t *testing.T) {
	for _, test := range []struct {
		name, lastBoard string
		port            station.DebugPort
		started         bool
	}{
		{"a bay that flashes", "board", flashes{}, true},
		{"a bay that does not flash", "board", nil, false},
		{"a last board that nobody knows", "", nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			port := filepath.Join(t.TempDir(), "ttyACM0")
			s := ready(t, port)
			s.must(s.Automatic(t.Context(), true, "anna", ""))
			b := s.bays[0]
			b.place.Debug, b.lastBoard = test.port, test.lastBoard
			b.presence = presence{now: BoardPresent, appeared: true, doubtful: true}
			for i := 0; b.presence.appeared; i++ {
				if i > 1000 {
					t.Fatal("the station asks for ever")
				}
				s.startAutomatic(time.Now())
				s.runs.Wait()
			}
			if b.last != "" != test.started {
				t.Errorf("the last Run ended as %q", b.last)
			}
			if test.started {
				return
			}
			s.starts(1, Start{}) // a person may start it
			s.waits()
			s.last(1, station.Fault)
		})
	}
}

func TestAStartByAPersonEndsTheQuestion(t *testing.T) {
	port, board := fixtures.SilentPort(t)
	s := ready(t, port)
	b := s.bays[0]
	b.presence, b.lastBoard = presence{now: BoardPresent, appeared: true, doubtful: true}, "board"
	s.mu.Lock()
	s.askBoard(b)
	s.mu.Unlock()
	asked := make([]byte, 1) // the question is under way when its first octet is there
	if _, err := board.Read(asked); err != nil {
		t.Fatal(err)
	}
	s.starts(1, Start{})
	s.waits()
	s.last(1, station.Fault)
	if b.presence.doubtful {
		t.Errorf("%+v", b.presence)
	}
}
