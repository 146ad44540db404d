package operate

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hallmark/configs"
	"hallmark/devices"
	"hallmark/fixtures"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/reason"
)

// withBadges opens a station with these lines in badges.yaml.
func withBadges(t *testing.T, lines string) *environment {
	t.Helper()
	dir := fixtures.NewDirectory(t)
	if err := os.WriteFile(dir.Badges(), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return closedStation(t, dir, "posix:1")
}

const threeRoles = `OP-1: {id: olga, name: Olga, role: operator}
OP-2: {id: lena, name: Lena, role: lead}
OP-3: {id: emil, name: Emil, role: engineer}
OP-4: {id: anna, name: Anna}
`

// The table of docs/orders.md: who may do what. anna has no role, so she may do what everybody did before there were roles.
func TestWhoMayDoWhat(t *testing.T) {
	l := withBadges(t, threeRoles)
	table := map[string]string{
		ActWithoutOrder: "lena emil anna", ActRework: "lena emil anna", ActMark: "lena emil anna", ActWithdraw: "lena emil anna", ActImportOrder: "lena emil anna", ActOpenOrder: "lena emil anna", ActRaiseOrder: "lena emil anna",
		ActCloseOrder: "lena emil anna", ActClosure: "lena emil anna", ActScrap: "lena emil anna", ActHold: "lena emil anna",
		ActRelease: "emil anna", ActAcknowledge: "emil anna", actRecover: "emil anna", ActRevoke: "emil anna", ActClose: "emil anna", ActCRL: "emil anna", ActStatus: "emil anna", ActProve: "emil anna", ActRenewOCSP: "emil anna", ActRenewHub: "emil anna",
	}
	for act := range leastRole {
		if table[act] == "" {
			t.Errorf("%s is not in the table of this test", act)
		}
	}
	for act, may := range table {
		for _, who := range []string{"olga", "lena", "emil", "anna"} {
			var want error
			if !strings.Contains(may, who) {
				want = ErrNotPermitted
			}
			l.refuses(mayDo(t.Context(), l.record, act, who), want)
		}
	}
}

func TestEachActionAsksForTheRole(t *testing.T) {
	l := withBadges(t, threeRoles)
	l.must(l.record.Begin(t.Context()))
	for name := range KeyActs(l.record, l.openKeys) {
		_, err := KeyActs(l.record, l.openKeys)[name](t.Context(), json.RawMessage(`{"operator":"olga"}`))
		l.refuses(err, ErrNotPermitted)
	}
	acts := Acts(l.record)
	for name, do := range acts {
		text, err := do(t.Context(), json.RawMessage(`{"operator":"olga"}`))
		if l.refuses(err, ErrNotPermitted); reason.ExitOf(err) != reason.ExitUsage {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	open := `{"id":"WO-1","quota":1,"operator":%q}`
	if _, err := acts[ActOpenOrder](t.Context(), json.RawMessage(fmt.Sprintf(open, "lena"))); err != nil {
		t.Errorf("a lead: %v", err)
	}
	if _, err := acts[ActRaiseOrder](t.Context(), json.RawMessage(`{"id":"WO-1","quota":2,"operator":"somebody"}`)); err != nil {
		t.Errorf("an account without a badge, as before there were roles: %v", err)
	}
	l.recorded("operator.denied", "olga", map[string]string{"act": ActOpenOrder, "role": "operator", "needs": "lead"})
}

// An account that belongs to one person decides who acts: the name that a command gives is only a claim.
func TestTheAccountIsThePerson(t *testing.T) {
	account := instance.LocalUser()
	open := func(l *environment, operator string) error {
		_, err := Acts(l.record)[ActOpenOrder](t.Context(), json.RawMessage(fmt.Sprintf(`{"id":"WO-%s","quota":1,"operator":%q}`, operator, operator)))
		return err
	}
	l := withBadges(t, threeRoles+fmt.Sprintf("OP-5: {id: otto, name: Otto, role: operator, account: %s}\n", account))
	for _, claimed := range []string{account, "otto"} {
		l.refuses(open(l, claimed), ErrNotPermitted)
	}
	l.refuses(open(l, "emil"), errOtherPerson)
	l.refuses(CheckBatch(t.Context(), l.record, Batch{Operator: account, Rework: "repaired"}, 0), ErrNotPermitted)
	l.refuses(OpenOrder(t.Context(), l.record, "WO-1", 1, account, nil), ErrNotPermitted)

	l = withBadges(t, fmt.Sprintf("OP-5: {id: lara, name: Lara, role: lead, account: %s}\n", account))
	l.must(open(l, account))
	l.recorded("order.opened", "lara", nil)
	_, err := AcknowledgeBay(t.Context(), l.record, "posix-1", account)
	l.refuses(err, ErrNotPermitted)
	if got := localPerson(l.record, account); got != "lara" {
		t.Errorf("the operator of a batch is %q", got)
	}
}

// What a command says names the person on record, and not the name that the command gave.
func TestAnAcknowledgementNamesThePersonOfTheAccount(t *testing.T) {
	account := instance.LocalUser()
	l := withBadges(t, fmt.Sprintf("OP-5: {id: emma, name: Emma, role: engineer, account: %s}\n", account))
	run := &station.Run{ID: uuid.New(), Bay: "posix-1", Purpose: devices.PurposeTLS, Ending: station.Reject, Reason: station.ErrClone.Word(), StopBay: true}
	_, err := l.record.Registry.Close(t.Context(), run)
	l.must(err)
	text, err := AcknowledgeBay(t.Context(), l.record, "posix-1", account)
	if l.must(err); !strings.Contains(text, "the acknowledgement of emma is on record") {
		t.Errorf("the person is told %q", text)
	}
	l.recorded("bay.acknowledged", "emma", nil)
}

// The screen and lines of text ask the Controller, which asks for the role before anything else.
func TestAnOperatorBeginsNoRunThatTheRoleDoesNotAllow(t *testing.T) {
	l := withBadges(t, threeRoles)
	l.opens()
	bay := l.bays[0].spec.Name
	start := func(ask Start) error {
		ask.Bay = bay
		return l.Start(t.Context(), ask)
	}
	l.must(OpenOrder(t.Context(), l.record, "WO-1", 9, "lena", nil))
	l.refuses(start(Start{Operator: "olga"}), ErrNotPermitted)
	l.refuses(start(Start{Operator: "olga", Order: "WO-1", Rework: "repaired"}), ErrNotPermitted)
	l.refuses(l.Acknowledge(t.Context(), bay, "olga"), ErrNotPermitted)
	l.refuses(l.Automatic(t.Context(), true, "olga", ""), ErrNotPermitted)
	l.must(l.Automatic(t.Context(), false, "olga", ""))
	l.must(start(Start{Operator: "olga", Order: "WO-1"}))
	l.waits()
	l.must(start(Start{Operator: "lena", Order: "WO-1", Rework: "repaired"}))
	l.waits()
}

func TestASignInSaysTheRole(t *testing.T) {
	l := withBadges(t, threeRoles)
	l.must(l.record.Begin(t.Context()))
	l.Operators.Badges = l.record.Operators
	for _, badge := range []string{"OP-2", "OP-4"} {
		if _, err := l.SignIn(t.Context(), badge); err != nil {
			t.Error(err)
		}
	}
	l.recorded("operator.login.ok", "lena", map[string]string{"by": "badge", "role": string(configs.RoleLead)})
	l.recorded("operator.login.ok", "anna", map[string]string{"by": "badge"})
}
