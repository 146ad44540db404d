package manage

import (
	"context"
	"errors"
	"strings"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/operate"
	"hallmark/station/registry"
)

var errStopped = errors.New("stopped half-way")

// opensHalf opens one of two work orders; then the person stops the command.
func opensHalf(ctx context.Context, stop func()) func(*instance.Record) (string, error) {
	return func(record *instance.Record) (string, error) {
		err := record.Registry.OpenOrder(ctx, registry.NewOrder{ID: "WO-1", Product: record.Profile.Name(), Quota: 5}, "ann")
		stop()
		return "", errors.Join(err, errStopped)
	}
}

// What an act has done before it was stopped is on record, so a checkpoint covers it, and the next start asks nobody.
func TestAnActThatWasStoppedHalfWayHasItsCheckpoint(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	ctx, stop := context.WithCancel(t.Context())
	if text, err := onRecord(ctx, dir, opensHalf(ctx, stop)); text != "" || !errors.Is(err, errStopped) {
		t.Errorf("got %q, %v", text, err)
	}
	if !fixtures.HasEntry(t, dir, "order.opened", "ann", nil) {
		t.Error("the part that was done is not on record")
	}
	opened := fixtures.Must(instance.Open(t.Context(), dir, instance.Options{}))(t)
	if err := opened.Close(); err != nil || len(opened.Registry.Accepted()) != 0 {
		t.Errorf("got %v, accepted %v", err, opened.Registry.Accepted())
	}
}

// Where a person types the PIN nobody signs the part that was done, and the person is told, in lines without an empty one.
func TestAnActThatWasStoppedHalfWayIsToldWhereNobodySigns(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	fixtures.Configure(t, dir, "create_token: true", "create_token: false", "file:hsm/pin", "prompt")
	ctx, stop := context.WithCancel(t.Context())
	text, err := onRecord(ctx, dir, opensHalf(ctx, stop))
	if !errors.Is(err, errStopped) || !strings.HasPrefix(text, "This is on record, and no checkpoint covers it yet: ") || !strings.Contains(text, "accept-registry") {
		t.Errorf("got %q, %v", text, err)
	}
	c, out := commandsFor(dir)
	must(t, c.do(t.Context(), operate.ActOpenOrder, operate.OrderChange{ID: "WO-2", Quota: 5, Operator: "ann"}))
	if lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"); len(lines) != 2 || !strings.Contains(lines[0], "WO-2") || !strings.HasPrefix(lines[1], "This is on record") {
		t.Errorf("the person is told %q", lines)
	}
}
