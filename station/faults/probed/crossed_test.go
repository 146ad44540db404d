package probed_test

import (
	"sync"
	"testing"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/fixtures/jlink"
	"hallmark/station"
)

// Debug cables of two bays are crossed with each other, and both bays work at the same time, as in a batch: each probe flashes and restarts the board
// of the other bay in the same moments.
func TestTwoBaysWithCrossedDebugCablesDoNotProveEachOther(t *testing.T) {
	for name, change := range map[string]func(*configs.Board){"with the place of the store": nil, "without the place of the store": withoutStore} {
		t.Run(name, func(t *testing.T) {
			b := newEnvironment(t, change)
			other := b.spare()
			client := devices.NewClient(other.Transport(), devices.Options{Answer: emulated.AnswerTime})
			t.Cleanup(func() { b.closes(client.Close) })
			b.probeAt(other)
			second := fixtures.Must(jlink.Start(jlink.Config{Serial: serial + 1, Host: 2, Chip: jlink.NewQEMU(b.board, true)}))(t)
			t.Cleanup(func() { b.closes(second.Close) })
			ports := []station.DebugPort{b.port, b.debugPort("683806232", change)}
			var both sync.WaitGroup
			runs := make([]*station.Run, 2)
			for i, client := range []*devices.Client{b.client, client} {
				runs[i] = fixtures.Must(b.engine.NewRun(ports[i].Setup().Probe, "anna"))(t)
				both.Go(func() {
					if err := b.engine.EnrolWith(t.Context(), client, ports[i], runs[i]); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			for i, run := range runs {
				if run.Ending != station.Fault || run.Reason != "probe-elsewhere" {
					t.Errorf("bay %d ends as %s %q: %v", i, run.Ending, run.Reason, run.Err)
				}
				b.isOpen(ports[i])
			}
			b.verifies()
		})
	}
}
