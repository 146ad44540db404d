package ui

import (
	"fmt"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/station"
	"hallmark/station/operate"
	"hallmark/ui/catalogue"
)

// A bay without a board asks for what comes first: the badge, then the work order, then the board.
func TestAnEmptyBayAsksForWhatComesFirst(t *testing.T) {
	for name, test := range map[string]struct {
		role  configs.Role
		order Order
		want  string
	}{
		"nobody is signed in":                           {want: "Scan your badge"},
		"an operator has no work order":                 {role: configs.RoleOperator, want: "Scan the work order"},
		"a shift leader may start without a work order": {role: configs.RoleLead, want: "Insert a board, press 2, F12"},
		"the work order is complete":                    {role: configs.RoleOperator, order: Order{ID: "WO-1", Quota: 2, Count: 2}, want: "Scan the next work order"},
		"the work order is closed":                      {role: configs.RoleOperator, order: Order{ID: "WO-1", Quota: 2, Closed: "2026-11-22T14:00:00Z"}, want: "Scan the next work order"},
		"the work order takes boards":                   {role: configs.RoleOperator, order: Order{ID: "WO-1", Quota: 2, Count: 1}, want: "Insert a board, press 2, F12"},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, 4, 120, 40, "en")
			if d.operator.Role = test.role; test.role == "" {
				d.operator = Operator{}
			}
			d.facts.Order = test.order
			d.send(factsMsg{facts: d.facts})
			if got := d.idleNext(1); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			d.shows(test.want)
		})
	}
}

// With a lost HSM no start is possible, so no tile asks for one.
func TestAnEmptyBayWaitsWhileTheHSMIsAway(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.facts.HSM.State = HSMAway
	d.send(factsMsg{facts: d.facts})
	if got := d.idleNext(1); got != "Wait: the line goes on by itself" {
		t.Errorf("got %q", got)
	}
}

func TestAClosedWorkOrderIsShownAsClosed(t *testing.T) {
	d := drive(t, 4, 80, 24, "en")
	d.facts.Order.Closed = "2026-11-22T14:00:00Z"
	d.send(factsMsg{facts: d.facts})
	d.shows("123/500 closed")
}

// Who is refused by a role is told whom to ask, and what to do first. A shift leader is not sent to the shift leader.
func TestARefusalByARoleSaysWhatToDo(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	for _, test := range []struct {
		act   string
		least configs.Role
		want  string
	}{
		{operate.ActWithoutOrder, configs.RoleLead, "Scan the work order first."},
		{operate.ActOpenOrder, configs.RoleLead, "Only the shift leader or engineering may do this."},
		{operate.ActAcknowledge, configs.RoleEngineer, "Only engineering may do this."},
	} {
		d.station.refusal = fmt.Errorf("starting: %w", &operate.Denial{Act: test.act, Operator: "olga", Role: configs.RoleOperator, Least: test.least})
		d.key("go")
		d.shows(test.want)
	}
}

// A long id of a work order leaves room for its count and for the endings of the shift, and keeps its end.
func TestALongWorkOrderHidesNoCounts(t *testing.T) {
	for _, quota := range []int64{0, 12000} {
		for _, w := range []int{minWidth, 80} {
			d := drive(t, 4, w, 24, "en")
			d.facts.Order = Order{ID: "WO-261130-LINE-NORTH-WORK-0004712-TO-4799", Quota: quota}
			d.send(factsMsg{facts: d.facts})
			row := strings.Split(d.View(), "\n")[1]
			for _, want := range []string{"WO-261130", "4799", "✓0 ✗0 ▲0"} {
				if !strings.Contains(row, want) {
					t.Errorf("%d columns, quota %d: no %q in %q", w, quota, want, row)
				}
			}
		}
	}
}

// What is typed into a panel is visible, however long its label is.
func TestAPanelShowsWhatIsTyped(t *testing.T) {
	for _, language := range catalogue.Languages() {
		d := drive(t, 4, minWidth, minHeight, language)
		d.Model, _ = opens(fieldOpenOrder)(d.Model)
		d.enters("WO-261130-LINE-NORTH-WORK-4799 12000")
		d.shows("WO-261130-LINE-NORTH-WORK-4799 12000_")
	}
}

func TestTheHeaderSaysThatJSONLinesAreLost(t *testing.T) {
	for _, language := range catalogue.Languages() {
		d := drive(t, 4, 80, 24, language)
		d.facts.ReportBad = "writing to runs.jsonl: no space left on device"
		d.send(factsMsg{facts: d.facts})
		d.shows(d.Model.t("header.reportbad"))
	}
}

// The tile of the last board of a work order asks for the next order, and not for a board that would be refused.
func TestTheLastPassOfAWorkOrderAsksForTheNextOrder(t *testing.T) {
	for _, language := range catalogue.Languages() {
		d := drive(t, 1, minWidth, minHeight, language)
		d.facts.Order = Order{ID: "WO-1", Quota: 1, Count: 1}
		d.send(factsMsg{facts: d.facts})
		d.send(EventMsg{ended(1, "1", station.Pass, "")})
		d.shows(d.Model.t("next.last"))
	}
}

func TestHelpNamesBaysOnlyOnTheBench(t *testing.T) {
	d := drive(t, 4, 120, 40, "en")
	d.key("?")
	d.shows("1 to 4: a bay")
	d.key("?")
	d.key("h")
	d.key("?")
	d.shows("Any key closes this")
	if strings.Contains(d.View(), "a bay.") {
		t.Errorf("no digit chooses a bay in the history:\n%s", d.View())
	}
}
