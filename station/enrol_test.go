package station_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/issuance"
)

func (w *fakes) station(changes ...func(*station.Config)) *station.Station {
	w.t.Helper()
	config := station.Config{
		Issuer: issuer{w}, Registry: registry{w}, Known: registry{w}, Verifier: verifier{w},
		Keys:   []station.Key{{Purpose: devices.PurposeTLS}},
		Anchor: []byte("anchor"), Chain: []byte("chain"), AllowedHUK: []devices.HUKSource{devices.HUKFuses, devices.HUKTFM},
		Callers: []int32{-1}, Now: time.Now, Random: rand.Reader,
	}
	for _, change := range changes {
		change(&config)
	}
	s, err := station.New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// enrol does one new Run and checks the rules that hold for every Run.
func (w *fakes) enrol(ctx context.Context, s *station.Station) *station.Run {
	w.t.Helper()
	run, err := s.NewRun("bay 1", "operator")
	if err != nil {
		w.t.Fatal(err)
	}
	w.again(ctx, s, run)
	return run
}

func (w *fakes) again(ctx context.Context, s *station.Station, run *station.Run) {
	w.t.Helper()
	var port station.DebugPort
	if w.port != nil {
		port = w.port
	}
	if err := s.EnrolWith(ctx, w, port, run); err != nil {
		w.t.Fatal(err)
	}
	if run.Ending == "" || (run.Ending == station.Pass) != (run.Err == nil) || (run.Ending == station.Pass) != (run.Reason == "") {
		w.t.Errorf("ending %q, reason %q, error %v do not go together", run.Ending, run.Reason, run.Err)
	}
	flashed := run.Flash != nil && !run.Flash.Held || errors.Is(run.Err, station.ErrNeedsFlash)
	if met := run.Identity != nil || run.Ending == station.Reject || flashed; met != (w.closed == 1) || w.closed > 1 {
		w.t.Errorf("a board took part: %t; the Run's record was closed %d times", met, w.closed)
	}
	w.closed = 0
}

func TestACleanRunWalksEveryStepOnce(t *testing.T) {
	w := newFakes(t)
	var events []string
	s := w.station(func(c *station.Config) {
		c.Seal = true
		c.Events = func(e station.Event) { events = append(events, strings.TrimSpace(string(e.Kind)+" "+e.Step)) }
	})
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Pass || !run.Sealed || run.StopBay {
		t.Errorf("ending %s (%v), sealed %v, stop %v", run.Ending, run.Err, run.Sealed, run.StopBay)
	}
	want := "Identify Marked Admit CSR Check Sign Write 0 Write 1 Write 2 Reset Read 2 Delivered Connect Handshake Verdict Activate Identify SealIntended Seal Close"
	if got := strings.Join(w.calls, " "); got != want {
		t.Errorf("calls\n got %s\nwant %s", got, want)
	}
	wantEvents := []string{"run-started"}
	for i, step := range (&station.Config{Seal: true}).Steps() {
		wantEvents = append(wantEvents, "step-started "+step, "step-ended "+step)
		if run.Steps[i].Name != step || run.Steps[i].Outside < 10*time.Millisecond {
			t.Errorf("step %d is %v, want %s with the time of its calls", i, run.Steps[i], step)
		}
	}
	if wantEvents = append(wantEvents, "run-ended"); !slices.Equal(events, wantEvents) {
		t.Errorf("events %v\nwant %v", events, wantEvents)
	}
	if run.Wire.Sent != int64(10*(len(w.calls)-1)) || string(run.Console) != "booted\n" {
		t.Errorf("wire %v, console %q", run.Wire, run.Console)
	}
}

func TestASecondRunWritesNothing(t *testing.T) {
	w := newFakes(t)
	s := w.station()
	w.enrol(t.Context(), s)
	w.calls = nil
	if run := w.enrol(t.Context(), s); run.Ending != station.Pass {
		t.Errorf("ending %s: %v", run.Ending, run.Err)
	}
	if got := strings.Join(w.calls, " "); strings.Contains(got, "Write") || !strings.Contains(got, "Reset") {
		t.Errorf("calls %s", got)
	}
}

func TestEndings(t *testing.T) {
	cut := errors.New("port closed")
	for _, test := range []struct {
		name    string
		prepare func(w *fakes)
		ending  station.Ending
		reason  string
		stop    bool
	}{
		{"a line that is cut is a Fault", func(w *fakes) { w.fails("CSR", cut) }, station.Fault, "line", false},
		{"a registry that cannot write is a Fault", func(w *fakes) { w.fails("Activate", cut) }, station.Fault, "registry", false},
		{"a registry that cannot open the record is a Fault", func(w *fakes) { w.fails("Admit", cut) }, station.Fault, "registry", false},
		{"a Pass that cannot be closed is a Fault", func(w *fakes) { w.fails("Close", cut) }, station.Fault, "registry", false},
		{"an HSM that does not sign is a Fault", func(w *fakes) { w.fails("Sign", cut) }, station.Fault, "signing", false},
		{"a verifier that is not there is a Fault", func(w *fakes) { w.fails("Connect", cut) }, station.Fault, "verifier", false},
		{"a clone is rejected and stops the bay", func(w *fakes) { w.fails("Admit", station.ErrClone) }, station.Reject, "clone", true},
		{"a key of another board is rejected and stops the bay", func(w *fakes) { w.fails("Sign", issuance.ErrKeyElsewhere) }, station.Reject, "key-elsewhere", true},
		{"a dummy identity is rejected and stops the bay", func(w *fakes) {
			w.identity.ID, _ = devices.ParseBoardID("d5668f22-64b7-4efd-b4cb-0b6d940434b0")
		}, station.Reject, "dummy-identity", true},
		{"a development key is rejected", func(w *fakes) { w.identity.HUK = devices.HUKDevelopment }, station.Reject, "untrusted-huk", false},
		{"TF-M's dummy provisioning is rejected", func(w *fakes) { w.identity.HUK, w.identity.Caller = devices.HUKTFMDummy, -1 }, station.Reject, "untrusted-huk", false},
		{"a dummy identity of an unusual caller is rejected and stops the bay", func(w *fakes) {
			w.identity.HUK, w.identity.Caller = devices.HUKTFM, 0x1234
			w.identity.ID, _ = devices.ParseBoardID("2b08df96-9c8c-4433-bcab-cb3908400be3")
		}, station.Reject, "dummy-identity", true},
		{"a key that TF-M derived for another caller is rejected", func(w *fakes) {
			w.identity.HUK, w.identity.Caller = devices.HUKTFM, 0x4c690100
		}, station.Reject, "identity-abi", false},
		{"a key that TF-M derived for the right caller passes", func(w *fakes) { w.identity.HUK, w.identity.Caller = devices.HUKTFM, -1 }, station.Pass, "", false},
		{"another identity ABI is rejected", func(w *fakes) { w.identity.ABI = 2 }, station.Reject, "identity-abi", false},
		{"keys of another algorithm are rejected", func(w *fakes) { w.identity.Algorithm = "ml-dsa-44" }, station.Reject, "other-algorithm", false},
		{"a product's image is rejected", func(w *fakes) { w.identity.Can = devices.CanNet }, station.Reject, "product-image", false},
		{"a sealed board without certificate is rejected", func(w *fakes) { w.identity.Sealed = true }, station.Reject, "sealed", false},
		{"a sealed board with a foreign certificate is rejected", func(w *fakes) { w.holds(newCertificate(w.t, 9)); w.identity.Sealed = true }, station.Reject, "sealed", false},
		{"a sealed board with its own certificate passes", func(w *fakes) { w.holds(w.certificate); w.registered(w.certificate); w.identity.Sealed = true }, station.Pass, "", false},
		{"a bad CSR is rejected", func(w *fakes) { w.fails("Check", fmt.Errorf("checking: %w", issuance.ErrNonceWrong)) }, station.Reject, "csr-nonce-wrong", false},
		{"a foreign certificate is not overwritten", func(w *fakes) { w.holds(newCertificate(w.t, 9)) }, station.Reject, "foreign-certificate", false},
		{"junk in the slot is not overwritten", func(w *fakes) { w.holds(&issuance.Certificate{DER: []byte("junk")}) }, station.Reject, "foreign-certificate", false},
		{"an older certificate of ours is replaced", func(w *fakes) { old := newCertificate(w.t, 9); w.holds(old); w.registered(old) }, station.Pass, "", false},
		{"a board that does not restart is rejected", func(w *fakes) { w.stuck = true }, station.Reject, "not-restarted", false},
		{"another board after the reset is a Fault", func(w *fakes) { w.other = true }, station.Fault, "swapped", false},
		{"a flash that forgets is rejected", func(w *fakes) { w.forgets = true }, station.Reject, "read-back-differs", false},
		{"a refused handshake is rejected", func(w *fakes) { w.verdict = fmt.Errorf("%w: revoked", station.ErrHandshakeRefused) }, station.Reject, "handshake-refused", false},
		{"a verifier that cannot decide is a Fault", func(w *fakes) { w.verdict = cut }, station.Fault, "verifier", false},
		{"another certificate in the handshake is rejected", func(w *fakes) { w.presented[0] ^= 1 }, station.Reject, "wrong-certificate", false},
		{"a board that does not read the answer is rejected", func(w *fakes) { w.ignoresAnswer = true }, station.Reject, "no-answer-read", false},
		{"a panic is a Fault", func(w *fakes) { w.hook = func(string) error { panic("index out of range") } }, station.Fault, "panic", false},
		{"a refusal of a board that restarted is a Fault", func(w *fakes) {
			w.hook = func(call string) error {
				if call == "Check" {
					w.identity.Boot[0]++
					return issuance.ErrNonceWrong
				}
				return nil
			}
		}, station.Fault, "restarted", false},
		{"a refusal of a board that is not the same any more is a Fault", func(w *fakes) {
			w.hook = func(call string) error {
				if call == "Check" {
					w.identity.ID[0]++
					return issuance.ErrBoardID
				}
				return nil
			}
		}, station.Fault, "swapped", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newFakes(t)
			test.prepare(w)
			run := w.enrol(t.Context(), w.station())
			if run.Ending != test.ending || run.Reason != test.reason || run.StopBay != test.stop {
				t.Errorf("got %s %q stop %v (%v), want %s %q stop %v", run.Ending, run.Reason, run.StopBay, run.Err, test.ending, test.reason, test.stop)
			}
		})
	}
}

