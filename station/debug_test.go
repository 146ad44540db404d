package station_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
)

func TestABlankBoardIsFlashedEnrolledAndLocked(t *testing.T) {
	w := withPort(t)
	var percents []int
	s := w.locking(func(c *station.Config) {
		c.Events = func(e station.Event) {
			if e.Kind == station.StepMoved && e.Progress.Total > 0 {
				percents = append(percents, e.Progress.Percent())
			}
		}
	})
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Pass {
		t.Fatalf("ending %s: %v", run.Ending, run.Err)
	}
	want := "Identify Target Content ImageAllowed ReadStore Flash Identify Identify Restart Identify Identify Marked Admit CSR Check Sign Write 0 Write 1 Write 2 Reset Read 2 ReadStore Delivered " +
		"Connect Handshake Verdict Activate Identify LockState Identify Restart Identify LockIntended Lock Reset LockState LockRead Close"
	if got := strings.Join(w.calls, " "); got != want {
		t.Errorf("calls %s\nwant  %s", got, want)
	}
	if run.Flash.Held || run.Flash.Image != firmwareImage.SHA256 || *run.StoreRead != w.certificate.SHA256 || run.Probe.Serial != "683806234" {
		t.Errorf("flash %+v, store %x, probe %+v", run.Flash, run.StoreRead, run.Probe)
	}
	if run.Lock.State != station.LockLocked || run.Lock.Recipe != testLockRecipe || !slices.Equal(w.locks, []string{"intended", "locked"}) {
		t.Errorf("lock %+v, entries %v", run.Lock, w.locks)
	}
	if len(percents) != 101 || !slices.IsSorted(percents) || percents[100] != 100 {
		t.Errorf("progress %v", percents)
	}
	if s := run.Steps; s[0].Name != "flash" || s[len(s)-1].Name != "lock" {
		t.Errorf("steps %v", s)
	}
}

func TestTheProbeFindsABoardThatLiesAboutItsFlash(t *testing.T) {
	other := newCertificate(t, 9)
	for name, store := range map[string][]byte{
		"no store":            {},
		"another certificate": fixtures.FlashStore(map[devices.Slot][]byte{devices.SlotCertificate: other.DER}),
		"an empty slot":       fixtures.FlashStore(map[devices.Slot][]byte{devices.SlotAnchor: []byte("anchor")}),
	} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			w.port.store = store
			if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Reject || run.Reason != "probe-read-differs" || slices.Contains(w.calls, "Lock") {
				t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
			}
		})
	}
}

func TestOnlyTheFirstRunOfABoardFlashes(t *testing.T) {
	w := withPort(t)
	w.silent = false
	s := w.locking(func(c *station.Config) { c.Keys = append(c.Keys, station.Key{Purpose: devices.PurposeCOSE}) })
	run, err := s.NewRun("bay 1", "operator")
	if err != nil {
		t.Fatal(err)
	}
	run.Purpose = devices.PurposeCOSE
	w.again(t.Context(), s, run)
	if slices.ContainsFunc(run.Steps, func(s station.StepTime) bool { return s.Name == "flash" }) {
		t.Errorf("steps %v", run.Steps)
	}
}

// Drivers and recipes give a programmer up to 10 minutes, and more for an image of several parts.
func TestTheTimeOfAFlashComesFromTheBay(t *testing.T) {
	for _, test := range []struct {
		name     string
		limit    time.Duration
		change   func(*station.Timeouts)
		min, max time.Duration
	}{
		{"no limit of the programmer", 0, nil, time.Minute, 2 * time.Minute},
		{"a programmer that may take 10 minutes", 10 * time.Minute, nil, 11 * time.Minute, 12 * time.Minute},
		{"a Run that is bounded more than the flash", 10 * time.Minute, func(o *station.Timeouts) { o.Run = time.Minute }, 10 * time.Minute, 11 * time.Minute},
		{"a time-out in the configuration", 10 * time.Minute, func(o *station.Timeouts) { o.Named = map[string]time.Duration{"flash": 5 * time.Minute} }, 4 * time.Minute, 5 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := withPort(t)
			w.port.setup.FlashLimit = test.limit
			s := w.locking(func(c *station.Config) {
				if test.change != nil {
					test.change(&c.Timeouts)
				}
			})
			if run := w.enrol(t.Context(), s); run.Ending != station.Pass || w.port.left < test.min || w.port.left > test.max {
				t.Errorf("ending %s: %v; the flash has %v, want %v to %v", run.Ending, run.Err, w.port.left, test.min, test.max)
			}
		})
	}
}

func TestTheTimeOfALockComesFromTheBay(t *testing.T) {
	w := withPort(t)
	w.port.setup.LockLimit = 4 * time.Minute
	if run := w.enrol(t.Context(), w.locking()); run.Ending != station.Pass || w.port.lockLeft < 4*time.Minute || w.port.lockLeft > 5*time.Minute {
		t.Errorf("ending %s: %v; the lock has %v", run.Ending, run.Err, w.port.lockLeft)
	}
}

// A person in front of the bay sees for what it waits.
func TestASlowStepSaysWhatItWaitsFor(t *testing.T) {
	ends := []station.Wait{station.WaitState, station.WaitProof, station.WaitLock, station.WaitStart, station.WaitState}
	for name, test := range map[string]struct {
		silent bool
		want   []station.Wait
	}{
		"a blank board":               {true, []station.Wait{station.WaitPort, station.WaitBoard, station.WaitRead, station.WaitFlash, station.WaitStart, station.WaitProof}},
		"a board that runs the image": {false, []station.Wait{station.WaitPort, station.WaitBoard}},
	} {
		t.Run(name, func(t *testing.T) {
			w := withPort(t)
			if w.silent = test.silent; !test.silent {
				w.identity.FirmwareHash = provisioning
			}
			var got []station.Wait
			run := w.enrol(t.Context(), w.locking(func(c *station.Config) {
				c.Events = func(e station.Event) {
					if e.Kind == station.StepMoved && (len(got) == 0 || e.Waits != got[len(got)-1]) {
						got = append(got, e.Waits)
					}
				}
			}))
			if run.Ending != station.Pass || !slices.Equal(got, slices.Concat(test.want, ends)) {
				t.Errorf("ending %s: %v; it waits for %q", run.Ending, run.Err, got)
			}
		})
	}
}
