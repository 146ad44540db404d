package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"hallmark/station/audit"
	"hallmark/station/reason"
)

// This file has the acts of persons. An act that gives rights, such as a greater quota, is believed only under a checkpoint, because
// somebody who can write to registry.db and has no PIN can append an entry behind the newest checkpoint, with a mark that fits. So the
// station signs a checkpoint after each act, and a start refuses to sign over an act that it finds behind the newest checkpoint
// until a person accepts the act.

// ErrActsUnsigned: the log ends with acts that give rights, and no checkpoint covers them.
var ErrActsUnsigned = reason.New("acts-unsigned", "no checkpoint covers some acts at the end of the audit log, so only these persons know whether they are true")

// givesRights are the types of entries that a station believes only under a checkpoint.
var givesRights = []string{audit.TypeOrderOpened, audit.TypeOrderRaised, audit.TypeOrderRevised, typeProfileAdopted, typeBayAcknowledged, typeReleased, typeMarked, typeAccepted}

// takesRights are the types of the other acts of persons. A start believes them, because a false one lets no board through; a checkpoint
// follows them nevertheless, so that nobody takes them out.
var takesRights = []string{audit.TypeOrderClosed, typeHeld, "board.scrapped", "cert.revoked", typeWithdrawn, typeRecoverIntent, typeRecovered, typeNotRecovered}

// isAct reports whether an entry is the act of a person that a checkpoint must follow.
func isAct(e audit.Entry) bool {
	return slices.Contains(givesRights, e.Type) || slices.Contains(takesRights, e.Type)
}

// beyond keeps the entries behind the newest checkpoint that give rights.
func (r *Registry) beyond(e audit.Entry) {
	if slices.Contains(givesRights, e.Type) {
		r.unsigned = append(r.unsigned, e)
	}
}

// maxNamed is how many acts a refusal names.
const maxNamed = 20

// actsUnsigned is the refusal of the acts that this start has found behind the newest checkpoint and that nobody has accepted.
func (r *Registry) actsUnsigned() error {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	if len(r.unsigned) == 0 || slices.ContainsFunc(r.accepted, func(a acceptance) bool { return errors.Is(a.why, ErrActsUnsigned) }) {
		return nil
	}
	var named []string
	for _, e := range r.unsigned[:min(len(r.unsigned), maxNamed)] {
		named = append(named, inWords(e))
	}
	if more := len(r.unsigned) - maxNamed; more > 0 {
		named = append(named, reason.Count(more, "further act", "further acts"))
	}
	return fmt.Errorf("%w: %s", ErrActsUnsigned, strings.Join(named, "; "))
}

// inWords tells a person which act an entry is. The entry may be crafted.
func inWords(e audit.Entry) string {
	words := fmt.Sprintf("entry %d, %s by %s at %s", e.Seq, e.Type, reason.Printable(e.Actor.ID), stamp(e.Time.Time))
	switch {
	case e.WorkOrder != nil:
		words += fmt.Sprintf(", work order %s for %s", reason.Printable(e.WorkOrder.ID), reason.Count(e.WorkOrder.Quota, "board", "boards"))
	case e.Type == typeProfileAdopted:
		words += fmt.Sprintf(", profile %s with the digest %s", reason.Printable(e.Details["profile"]), reason.Printable(short(e.Details["profile_sha256"])))
	case e.Type == typeBayAcknowledged:
		words += ", bay " + reason.Printable(e.Details["bay"])
	case e.Board != nil:
		words += ", board " + reason.Printable(e.Board.ID)
	case e.Type == typeAccepted:
		words += ", " + reason.Printable(e.Reason)
	}
	return words
}

// CheckActs refuses with ErrActsUnsigned a log that ends with acts which give rights and which no checkpoint covers, because the next
// checkpoint would sign them. An operator may accept them. The acts of this process are no such acts.
func (r *Registry) CheckActs(ctx context.Context) error {
	err := r.actsUnsigned()
	if err == nil || r.config.AcceptRegistry == "" {
		return r.refuse(err)
	}
	return r.accept(ctx, acceptance{acts: r.actsAccepted(), why: err})
}

// actsAccepted are the details of the entry about acts that an operator accepted.
func (r *Registry) actsAccepted() map[string]string {
	var numbers []string
	for _, e := range r.unsigned {
		numbers = append(numbers, strconv.FormatInt(e.Seq, 10))
	}
	return map[string]string{"entries": text(strings.Join(numbers, " "))}
}

// acts tell that this process has recorded acts of persons.
type acts struct {
	told    chan struct{} // holds one element after an act
	newest  atomic.Int64  // entries of the log up to the newest act
	giving  atomic.Int64  // entries of the log up to the newest act that gives rights
	covered atomic.Int64  // entries under the newest checkpoint of this process
}

// acted has the numbers of entries up to the newest acts of a transaction; 0: there is none.
type acted struct{ newest, giving int64 }

func (a *acted) note(e audit.Entry) {
	if isAct(e) {
		a.newest = e.Seq + 1
	}
	if slices.Contains(givesRights, e.Type) {
		a.giving = e.Seq + 1
	}
}

// committed tells of acts after their commit.
func (a *acts) committed(these acted) {
	if these.newest == 0 {
		return
	}
	a.newest.Store(these.newest)
	a.giving.Store(max(a.giving.Load(), these.giving))
	select {
	case a.told <- struct{}{}:
	default:
	}
}

// Acts gets a value after this process has recorded an act of a person.
func (r *Registry) Acts() <-chan struct{} { return r.acts.told }

// ActsUncovered reports whether this process has recorded an act of a person since its newest checkpoint.
func (r *Registry) ActsUncovered() bool { return r.acts.newest.Load() > r.acts.covered.Load() }

// RightsUncovered reports whether one of these acts gives rights, so that the next start would ask for it.
func (r *Registry) RightsUncovered() bool { return r.acts.giving.Load() > r.acts.covered.Load() }
