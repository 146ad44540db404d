package registry

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/station"
	"hallmark/station/audit"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// This file has the work orders that the owner of a product has signed. Whoever calls it has verified the signature.

// A SignedOrder is what the owner of a product has signed beyond a NewOrder, and the signature.
type SignedOrder struct {
	Revision  int64               // 1 or more
	Total     int64               // boards at all stations together; the quota is the share of this station
	NotBefore time.Time           // no Run of the order begins before; zero: any time
	Profiles  [][sha256.Size]byte // by which certificates may be signed; at least one
	File      [sha256.Size]byte   // of the order file
	Owner     []byte              // public key of the owner, SubjectPublicKeyInfo in DER
	Signature []byte              // of the order file
}

// Details of the entries that open and revise a signed work order.
const (
	detailRevision  = "revision"
	detailTotal     = "quota_total"
	detailNotBefore = "not_before"
	detailProfiles  = "profiles_allow" // SHA-256 values, with commas between them
	detailFile      = "order_sha256"
	detailOwner     = "owner_sha256"
	detailOwnerKey  = "owner_key"       // SubjectPublicKeyInfo in base64
	detailSignature = "order_signature" // base64
)

// signedTerms are the terms that only a signed work order has. All are empty for an order that nobody has signed.
type signedTerms struct{ revision, total, notBefore, profiles, file, owner, ownerKey, signature string }

func (s *SignedOrder) terms() signedTerms {
	owner := sha256.Sum256(s.Owner)
	return signedTerms{strconv.FormatInt(s.Revision, 10), strconv.FormatInt(s.Total, 10), timeOrNone(s.NotBefore), listOf(s.Profiles),
		hex.EncodeToString(s.File[:]), hex.EncodeToString(owner[:]), base64.StdEncoding.EncodeToString(s.Owner), base64.StdEncoding.EncodeToString(s.Signature)}
}

func signedTermsOf(e audit.Entry) signedTerms {
	d := e.Details
	return signedTerms{d[detailRevision], d[detailTotal], d[detailNotBefore], d[detailProfiles], d[detailFile], d[detailOwner], d[detailOwnerKey], d[detailSignature]}
}

func (s signedTerms) details() map[string]string {
	return map[string]string{detailRevision: s.revision, detailTotal: s.total, detailNotBefore: s.notBefore, detailProfiles: s.profiles,
		detailFile: s.file, detailOwner: s.owner, detailOwnerKey: s.ownerKey, detailSignature: s.signature}
}

func (s signedTerms) isSigned() bool { return s.file != "" }