func (w *fakes) fails(call string, err error) {
	w.hook = func(name string) error {
		if name == call {
			return err
		}
		return nil
	}
}

func (w *fakes) holds(c *issuance.Certificate) {
	w.slots = map[devices.Slot][]byte{devices.SlotAnchor: []byte("anchor"), devices.SlotChain: []byte("chain"), devices.SlotCertificate: c.DER}
	w.identity.Stored = 7
}

func (w *fakes) registered(c *issuance.Certificate) {
	w.records[c.Serial] = station.Record{BoardID: w.identity.ID, Purpose: devices.PurposeTLS, CertificateSHA256: c.SHA256, Status: station.StatusActive}
}

func TestNothingIsWrittenToABoardThatIsRefused(t *testing.T) {
	w := newFakes(t)
	w.holds(newCertificate(t, 9))
	w.enrol(t.Context(), w.station())
	if strings.Contains(strings.Join(w.calls, " "), "Write") {
		t.Errorf("calls %v", w.calls)
	}
}

func TestNothingIsSignedForABoardThatHoldsAForeignCertificate(t *testing.T) {
	w := newFakes(t)
	w.holds(newCertificate(t, 9))
	if run := w.enrol(t.Context(), w.station()); run.Reason != "foreign-certificate" {
		t.Errorf("reason %q: %v", run.Reason, run.Err)
	}
	if slices.Contains(w.calls, "Sign") {
		t.Errorf("calls %v: signed for a board that is refused", w.calls)
	}
}

