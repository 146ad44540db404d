package operate

import (
	"context"
	"errors"
	"fmt"

	"hallmark/configs"
	"hallmark/station/audit"
	"hallmark/station/reason"
)

// Operators signs operators in and out, and puts both on record.
type Operators struct {
	Controller *Controller
	Badges     map[string]configs.Operator // nil: the station has no badges.yaml, and operators type their id
}

// SignIn refuses an unknown badge with ErrUnknownBadge.
func (o Operators) SignIn(ctx context.Context, code string) (Operator, error) {
	who, known := o.Badges[code]
	by := "badge"
	if o.Badges == nil {
		who, known, by = configs.Operator{ID: code, Name: code}, configs.IsOperatorID(code), "typed"
	}
	record := o.Controller.record
	if !known {
		denied := record.NoteBy(ctx, "operator.login.fail", audit.Denied, "", map[string]string{"badge": reason.Printable(code)})
		return Operator{}, errors.Join(fmt.Errorf("%w: %+q; want the code of a badge of badges.yaml, such as OP-1001", ErrUnknownBadge, code), denied)
	}
	return Operator{ID: who.ID, Name: who.Name, Role: who.Role}, record.NoteBy(ctx, "operator.login.ok", audit.Success, who.ID, signInDetails(by, who.Role))
}

func signInDetails(by string, role configs.Role) map[string]string {
	if role == "" {
		return map[string]string{"by": by}
	}
	return map[string]string{"by": by, "role": string(role)}
}

// SignOut also switches automatic start off, because no operator is there.
func (o Operators) SignOut(ctx context.Context, operator, why string) error {
	o.Controller.stopAutomatic()
	return o.Controller.record.NoteBy(ctx, "operator.logout", audit.Success, operator, map[string]string{"why": why})
}
