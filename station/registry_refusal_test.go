package station_test

import (
	"errors"
	"fmt"
	"testing"

	"hallmark/station"
	"hallmark/station/issuance"
)

func TestARefusalByTheRegistryIsNoFailureOfTheRegistry(t *testing.T) {
	cut := errors.New("disk I/O error")
	for _, test := range []struct {
		name, call string
		err        error
		failure    bool
	}{
		{"a clone", "Admit", fmt.Errorf("%w: known on other hardware", station.ErrClone), false},
		{"a scrapped board", "Admit", station.ErrScrapped, false},
		{"a work order that is not open", "Admit", station.ErrUnknownOrder, false},
		{"a work order that is complete", "Admit", station.ErrQuota, false},
		{"a work order that is complete when it is signed for", "Check", station.ErrQuota, false},
		{"a bad CSR", "Check", issuance.ErrNonceWrong, false},
		{"a board whose TLS certificate is missing", "Activate", issuance.ErrTLSFirst, false},
		{"a certificate that was revoked before its delivery", "Delivered", issuance.ErrRevoked, false},
		{"a certificate that was revoked before it was activated", "Activate", issuance.ErrKeyCompromised, false},
		{"a disk that fails at the start", "Admit", cut, true},
		{"a disk that fails at a check", "Check", cut, true},
		{"a disk that fails at the delivery", "Delivered", cut, true},
		{"a disk that fails at the end", "Close", cut, true},
		{"a refusal that names the registry", "Admit", fmt.Errorf("%w: %w", station.ErrRegistry, cut), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newFakes(t)
			w.fails(test.call, test.err)
			run := w.enrol(t.Context(), w.station())
			if !errors.Is(run.Err, test.err) || errors.Is(run.Err, station.ErrRegistry) != test.failure {
				t.Errorf("%s %s: failure of the registry %t, want %t: %v", run.Ending, run.Reason, !test.failure, test.failure, run.Err)
			}
		})
	}
}

// A person revokes, holds or scraps after the step record: the record of the Run is closed as a Reject.
func TestAPassThatTheRegistryRefusesIsClosedAsAReject(t *testing.T) {
	w := newFakes(t)
	closed := 0
	w.hook = func(call string) error {
		if call != "Close" {
			return nil
		}
		if closed++; closed == 1 {
			return issuance.ErrRevoked
		}
		return nil
	}
	run := w.enrol(t.Context(), w.station())
	if run.Ending != station.Reject || run.Reason != "revoked" || run.Outcome != "" || !errors.Is(run.Err, issuance.ErrRevoked) || closed != 2 {
		t.Errorf("%s %q %q after %d calls of Close: %v", run.Ending, run.Reason, run.Outcome, closed, run.Err)
	}
}

// The verifier sees only that the certificate is not good any more, and the registry knows why.
func TestTheRegistrySaysWhyTheVerifierRefusesABoard(t *testing.T) {
	for _, test := range []struct {
		registry error
		want     string
	}{
		{nil, "handshake-refused"},
		{issuance.ErrRevoked, "revoked"},
		{station.ErrHeld, "held"},
		{errors.New("disk I/O error"), "handshake-refused"},
	} {
		w := newFakes(t)
		w.verdict = fmt.Errorf("%w: certificate is not good any more", station.ErrHandshakeRefused)
		delivered := false
		w.hook = func(call string) error {
			if call != "Delivered" || !delivered {
				delivered = delivered || call == "Delivered"
				return nil
			}
			return test.registry
		}
		if run := w.enrol(t.Context(), w.station()); run.Ending != station.Reject || run.Reason != test.want {
			t.Errorf("%v: %s %q: %v", test.registry, run.Ending, run.Reason, run.Err)
		}
	}
}