func TestANewAnchorIsFollowedByAllThatDependsOnIt(t *testing.T) {
	w := newFakes(t)
	w.holds(w.certificate)
	w.slots[devices.SlotAnchor] = []byte("an older anchor")
	w.registered(w.certificate)
	w.enrol(t.Context(), w.station())
	if got := strings.Join(w.calls, " "); !strings.Contains(got, "Write 0 Write 1 Write 2") {
		t.Errorf("calls %s", got)
	}
}

func TestADrainCutsARunBeforeSignAndNotAfter(t *testing.T) {
	for _, test := range []struct {
		at     string
		ending station.Ending
	}{
		{"Identify", station.Aborted}, {"CSR", station.Aborted}, {"Check", station.Aborted},
		{"Sign", station.Pass}, {"Write 1", station.Pass}, {"Reset", station.Pass}, {"Activate", station.Pass},
	} {
		t.Run("during "+test.at, func(t *testing.T) {
			w := newFakes(t)
			s := w.station()
			w.hook = func(call string) error {
				if call == test.at {
					s.Drain()
				}
				return nil
			}
			run := w.enrol(t.Context(), s)
			if run.Ending != test.ending {
				t.Errorf("ending %s: %v", run.Ending, run.Err)
			}
			if run.Ending == station.Aborted && (run.Reason != "draining" || slices.Contains(w.calls, "Sign")) {
				t.Errorf("reason %q, calls %v", run.Reason, w.calls)
			}
		})
	}
}

