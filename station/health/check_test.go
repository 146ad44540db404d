package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hallmark/devices/serial"
	"hallmark/station/instance"
	"hallmark/station/ocsp"
)

func TestHowACheckEnds(t *testing.T) {
	for _, row := range []struct {
		name    string
		prove   func(context.Context) (finding, error)
		state   State
		finding string
		next    string
	}{
		{"a good part", func(context.Context) (finding, error) { return finding{text: "works"}, nil }, OK, "works", ""},
		{"a certificate that ends soon is a warning", func(context.Context) (finding, error) { return finding{}, instance.ErrEnding }, Warn, instance.ErrEnding.Error(), "call"},
		{"an OCSP certificate that ended is a warning that names its own command", func(context.Context) (finding, error) {
			return finding{}, fmt.Errorf("%w: %w", errOCSP, ocsp.ErrEnded)
		}, Warn, errOCSP.Error() + ": " + ocsp.ErrEnded.Error(), ""},
		{"a part that fails", func(context.Context) (finding, error) { return finding{text: "half"}, errors.New("broken") }, Fail, "broken", "call"},
		{"a part that needs another", func(context.Context) (finding, error) { return finding{}, errNotChecked }, None, errNotChecked.Error(), ""},
		{"a panic is a finding", func(context.Context) (finding, error) { panic("boom") }, Fail, "panic: boom", "call"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := check{"x", "call", simple(row.prove), nil}.do(t.Context())
			if got.State != row.state || got.Finding != row.finding || got.Next != row.next {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// To plug the board in, or to end another program, does not help a user without rights.
func TestAPortWithoutRightsHasItsOwnNextAction(t *testing.T) {
	ports := check{"ports", "plug it in", simple(func(context.Context) (finding, error) {
		return finding{}, fmt.Errorf("opening: %w", &serial.DeniedError{Owner: "root", Group: "dialout", Mode: 0o660, User: "ann"})
	}), nil}
	got := ports.do(t.Context())
	if got.State != Fail || !strings.Contains(got.Finding, "usermod -aG dialout ann") || got.Next != serial.ErrDenied.Row().Next || strings.Contains(got.Next, "plug") {
		t.Errorf("%+v", got)
	}
}

func TestAPartThatIsNotOpenGivesNothing(t *testing.T) {
	var p part[int]
	if _, err := p.get(); !errors.Is(err, errNotChecked) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("broken")
	if _, err := p.orOpen(func() (int, error) { return 7, broken }); !errors.Is(err, broken) || p.open {
		t.Errorf("got %v, open %t", err, p.open)
	}
	opened := 0
	for range 2 {
		if value, err := p.orOpen(func() (int, error) { opened++; return 7, nil }); value != 7 || err != nil || opened != 1 {
			t.Errorf("got %d, %v, opened %d times", value, err, opened)
		}
	}
}
