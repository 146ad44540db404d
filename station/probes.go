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
	turn chan struct{} // holds one value while a bay proves, locks or restarts its board

	mu      sync.Mutex
	flashes map[string]*flashes // by bay
}

// flashes counts those of a bay.
type flashes struct{ begun, ended int }

func newProbes() *probes {
	return &probes{turn: make(chan struct{}, 1), flashes: map[string]*flashes{}}
}

// restartsOfFlash is how often a flash may restart a chip that answers between the restarts: by the programmer, and by the reset at the end.
const restartsOfFlash = 2

// flash notes that the probe of a bay flashes, until ended is called.
func (p *probes) flash(bay string) (ended func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flashes[bay]
	if f == nil {
		f = &flashes{}
		p.flashes[bay] = f
	}
	f.begun++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		f.ended++
	}
}

// ended returns how many flashes each bay has ended.
func (p *probes) ended() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]int{}
	for bay, f := range p.flashes {
		all[bay] = f.ended
	}
	return all
}

// mostSince returns the greatest number of flashes that one bay had since the moment at which ended returned before.
func (p *probes) mostSince(before map[string]int) (most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for bay, f := range p.flashes {
		most = max(most, f.begun-before[bay])
	}
	return most
}

// takes waits until no other bay proves, locks or restarts its board, and keeps it so until over is called, once or more often.
func (p *probes) takes(ctx context.Context) (over func(), err error) {
	select {
	case p.turn <- struct{}{}:
		return sync.OnceFunc(func() { <-p.turn }), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the probe of another bay: %w", ctx.Err())
	}
}

// repeated repeats a proof until the probe of no other bay can have made all of its restarts. A flash of another bay may take minutes, so no
// proof waits for it. A chip has one probe, so only the flashes of the busiest other bay count. The caller has the turn.
func (p *probes) repeated(proof func() (*devices.Identity, error)) (*devices.Identity, error) {
	before := p.ended()
	for proofs := 1; ; proofs++ {
		now, err := proof()
		if err != nil || proofs > restartsOfFlash*p.mostSince(before) {
			return now, err
		}
	}
}

// A bayPort is the debug port of a bay. It notes its flashes for the proofs of other bays. Questions restart no chip; who restarts or locks it
// otherwise takes the turn.
type bayPort struct {
	DebugPort
	bay    string
	probes *probes
}

func (b *bayPort) Flash(ctx context.Context, progress func(done, total int)) error {
	defer b.probes.flash(b.bay)()
	return b.DebugPort.Flash(ctx, progress)
}
