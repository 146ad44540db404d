// Package sweep_test stops the world at every effect of a Run, in both ways a
// crash can fall: before the effect happened, and after it happened but before
// anybody heard of it. Then it opens everything from disk as the dead station
// left it, enrols the board again, and looks at the invariants I1 to I11.
//
// All parts are real: the firmware's core as a process with fuses and flash in
// files, the SMP client, the registry in SQLite, the issuer, keys in SoftHSM,
// and the verifier on a TCP port. What is counted are the calls on the
// interfaces of the engine and the issuer, so a new step is covered on the day
// it is written.
package sweep_test

import (
	"fmt"
	"testing"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/workdir"
)

func TestTheWorldMayStopAtEveryEffect(t *testing.T) {
	f := newFactory(t)
	for _, kind := range []kind{
		{"first enrolment and lock", "", devices.PurposeTLS, false},
		{"rework", "antenna replaced", devices.PurposeTLS, false},
		{"COSE key after the TLS key, and lock", "", devices.PurposeCOSE, false},
		{"rework of the COSE key", "antenna replaced", devices.PurposeCOSE, false},
		{"first enrolment over the board's network", "", devices.PurposeTLS, true},
	} {
		t.Run(kind.name, func(t *testing.T) { sweep(t, f, kind) })
	}
}

// A kind of Run.
type kind struct {
	name, rework string
	purpose      devices.Purpose
	network      bool // the board dials the verifier by itself
}

// sweep counts the effects of a clean Run and then stops at each.
func sweep(t *testing.T, f *factory, kind kind) {
	clean := &plug{}
	w := ready(t, f, kind)
	if run := w.life(clean, kind.rework); run.Ending != station.Pass {
		t.Fatalf("a clean Run ends as %s: %v", run.Ending, run.Err)
	}
	t.Logf("%d effects: %v", len(clean.names), clean.names)
	for at, name := range clean.names {
		for _, when := range []moment{lost, applied} {
			t.Run(fmt.Sprintf("%02d %s %s", at+1, name, when), func(t *testing.T) {
				t.Parallel()
				stopAt(t, f, kind, &plug{at: at + 1, when: when})
			})
		}
	}
}

// ready is a world whose board is new, or has its first certificate if a rework is
// to be done; for the COSE key the board has the certificate for its TLS key before that. The
// world is prepared once for each kind; each test gets a copy.
func ready(t *testing.T, f *factory, kind kind) *world {
	t.Helper()
	if f.prepared[kind] == nil {
		f.prepared[kind] = prepare(t, f, kind)
	}
	return f.prepared[kind].clone(t)
}

func prepare(t *testing.T, f *factory, kind kind) *world {
	t.Helper()
	w := newWorld(t, f)
	if kind.network {
		fixtures.Configure(t, workdir.Dir(w.state), "handshake: uart", "handshake: network")
	}
	if kind.purpose != devices.PurposeTLS {
		w.first()
	}
	if w.purpose = kind.purpose; kind.rework != "" {
		w.first()
		w.neverSeal = true
	}
	return w
}

// first is an enrolment in peace of a board that is not sealed after it.
func (w *world) first() {
	w.t.Helper()
	w.neverSeal = true
	if run := w.life(&plug{}, ""); run.Ending != station.Pass {
		w.t.Fatalf("the first enrolment for %s ends as %s: %v", w.purpose, run.Ending, run.Err)
	}
	w.neverSeal = false
}

// stopAt is one case: a death, a new life, and one more.
func stopAt(t *testing.T, f *factory, kind kind, p *plug) {
	w := ready(t, f, kind)
	before := w.active()
	dead := w.life(p, kind.rework)
	if !p.pulled || dead.Ending == station.Pass || dead.Ending == station.Reject {
		t.Errorf("the station died, and its Run ended as %s: %v", dead.Ending, dead.Err)
	}
	w.notYetActive(p, before)

	second := w.life(&plug{}, kind.rework)
	if second.Ending != station.Pass {
		t.Errorf("I11: the new try ends as %s (%s): %v; the first one ended with: %v", second.Ending, second.Reason, second.Err, dead.Err)
	}
	w.check(second)

	signatures := w.signatures
	third := w.life(&plug{}, "")
	if third.Ending != station.Pass || !third.Certificate.Stored || w.signatures != signatures {
		t.Errorf("I9: the same request again ends as %s (%v) with %d more signatures", third.Ending, third.Err, w.signatures-signatures)
	}
	w.check(third)
}
