package station

import (
	"context"
	"fmt"
	"sync"

	"hallmark/devices"
)

// probes knows what the debug probes of all bays do at this time. Debug cables of two bays may be crossed, and then the probe of one bay
// restarts the board of the other, which looks like the restart that a proof waits for.
type probes struct {
	turn chan struct{} // holds one value while a bay has its proof

	mu    sync.Mutex
	works map[string]*works // by bay
}

// works counts the work of a bay's probe that may restart a chip.
type works struct{ begun, ended int }

func newProbes() *probes {
	return &probes{turn: make(chan struct{}, 1), works: map[string]*works{}}
}

// restartsOfWork is how often one work may restart a chip that answers between the restarts: a programmer at its begin, and the reset at its end.
const restartsOfWork = 2

// work notes that the probe of a bay may restart a chip, until ended is called.
func (p *probes) work(bay string) (ended func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.works[bay]
	if w == nil {
		w = &works{}
		p.works[bay] = w
	}
	w.begun++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.ended++
	}
}

// ended returns how many works each bay has ended.
func (p *probes) ended() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]int{}
	for bay, w := range p.works {
		all[bay] = w.ended
	}
	return all
}

// mostSince returns the greatest number of works that one bay had at a time or since then, when ended returned before.
func (p *probes) mostSince(before map[string]int) (most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for bay, w := range p.works {
		most = max(most, w.begun-before[bay])
	}
	return most
}

// alone repeats a proof until the probe of no other bay can have made all of its restarts. Only one bay has a proof at a time. A flash of another
// bay may take minutes, so no proof waits for it. A chip has one probe, so only the works of the busiest other bay count.
func (p *probes) alone(ctx context.Context, proof func() (*devices.Identity, error)) (*devices.Identity, error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the proof of another bay: %w", ctx.Err())
	}
	defer func() { <-p.turn }()
	before := p.ended()
	for proofs := 1; ; proofs++ {
		now, err := proof()
		if err != nil || proofs > restartsOfWork*p.mostSince(before) {
			return now, err
		}
	}
}

// A bayPort is the debug port of a bay. It notes its work for the proofs of other bays. Questions restart no chip.
type bayPort struct {
	DebugPort
	bay    string
	probes *probes
}

func (b *bayPort) Flash(ctx context.Context, progress func(done, total int)) error {
	defer b.probes.work(b.bay)()
	return b.DebugPort.Flash(ctx, progress)
}

func (b *bayPort) Restart(ctx context.Context) error {
	defer b.probes.work(b.bay)()
	return b.DebugPort.Restart(ctx)
}

func (b *bayPort) Lock(ctx context.Context) error {
	defer b.probes.work(b.bay)()
	return b.DebugPort.Lock(ctx)
}
