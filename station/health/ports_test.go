package health_test

import (
	"fmt"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/health"
	"hallmark/station/instance"
)

// The check at the start of a shift looks at the ports of the bays only.
func TestTheStartOfAShiftLooksAtThePortsOfTheBays(t *testing.T) {
	good, used := fixtures.TalkerOnPort(t, fixtures.Silent), fixtures.TalkerOnPort(t, fixtures.Silent)
	name, pid := fixtures.Reader(t, used)
	for _, test := range []struct {
		boards string
		state  health.State
		says   []string
	}{
		{good, health.OK, []string{good}},
		{good + ",/dev/ttyNONE", health.Warn, []string{"bay /dev/ttyNONE: not plugged in yet"}},
		{good + "," + used, health.Fail, []string{fmt.Sprintf("bay %s: port %q: port is in use by %s (pid %d)", used, used, name, pid)}},
		{used + ",/dev/ttyNONE", health.Fail, []string{"port is in use"}},
	} {
		t.Run(test.boards, func(t *testing.T) {
			s := newShift(t, fixtures.NewDirectory(t), true)
			bays := fixtures.Must(instance.ParseBays(test.boards))(t)
			s.Examine(bays, fixtures.Must(s.record.Boards(bays, instance.Images{}))(t))
			s.runsChecks()
			check := s.checked["ports"]
			if check.State != test.state {
				t.Errorf("%s: %s", check.State, check.Finding)
			}
			for _, says := range test.says {
				if !strings.Contains(check.Finding, says) {
					t.Errorf("%q lacks %q", check.Finding, says)
				}
			}
		})
	}
}
