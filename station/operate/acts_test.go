package operate

import (
	"context"
	"encoding/json"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/reason"
)

// Another program may write to the control socket, so the station checks a request itself.
func TestARequestThatNoCommandSendsIsRefused(t *testing.T) {
	l := closedStation(t, fixtures.NewDirectory(t), "posix:1")
	acts := Acts(l.record)
	for _, test := range []struct{ name, act, arguments string }{
		{"no operator", ActOpenOrder, `{"id":"WO-1","quota":1}`},
		{"an empty operator", ActOpenOrder, `{"id":"WO-1","quota":1,"operator":""}`},
		{"an operator with a new line", ActOpenOrder, `{"id":"WO-1","quota":1,"operator":"a\nb"}`},
		{"an unknown key", ActOpenOrder, `{"id":"WO-1","quota":1,"operator":"ann","limit":2}`},
		{"octets after the arguments", ActOpenOrder, `{"id":"WO-1","quota":1,"operator":"ann"}{}`},
		{"more boards than a command can order", ActOpenOrder, `{"id":"WO-1","quota":1000001,"operator":"ann"}`},
		{"a reason that RFC 5280 does not have", ActRevoke, `{"which":{"Order":"WO-1"},"reason":"burnt","operator":"ann"}`},
		{"a selection of nothing", ActRevoke, `{"which":{},"reason":"superseded","operator":"ann"}`},
	} {
		if text, err := acts[test.act](t.Context(), json.RawMessage(test.arguments)); reason.ExitOf(err) != reason.ExitUsage {
			t.Errorf("%s: got %q, %v", test.name, text, err)
		}
	}
	if text, err := acts[ActOpenOrder](t.Context(), json.RawMessage(`{"id":"WO-1","quota":1000000,"operator":"ann"}`)); err != nil {
		t.Errorf("a request of a command: %q, %v", text, err)
	}
}

// A script must not take a full disk or a changed registry for a mistake in its command.
func TestOnlyAMistakeInAChangeOfAWorkOrderIsOne(t *testing.T) {
	l := closedStation(t, fixtures.NewDirectory(t), "posix:1")
	acts := Acts(l.record)
	ended, end := context.WithCancel(t.Context())
	end()
	for _, act := range []string{ActOpenOrder, ActRaiseOrder, ActCloseOrder} {
		if _, err := acts[act](ended, json.RawMessage(`{"id":"WO-1","quota":1,"operator":"ann"}`)); err == nil || reason.ExitOf(err) == reason.ExitUsage {
			t.Errorf("%s: got %v, exit code %d", act, err, reason.ExitOf(err))
		}
	}
	for _, act := range []string{ActRaiseOrder, ActCloseOrder} {
		if _, err := acts[act](t.Context(), json.RawMessage(`{"id":"WO-1","quota":1,"operator":"ann"}`)); reason.ExitOf(err) != reason.ExitUsage {
			t.Errorf("%s of an unknown work order: got %v, exit code %d", act, err, reason.ExitOf(err))
		}
	}
}
