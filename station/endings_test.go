package station

import (
	"context"
	"errors"
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
