package faults_test

import (
	"fmt"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/devices/emulated"
	"hallmark/fixtures"
	"hallmark/station"
)

// manyRetries are options for a bad cable: the client asks again soon and often.
var manyRetries = devices.Options{Timeout: 120 * time.Millisecond, Settle: 5 * time.Millisecond, Retries: 8}

// bothWays does the same damage in both directions.
func bothWays(d fixtures.Damage) fixtures.Faults { return fixtures.Faults{ToBoard: d, ToStation: d} }

// seeds is how often each kind of damage is tried.
const seeds = 3

func TestABadCableEndsInAPassOrANamedFault(t *testing.T) {
	l := newEnvironment(t, nil)
	late := fixtures.Damage{Delay: 0.1, DelayBy: 150 * time.Millisecond}
	t.Run("cables", func(t *testing.T) {
		for _, test := range []struct {
			name    string
			faults  fixtures.Faults
			retries bool // the Run cannot pass without retries
		}{
			{"octets are dropped", bothWays(fixtures.Damage{Drop: 0.0008}), true},
			{"bits are flipped", bothWays(fixtures.Damage{Flip: 0.0008}), true},
			{"lines are lost", bothWays(fixtures.Damage{Lose: 0.05}), true},
			{"lines come twice", bothWays(fixtures.Damage{Duplicate: 0.1}), true},
			{"lines come after the next one", bothWays(fixtures.Damage{Reorder: 0.04}), true},
			{"answers come after the second question", fixtures.Faults{ToStation: late}, true},
			{"the board talks between frames", fixtures.Faults{ToStation: fixtures.Damage{Console: 0.5}}, false},
			{"there is noise between frames", bothWays(fixtures.Damage{Noise: 0.2}), false},
			{"everything at once, seldom", bothWays(fixtures.Damage{
				Drop: 0.0002, Flip: 0.0002, Lose: 0.01, Duplicate: 0.05, Reorder: 0.01, Delay: 0.005, DelayBy: 150 * time.Millisecond, Console: 0.1, Noise: 0.03,
			}), true},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				retries := 0
				for seed := range uint64(seeds) {
					retries += l.harmed(t, test.name, test.faults, seed).Wire.Retries
				}
				if test.retries && retries == 0 {
					t.Error("no retry is reported")
				}
			})
		}
	})
	l.checkInvariants(t)
	l.onceEach(t)
}

// harmed enrols a new board over a bad cable, and then again over a good cable.
func (l *environment) harmed(t *testing.T, name string, faults fixtures.Faults, seed uint64) *station.Run {
	t.Helper()
	bay, dir := l.bay(name), t.TempDir()
	board := l.plug(t, emulated.Config{Dir: dir}, manyRetries, func(good devices.Transport) devices.Transport {
		return fixtures.FaultyLine(good, faults, seed)
	})
	run := bay.enrol(t, board, board)
	named(t, run)
	sum := 0
	for _, step := range run.Steps {
		sum += step.Retries
	}
	if sum != run.Wire.Retries {
		t.Errorf("%d retries in the steps, %d in the Run", sum, run.Wire.Retries)
	}
	t.Logf("seed %d: %s %s, %d retries", seed, run.Ending, run.Reason, run.Wire.Retries)
	l.passesAgain(t, bay, dir, run)
	return run
}

// passesAgain enrols a board again over a good cable, and checks that the board passes. If a
// certificate was signed before, the board gets the same certificate.
func (l *environment) passesAgain(t *testing.T, bay *bay, dir string, before *station.Run) {
	t.Helper()
	l.passesAgainAs(t, bay, emulated.Config{Dir: dir}, before)
}

// passesAgainAs is passesAgain for any kind of board.
func (l *environment) passesAgainAs(t *testing.T, bay *bay, config emulated.Config, before *station.Run) {
	t.Helper()
	board := l.plug(t, config, longTimeout, nil)
	after := bay.enrol(t, board, board)
	ends(t, after, station.Pass, "")
	same(t, before, after)
	if after.Identity == nil {
		return
	}
	if n := l.certificates(t, after.Identity.ID); n != 1 {
		t.Errorf("%d certificates were signed for the board", n)
	}
}

func TestACableMayBeCutAfterAnyOctet(t *testing.T) {
	const every, whole = 310, 6300 // whole: a Run has more octets than that
	l := newEnvironment(t, nil)
	t.Run("cuts", func(t *testing.T) {
		for at := int64(1); at < whole; at += every {
			t.Run(fmt.Sprintf("cut after %d octets", at), func(t *testing.T) {
				t.Parallel()
				bay, dir := l.bay(t.Name()), t.TempDir()
				board := l.plug(t, emulated.Config{Dir: dir}, longTimeout, func(good devices.Transport) devices.Transport {
					return fixtures.FaultyLine(good, fixtures.Faults{CutAfter: at}, 1)
				})
				run := bay.enrol(t, board, board)
				ends(t, run, station.Fault, devices.ErrLineClosed.Word())
				l.passesAgain(t, bay, dir, run)
			})
		}
	})
	l.checkInvariants(t)
	l.onceEach(t)
}
