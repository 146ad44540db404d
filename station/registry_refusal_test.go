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
