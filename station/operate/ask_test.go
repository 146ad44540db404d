package operate

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
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
