package operate

import (
	"errors"
	"testing"

	"hallmark/fixtures"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
)

func TestANumberOfBoardsIsOneOrMore(t *testing.T) {
	for text, want := range map[string]Number{"1": 1, "40": 40, "1000000": 1_000_000, "0": 0, "-1": 0, "1000001": 0, "": 0, "x": 0, "1.5": 0, "99999999999999999999": 0} {
		var n Number
		if err := n.Set(text); n != want || (err != nil) != (want == 0) {
			t.Errorf("%q gives %d, %v; want %d", text, n, err, want)
		}
	}
}

func TestTotalIsTheCountOrOneForEachBay(t *testing.T) {
	emulated := fixtures.Must(instance.ParseBays("posix:3"))(t)
	mixed := fixtures.Must(instance.ParseBays("posix:1,/dev/ttyNONE"))(t)
	for _, test := range []struct {
		name  string
		bays  []instance.BaySpec
		count Number
		want  int
		err   error
	}{
		{"one for each bay", emulated, 0, 3, nil},
		{"a count", emulated, 7, 7, nil},
		{"fewer than bays", emulated, 1, 1, nil},
		{"a port has one board", mixed, 2, 2, nil},
		{"a port has no second board", mixed, 3, 0, errOnePerPort},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := Total(test.bays, test.count); got != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

func TestAnOrderThatABatchCannotCountForIsAMistakeInUsage(t *testing.T) {
	l := closedStation(t, fixtures.NewDirectory(t), "posix:1")
	l.must(l.record.Registry.OpenOrder(t.Context(), registry.NewOrder{ID: "open", Product: "linaro", Quota: 5}, "anna"))
	l.must(l.record.Registry.OpenOrder(t.Context(), registry.NewOrder{ID: "other", Product: "another-product", Quota: 5}, "anna"))
	for _, test := range []struct {
		name  string
		id    string
		quota int64
		want  error
	}{
		{"no order", "", 0, nil},
		{"an open order", "open", 0, nil},
		{"an open order with its quota", "open", 5, nil},
		{"an order that the quota opens", "new", 7, nil},
		{"an order that is not open", "new", 0, registry.ErrUnknownOrder},
		{"an order for another product", "other", 0, ErrOtherProduct},
		{"an open order with another quota", "open", 6, registry.ErrOrderOpen},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckOrder(t.Context(), l.record, test.id, test.quota)
			if !errors.Is(err, test.want) || err != nil && reason.ExitOf(err) != reason.ExitUsage {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
