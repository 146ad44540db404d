// Package sweep_test crashes the station at every effect of a Run, in two ways: before the
// effect, and after the effect but before the station gets the reply. Then it starts the
// station from the files that the crash left, enrols the board again, and checks the
// invariants I1 to I11.
//
// All parts are real: the firmware's core as a process with fuses and flash in
// files, the SMP client, the registry in SQLite, the issuer, keys in SoftHSM,
// and the verifier on a TCP port. An effect is a call on an interface of the engine
// or the issuer, so the sweep also covers every new step.
package sweep_test

import (
	"fmt"
	"testing"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

func TestTheStationMayCrashAtEveryEffect(t *testing.T) {
	f := newFactory(t)
	for _, kind := range []kind{
		{name: "first enrolment and lock", purpose: devices.PurposeTLS},
		{name: "rework", rework: "antenna replaced", purpose: devices.PurposeTLS},
		{name: "rework of a marked board", purpose: devices.PurposeTLS, marked: true},
		{name: "COSE key after the TLS key, and lock", purpose: devices.PurposeCOSE},
		{name: "rework of the COSE key", rework: "antenna replaced", purpose: devices.PurposeCOSE},
		{name: "first enrolment over the board's network", purpose: devices.PurposeTLS, network: true},
		{name: "flash, first enrolment and lock of the debug port", purpose: devices.PurposeTLS, probe: true},
	} {
		t.Run(kind.name, func(t *testing.T) { sweep(t, f, kind) })
	}
}

// A kind of Run.
type kind struct {
	name, rework string
	purpose      devices.Purpose
	network      bool // the board dials the verifier by itself
	probe        bool // the board is blank, behind a debug probe
	marked       bool // a person has marked the board for a rework
}

// racePart is the part of the sweep that runs with the race detector, one case in so many. `make test` runs the whole sweep
// without the detector, because a Run has the same goroutines whatever happens to it, and the detector takes most of the time.
const racePart = 10

// swept reports whether the case with this number, from 0, is one of this sweep.
func swept(number int) bool { return !raceDetector || number%racePart == 0 }

// sweep counts the effects of a Run without a crash, and then crashes the station at each of them.
func sweep(t *testing.T, f *factory, kind kind) {
	clean := &crashPoint{}
	w := ready(t, f, kind)
	if run := w.runStation(clean, kind.rework); run.Ending != station.Pass {
		t.Fatalf("a clean Run ends as %s: %v", run.Ending, run.Err)
	}
	t.Logf("%d effects: %v", len(clean.names), clean.names)
	for at, name := range clean.names {
		if !swept(at) {
			continue
		}
		for _, when := range []moment{lost, applied} {
			t.Run(fmt.Sprintf("%02d %s %s", at+1, name, when), func(t *testing.T) {
				t.Parallel()
				crashAt(t, f, kind, &crashPoint{at: at + 1, when: when})
			})
		}
	}
}

// ready returns an environment for a kind of Run. Before a rework, the board has its first
// certificate. Before a Run for the COSE key, the board has a certificate for its TLS key.
// Otherwise the board is new. The environment is prepared once for each kind, and each test
// gets a copy.
func ready(t *testing.T, f *factory, kind kind) *environment {
	t.Helper()
	if f.prepared[kind] == nil {
		f.prepared[kind] = prepare(t, f, kind)
	}
	return f.prepared[kind].clone(t)
}

func prepare(t *testing.T, f *factory, kind kind) *environment {
	t.Helper()
	w := newEnvironment(t, f)
	w.probe = kind.probe
	if kind.network {
		fixtures.Configure(t, workdir.Dir(w.state), "handshake: uart", "handshake: network")
	}
	if kind.purpose != devices.PurposeTLS {
		w.first()
	}
	if w.purpose = kind.purpose; kind.rework != "" || kind.marked {
		w.first()
		w.neverSeal = true
	}
	if kind.marked {
		w.mark()
	}
	return w
}

// first enrols the board without a crash, and does not seal it.
func (w *environment) first() {
	w.t.Helper()
	w.neverSeal = true
	if run := w.runStation(&crashPoint{}, ""); run.Ending != station.Pass {
		w.t.Fatalf("the first enrolment for %s ends as %s: %v", w.purpose, run.Ending, run.Err)
	}
	w.neverSeal = false
}

// crashAt crashes the station in a Run, and then enrols the board twice.
func crashAt(t *testing.T, f *factory, kind kind, p *crashPoint) {
	w := ready(t, f, kind)
	before := w.active()
	crashed := w.runStation(p, kind.rework)
	if !p.crashed || crashed.Ending == station.Pass || crashed.Ending == station.Reject {
		t.Errorf("the station crashed, and its Run ended as %s: %v", crashed.Ending, crashed.Err)
	}
	w.notYetActive(p, before)

	second := w.runStation(&crashPoint{}, kind.rework)
	if second.Ending != station.Pass {
		t.Errorf("I11: the new try ends as %s (%s): %v; the first one ended with: %v", second.Ending, second.Reason, second.Err, crashed.Err)
	}
	w.check(second)
	if kind.marked {
		w.reworkedOnce()
	}

	signatures := w.signatures
	third := w.runStation(&crashPoint{}, "")
	if third.Ending != station.Pass || !third.Certificate.Stored || w.signatures != signatures {
		t.Errorf("I9: the same request again ends as %s (%v) with %d more signatures", third.Ending, third.Err, w.signatures-signatures)
	}
	w.check(third)
}

// mark marks the board for a rework, as the command does while no station runs.
func (w *environment) mark() {
	w.t.Helper()
	files := must(instance.OpenFiles(workdir.Dir(w.state), w.Options(w.hooks(&crashPoint{}))))(w.t)
	record := must(files.OpenRecord(w.t.Context()))(w.t)
	for _, row := range must(record.Registry.Boards(w.t.Context(), registry.Filter{}))(w.t) {
		which := registry.Which{BoardID: row.BoardID}
		all := must(record.Registry.Reworkable(w.t.Context(), which, false))(w.t)
		must(record.Registry.MarkForRework(w.t.Context(), which, registry.SeenBoards(all), "antenna replaced", "ann"))(w.t)
	}
	if unsigned := must(record.CoverActs(w.t.Context()))(w.t); unsigned != "" {
		w.t.Fatal(unsigned)
	}
	w.end(files.Close())
}

// reworkedOnce checks that the mark is spent, and that one certificate has replaced another.
func (w *environment) reworkedOnce() {
	w.t.Helper()
	db := fixtures.OpenDatabase(w.t, w.database())
	defer db.Close()
	fixtures.None(w.t, db, "marks that are not spent", `SELECT reason FROM reworks WHERE since IS NOT NULL`)
	if old := fixtures.Texts(w.t, db, `SELECT hex(serial) FROM certificates WHERE status = 'superseded'`); len(old) != 1 {
		w.t.Errorf("%d certificates were replaced for one mark", len(old))
	}
}