func TestACancelledContextAbortsAnywhereAndTheRecordIsClosed(t *testing.T) {
	clean := newFakes(t)
	clean.enrol(t.Context(), clean.station())
	for _, call := range clean.calls[:len(clean.calls)-1] {
		t.Run("during "+call, func(t *testing.T) {
			w := newFakes(t)
			ctx, cancel := context.WithCancel(t.Context())
			w.hook = func(name string) error {
				if name == call {
					cancel()
					return context.Canceled
				}
				return nil
			}
			if run := w.enrol(ctx, w.station()); run.Ending != station.Aborted || run.Reason != "operator" {
				t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
			}
		})
	}
}

func TestAStepThatTakesTooLongIsAFaultThatSaysSo(t *testing.T) {
	w := newFakes(t)
	s := w.station(func(c *station.Config) { c.Timeouts.Named = map[string]time.Duration{"reset": time.Millisecond} })
	w.hook = func(call string) error {
		if call == "Reset" {
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	}
	run := w.enrol(t.Context(), s)
	if run.Ending != station.Fault || run.Reason != "timeout" || !strings.HasPrefix(run.Err.Error(), "reset: time is up after 1ms: ") {
		t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
	}
}

func TestARunIsResumedWhereItsPartsEnd(t *testing.T) {
	w := newFakes(t)
	s := w.station()
	first := w.enrol(t.Context(), s)
	resumed, err := s.NewRun("bay 1", "operator")
	if err != nil {
		t.Fatal(err)
	}
	resumed.Identity, resumed.Nonce, resumed.CSR, resumed.Certificate, resumed.Written = first.Identity, first.Nonce, first.CSR, first.Certificate, true
	w.calls = nil
	w.again(t.Context(), s, resumed)
	if got := strings.Join(w.calls, " "); resumed.Ending != station.Pass || !strings.HasPrefix(got, "Identify Marked Admit Reset Read 2") {
		t.Errorf("ending %s: %v, calls %s", resumed.Ending, resumed.Err, got)
	}
}

func TestAResumedRunRefusesAnotherBoard(t *testing.T) {
	w := newFakes(t)
	s := w.station()
	run, err := s.NewRun("bay 1", "operator")
	if err != nil {
		t.Fatal(err)
	}
	other := w.identity
	other.ID[3] = 99
	run.Identity = &other
	w.again(t.Context(), s, run)
	var swapped *station.SwappedError
	if run.Reason != "swapped" || !errors.As(run.Err, &swapped) || swapped.Want != other.ID || swapped.Got != w.identity.ID {
		t.Errorf("ending %s: %v", run.Ending, run.Err)
	}
}

func TestARandomSourceThatEndsIsAFault(t *testing.T) {
	w := newFakes(t)
	s := w.station(func(c *station.Config) { c.Random = bytes.NewReader(make([]byte, 16)) }) // enough for the Run's id
	if run := w.enrol(t.Context(), s); run.Ending != station.Fault || run.Reason != "random" || !errors.Is(run.Err, io.EOF) {
		t.Errorf("ending %s %q: %v", run.Ending, run.Reason, run.Err)
	}
}

// I15: a seal cannot be undone, so nothing is sealed whose intent is not on record.
func TestABoardIsSealedAfterTheIntentIsOnRecord(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(*fakes)
		ending  station.Ending
		calls   string
	}{
		{"the registry cannot write", func(w *fakes) { w.fails("SealIntended", errors.New("disk full")) }, station.Fault, "SealIntended"},
		{"the board does not answer", func(w *fakes) { w.fails("Seal", errors.New("no answer")) }, station.Fault, "SealIntended Seal"},
		{"the board is sealed already", func(w *fakes) { w.holds(w.certificate); w.registered(w.certificate); w.identity.Sealed = true }, station.Pass, "Seal"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newFakes(t)
			s := w.station(func(c *station.Config) { c.Seal = true })
			test.prepare(w)
			run := w.enrol(t.Context(), s)
			calls := slices.DeleteFunc(slices.Clone(w.calls), func(call string) bool { return !strings.HasPrefix(call, "Seal") })
			if run.Ending != test.ending || strings.Join(calls, " ") != test.calls || run.Sealed != (test.ending == station.Pass) {
				t.Errorf("ending %s (%v), calls %v, sealed %v", run.Ending, run.Err, calls, run.Sealed)
			}
		})
	}
}

func TestAnotherBoardIsNeverSealed(t *testing.T) {
	w := newFakes(t)
	s := w.station(func(c *station.Config) { c.Seal = true })
	w.hook = func(call string) error {
		if call == "Activate" {
			w.identity.ID[0]++
		}
		return nil
	}
	if run := w.enrol(t.Context(), s); run.Ending != station.Fault || run.Reason != "swapped" || slices.Contains(w.calls, "Seal") {
		t.Errorf("ending %s %q: %v, calls %v", run.Ending, run.Reason, run.Err, w.calls)
	}
}