// number is the revision; 0 for an order that nobody has signed.
func (s signedTerms) number() int64 {
	n, err := strconv.ParseInt(s.revision, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (s signedTerms) text() string {
	if !s.isSigned() {
		return ""
	}
	return fmt.Sprintf(", signed by owner %s, revision %s", s.owner, s.revision)
}

// allow refuses a Run of the order that is not signed as the station wants, has not begun, or has ended.
func (t terms) allow(id string, rules *Config) error {
	known := slices.ContainsFunc(rules.Owners, func(sum [sha256.Size]byte) bool { return hex.EncodeToString(sum[:]) == t.owner })
	switch {
	case !t.isSigned() && rules.SignedOnly:
		return fmt.Errorf("%w: %q", station.ErrOrderUnsigned, id)
	case t.isSigned() && !known:
		return fmt.Errorf("%w: %q, owner %s", station.ErrOrderOwner, id, t.owner)
	}
	if err := t.begun(id, rules.Now); err != nil {
		return err
	}
	return t.ended(id, rules.Now)
}

// AllowsOrder refuses a work order for which no Run may begin now: it is not signed as the station wants, has not begun, or has ended.
func (r *Registry) AllowsOrder(ctx context.Context, id string) error {
	logged := loggedOrder{}
	if known, compared := r.orders.Load(id); compared {
		logged.terms, _ = known.(terms)
	} else if err := logged.search(ctx, r.db, id); err != nil {
		return err
	}
	return logged.terms.allow(id, &r.config)
}

// begun returns ErrOrderNotYet before the begin of the order.
func (t terms) begun(id string, now func() time.Time) error {
	if t.notBefore == "" {
		return nil
	}
	from, err := time.Parse(time.RFC3339, t.notBefore)
	if err != nil {
		return fmt.Errorf("%w: work order %q begins at %q", ErrDiffers, id, t.notBefore)
	}
	if now().Before(from) {
		return fmt.Errorf("%w: %q, %s", station.ErrOrderNotYet, id, t.notBefore)
	}
	return nil
}

// profileAllowed refuses a certificate by a profile that is not on the list of the work order.
func (w *work) profileAllowed(order sql.NullString, in issuance.Intent) error {
	if !order.Valid {
		return nil
	}
	if _, compared := w.orders.Load(order.String); !compared {
		if _, err := w.orderOnRecord(order.String, loggedOrder{}); err != nil {
			return err
		}
	}
	profile, allowed := hex.EncodeToString(in.ProfileSHA256[:]), w.termsOf(order.String).profiles
	if allowed != "" && !slices.Contains(strings.Split(allowed, ","), profile) {
		return fmt.Errorf("%w: work order %q, profile %s with SHA-256 %s", station.ErrOrderProfile, order.String, in.Profile, profile)
	}
	return nil
}

// ImportOrder opens a work order that its owner has signed, or changes it by a file with a greater revision. It refuses a file
// that it has taken before.
func (r *Registry) ImportOrder(ctx context.Context, o NewOrder, operator string) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.Signed == nil {
		return fmt.Errorf("%w: %q", station.ErrOrderUnsigned, o.ID)
	}
	return r.withOrder(ctx, o.ID, func(w *work, known *orderRow) error {
		if known == nil {
			return w.openOrder(o, operator)
		}
		if err := w.mayRevise(o, known); err != nil {
			return err
		}
		return w.reviseOrder(o, known, operator)
	})
}

// mayRevise refuses a file that changes nothing, is not newer, or changes what no revision may change.
func (w *work) mayRevise(o NewOrder, known *orderRow) error {
	has, wants := w.termsOf(o.ID), o.terms()
	switch open := known.isOpen(); {
	case has.file == wants.file:
		return fmt.Errorf("%w: %q, revision %s", ErrOrderReplayed, o.ID, has.revision)
	case open != nil:
		return fmt.Errorf("%q: %w", o.ID, open)
	case o.Signed.Revision <= has.number():
		return fmt.Errorf("%w: %q has revision %d, the file has %d", ErrOrderRevision, o.ID, has.number(), o.Signed.Revision)
	case has.isSigned() && has.owner != wants.owner:
		return fmt.Errorf("%w: %q is of owner %s, the file of %s", station.ErrOrderOwner, o.ID, has.owner, wants.owner)
	case known.Product != o.Product || has.lot != wants.lot:
		return fmt.Errorf("%w: %q, lot %q", ErrOrderOpen, known.Product, has.lot)
	case o.Quota < known.Quota:
		return fmt.Errorf("%w: %q has %s here, the file has %d", ErrOrderQuota, o.ID, reason.Count(known.Quota, "board", "boards"), o.Quota)
	}
	return nil
}

func (w *work) reviseOrder(o NewOrder, known *orderRow, operator string) error {
	now, was := known.WorkOrder, known.Quota
	now.Quota = o.Quota
	_, err := w.append(audit.Entry{Actor: actor(operator), Category: audit.CategoryConfig, Type: audit.TypeOrderRevised,
		Outcome: audit.Success, WorkOrder: &now, Details: o.terms().details()})
	if err != nil {
		return err
	}
	w.orders.Store(o.ID, o.terms())
	w.revised = append(w.revised, o.ID)
	if o.Quota == was {
		return nil
	}
	return w.exec(`UPDATE work_orders SET quota = ? WHERE id = ?`, o.Quota, o.ID)
}
