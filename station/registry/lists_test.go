package registry

import (
	"slices"
	"testing"
	"time"

	"hallmark/devices"
	"hallmark/station"
)

// Each list of boards, certificates and work orders can be narrowed by what one Run was.
func TestAListIsNarrowedByWhatOneRunWas(t *testing.T) {
	b := newTestRegistry(t)
	start := time.Now().Add(time.Hour).UTC()
	b.now = func() time.Time { return start }
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-1", Product: "sensor", Quota: 2}, "ann"))
	first, second := newRun([16]byte{1}, "hw-1"), newRun([16]byte{2}, "hw-2")
	first.Operator, first.Order, first.Started = "ann", "WO-1", start
	second.Operator, second.Bay = "bob", "bay-2"
	b.must(b.Admit(t.Context(), first))
	b.enrol(first)
	start = start.Add(24 * time.Hour)
	second.Started = start
	b.must(b.OpenOrder(t.Context(), NewOrder{ID: "WO-2", Product: "sensor", Quota: 2}, "ann"))
	b.must(b.CloseOrder(t.Context(), "WO-2", "ann"))
	b.must(b.Admit(t.Context(), second))
	b.issue(second)
	second.Ending, second.Reason = station.Fault, "link-lost"
	b.must(b.closeRun(t.Context(), second))

	one, two := first.Identity.ID, second.Identity.ID
	for name, test := range map[string]struct {
		only Filter
		want []devices.BoardID
	}{
		"all":                   {Filter{}, []devices.BoardID{one, two}},
		"order":                 {Filter{Order: "wo-1"}, []devices.BoardID{one}},
		"operator":              {Filter{Operator: "bob"}, []devices.BoardID{two}},
		"bay":                   {Filter{Bay: "bay-2"}, []devices.BoardID{two}},
		"ending":                {Filter{Ending: station.Pass}, []devices.BoardID{one}},
		"reason":                {Filter{Reason: "link-lost"}, []devices.BoardID{two}},
		"since":                 {Filter{Since: start}, []devices.BoardID{two}},
		"until":                 {Filter{Until: start}, []devices.BoardID{one}},
		"two Runs fit one each": {Filter{Operator: "ann", Bay: "bay-2"}, nil},
		"status, too":           {Filter{Operator: "bob", Status: "active"}, nil},
		"serial, too":           {Filter{Operator: "ann", Limit: 1}, []devices.BoardID{one}},
		"no name":               {Filter{Operator: "ann' OR TRUE --"}, nil},
	} {
		boards, err := b.Boards(t.Context(), test.only)
		b.must(err)
		var got []devices.BoardID
		for _, row := range boards {
			got = append(got, row.BoardID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: boards %v, want %v", name, got, test.want)
		}
		certificates, err := b.Certificates(t.Context(), test.only)
		b.must(err)
		if len(certificates) != len(test.want) {
			t.Errorf("%s: %d certificates, want %d", name, len(certificates), len(test.want))
		}
	}
	for name, test := range map[string]struct {
		only Filter
		want []string
	}{
		"all":      {Filter{}, []string{"WO-1", "WO-2"}},
		"order":    {Filter{Order: "wo-2"}, []string{"WO-2"}},
		"open":     {Filter{Status: StatusOpen}, []string{"WO-1"}},
		"closed":   {Filter{Status: StatusClosed}, []string{"WO-2"}},
		"since":    {Filter{Since: start}, []string{"WO-2"}},
		"until":    {Filter{Until: start}, []string{"WO-1"}},
		"operator": {Filter{Operator: "ann"}, []string{"WO-1"}},
		"limit":    {Filter{Limit: 1}, []string{"WO-1"}},
		"none":     {Filter{Operator: "bob"}, nil},
	} {
		orders, err := b.Orders(t.Context(), test.only)
		b.must(err)
		var got []string
		for _, row := range orders {
			got = append(got, row.ID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: orders %v, want %v", name, got, test.want)
		}
	}
}
