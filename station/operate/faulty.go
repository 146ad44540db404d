package operate

import (
	"context"
	"fmt"
	"time"

	"hallmark/station"
)

// maxFaults is after how many Faults in a row automatic start leaves a bay alone. The next board would end in the same
// way, and a person must look at the bay.
const maxFaults = 3

// countFault counts the Faults of automatic start. A Run that a lost HSM ended does not count, because it is started
// again. The caller holds mu.
func (b *bayState) countFault(last *station.Run, ask Start) {
	if !ask.automatic || last.Ending != station.Fault {
		b.faults = 0
		return
	}
	if b.lost == nil {
		b.faults, b.faulty = b.faults+1, last.Reason
	}
}

// skipFaulty takes each bay out of work in which automatic start had maxFaults Faults in a row. The tile of the bay then
// says why, and how an operator takes the bay back.
func (c *Controller) skipFaulty() {
	for _, bay := range c.faultyBays() {
		ctx, cancel := context.WithTimeout(c.life, 10*time.Second)
		err := c.Skip(ctx, bay.name, fmt.Sprintf("%d Faults in a row at automatic start, the last: %s", maxFaults, bay.last), bay.operator)
		cancel()
		c.mu.Lock()
		if bay.state.skipped != "" {
			bay.state.outFor = bay.last // the screen says it in its own language
		}
		c.mu.Unlock()
		if err != nil {
			c.record.Log.Error("taking a bay out of work after Faults", "bay", bay.name, "error", err)
		}
	}
}

type faultyBay struct {
	state                *bayState
	name, last, operator string
}

func (c *Controller) faultyBays() (all []faultyBay) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bays {
		if b.faults >= maxFaults && !b.running && b.skipped == "" {
			all = append(all, faultyBay{b, b.spec.Name, b.faulty, c.operator})
		}
	}
	return all
}
