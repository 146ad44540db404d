package report

import (
	"strings"
	"testing"

	"hallmark/station"
)

func TestTheConsoleOfABoardThatDidNotPassIsShown(t *testing.T) {
	long := strings.Repeat("line\r\n", 30) + "\x1b[2J[00:01] <err> os: HARD FAULT\r\n\r\n"
	runs := []*station.Run{
		{Bay: "bad", Ending: station.Fault, Console: []byte(long)},
		{Bay: "good", Ending: station.Pass, Console: []byte("ready\n")},
		{Bay: "silent", Ending: station.Fault},
	}
	shown := string(Table{Runs: runs, Console: true}.Text())
	if !strings.Contains(shown, "console of the board in bad\n") || !strings.Contains(shown, "  | ?[2J[00:01] <err> os: HARD FAULT\n") {
		t.Errorf("no console:\n%s", shown)
	}
	if n := strings.Count(shown, "  | "); n != consoleLines {
		t.Errorf("%d lines, want %d", n, consoleLines)
	}
	for _, other := range []string{"board in good", "board in silent"} {
		if strings.Contains(shown, other) {
			t.Errorf("the text has %q", other)
		}
	}
	if shown := string(Table{Runs: runs}.Text()); strings.Contains(shown, "console of") {
		t.Error("a batch shows consoles")
	}
}
