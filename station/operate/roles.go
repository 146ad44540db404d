package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hallmark/configs"
	"hallmark/station/audit"
	"hallmark/station/control"
	"hallmark/station/instance"
	"hallmark/station/reason"
)

// This file decides what a person may do. The screen, lines of text, batches and commands all come through here.

// Names of what operators do in bays, for the table of roles.
const (
	ActRework       = "board.rework"
	ActWithoutOrder = "run.without.order"
	ActAcknowledge  = "bay.acknowledge"
)

// leastRole is the least role that may do something. What is not in the table, each operator may do. docs/orders.md has the same table.
var leastRole = map[string]configs.Role{
	ActWithoutOrder: configs.RoleLead,
	ActRework:       configs.RoleLead,
	ActImportOrder:  configs.RoleLead,
	ActOpenOrder:    configs.RoleLead,
	ActRaiseOrder:   configs.RoleLead,
	ActCloseOrder:   configs.RoleLead,
	ActClosure:      configs.RoleLead,
	ActScrap:        configs.RoleLead,
	ActHold:         configs.RoleLead,
	ActMark:         configs.RoleLead,
	ActWithdraw:     configs.RoleLead,
	ActRelease:      configs.RoleEngineer,
	ActAcknowledge:  configs.RoleEngineer,
	actRecover:      configs.RoleEngineer,
	ActRevoke:       configs.RoleEngineer,
	ActClose:        configs.RoleEngineer,
	ActCRL:          configs.RoleEngineer,
	ActStatus:       configs.RoleEngineer,
	ActProve:        configs.RoleEngineer,
	ActRenewOCSP:    configs.RoleEngineer,
	ActRenewHub:     configs.RoleEngineer,
}

// ErrNotPermitted: the role of a person does not allow what the person wants to do.
var ErrNotPermitted = reason.New("not-permitted", "your role does not allow this")

// A Denial is the refusal of an act by the role of a person. It wraps ErrNotPermitted.
type Denial struct {
	Act, Operator string
	Role, Least   configs.Role // what the person is, and the least role that may do this
}

func (d *Denial) Error() string {
	return fmt.Sprintf("%v: %s is %s, and this needs %s", ErrNotPermitted, d.Operator, d.Role, d.Least)
}

func (d *Denial) Unwrap() error { return ErrNotPermitted }

// MissingRole gives the least role that may do an act, or the empty role if the given role may do it.
func MissingRole(act string, role configs.Role) configs.Role {
	if least, bound := leastRole[act]; bound && !role.Includes(least) {
		return least
	}
	return ""
}

var errOtherPerson = errors.New("the account belongs to another person in badges.yaml; leave --operator out")

// people are the operators of a station, by their ids and by their accounts. Nobody is among them if the station has no badges.yaml.
type people struct{ byID, byAccount map[string]configs.Operator }

func peopleOf(badges map[string]configs.Operator) people {
	p := people{map[string]configs.Operator{}, map[string]configs.Operator{}}
	for _, o := range badges {
		if p.byID[o.ID] = o; o.Account != "" {
			p.byAccount[o.Account] = o
		}
	}
	return p
}

// mayDo refuses what the role of an operator does not allow, on record. An id that badges.yaml does not have is an account that has
// no badge, or an operator of a station without badges: such a person may do everything.
func mayDo(ctx context.Context, record *instance.Record, act, operator string) error {
	who, known := peopleOf(record.Operators).byID[operator]
	least := MissingRole(act, who.Role)
	if !known || least == "" {
		return nil
	}
	err := reason.WithNext(&Denial{Act: act, Operator: operator, Role: who.Role, Least: least})
	return errors.Join(err, record.NoteBy(ctx, "operator.denied", audit.Denied, operator,
		map[string]string{"act": act, "role": string(who.Role), "needs": string(least)}))
}

// mayStart refuses a Run that the role of the operator does not allow.
func mayStart(ctx context.Context, record *instance.Record, ask Start) error {
	if ask.Rework != "" {
		return mayDo(ctx, record, ActRework, ask.Operator)
	}
	if ask.Order == "" {
		return mayDo(ctx, record, ActWithoutOrder, ask.Operator)
	}
	return nil
}

// byRole makes each action ask for the role of the person first. The account that a command runs as is what the kernel says. The name that
// a command gives is a claim: it takes rights away, and never gives any.
func byRole(record *instance.Record, acts control.Acts) control.Acts {
	all := control.Acts{}
	for name, do := range acts {
		all[name] = func(ctx context.Context, arguments json.RawMessage) (string, error) {
			arguments, err := asPerson(ctx, record, name, arguments)
			if err != nil {
				return "", err
			}
			return do(ctx, arguments)
		}
	}
	return all
}

// asPerson gives the arguments of an action with the person of the account in the place of the claim, if badges.yaml names the account.
func asPerson(ctx context.Context, record *instance.Record, act string, arguments json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	var claimed string
	if json.Unmarshal(arguments, &fields) != nil || json.Unmarshal(fields["operator"], &claimed) != nil {
		return arguments, nil // the action refuses what it cannot read, and what names no operator
	}
	account := instance.UserName(control.Peer(ctx))
	person, proven := peopleOf(record.Operators).byAccount[account]
	switch {
	case !proven:
		return arguments, reason.Usage(mayDo(ctx, record, act, claimed))
	case claimed != person.ID && claimed != account:
		return nil, reason.Usage(fmt.Errorf("--operator %q: %w: %s is %s", claimed, errOtherPerson, account, person.ID))
	}
	if err := mayDo(ctx, record, act, person.ID); err != nil {
		return nil, reason.Usage(err)
	}
	id, err := json.Marshal(person.ID)
	if err != nil {
		return nil, err
	}
	fields["operator"] = id
	return json.Marshal(fields)
}

// localPerson gives the id of the person whose account this is, or the name of the account if badges.yaml does not have the account.
func localPerson(record *instance.Record, account string) string {
	if person, known := peopleOf(record.Operators).byAccount[account]; known {
		return person.ID
	}
	return account
}

// AcknowledgeBay lets a stopped bay go on for a command, when no process has the station open. The text is for the person.
func AcknowledgeBay(ctx context.Context, record *instance.Record, bay, operator string) (text string, err error) {
	err = asCommand(ctx, record, ActAcknowledge, operator, func(person string) error {
		err := record.Registry.AcknowledgeBay(ctx, bay, person)
		if err == nil {
			text = fmt.Sprintf("bay %s goes on; the acknowledgement of %s is on record\n", bay, person)
		}
		return err
	})
	unsigned, bad := record.CoverActs(ctx)
	return strings.TrimSpace(text + unsigned), errors.Join(err, bad)
}

// asCommand does what a command of this process asks for, as the person of the account.
func asCommand(ctx context.Context, record *instance.Record, act, claimed string, do func(person string) error) error {
	arguments, err := json.Marshal(map[string]string{"operator": claimed})
	if err != nil {
		return err
	}
	_, err = byRole(record, control.Acts{act: func(_ context.Context, arguments json.RawMessage) (string, error) {
		asked, err := control.Argument[struct {
			Operator string `json:"operator"`
		}](arguments)
		if err != nil {
			return "", err
		}
		return "", do(asked.Operator)
	}})[act](ctx, arguments)
	return err
}
