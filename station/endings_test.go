package station

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestEndingsThatDependOnTheCaller(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancelExpired := context.WithTimeout(t.Context(), 0)
	defer cancelExpired()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		err    error
		ending Ending
		reason string
	}{
		{"no error is a Pass", t.Context(), nil, Pass, ""},
		{"a Pass stays one when the operator stops afterwards", cancelled, nil, Pass, ""},
		{"a cut line after the operator stopped is Aborted", cancelled, withComponent(ErrLine, errors.New("cut")), Aborted, "operator"},
		{"what is said of the board stands when the operator stops", cancelled, ErrReadBack, Reject, "read-back-differs"},
		{"a deadline of the caller is no operator", expired, &stopped{ErrTimeout, errors.New("cut")}, Fault, "timeout"},
		{"an error that nobody knows is a Fault", t.Context(), errors.New("?"), Fault, "fault"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := endingOf(test.ctx, test.err); got.Ending != test.ending || got.Word != test.reason {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAStoppedStepNamesTheCauseOnce(t *testing.T) {
	late := fmt.Errorf("%w after 5s", ErrTimeout)
	for _, test := range []struct {
		name       string
		cause, err error
		want       string
	}{
		{"the call does not know the cause", ErrDraining, errors.New("port closed"), ErrDraining.Error() + ": port closed"},
		{"the call names the cause", ErrDraining, fmt.Errorf("waiting for the board: %w", ErrDraining), "waiting for the board: " + ErrDraining.Error()},
		{"the call names the time-out", late, fmt.Errorf("asking the board: %w", late), "asking the board: time is up after 5s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := &stopped{test.cause, test.err}
			if got.Error() != test.want || !errors.Is(got, test.cause) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
