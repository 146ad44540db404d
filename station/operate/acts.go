package operate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hallmark/station/control"
	"hallmark/station/instance"
	"hallmark/station/issuance"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// Names of the actions that change work orders, certificates and boards. Those that sign need the HSM.
const (
	ActOpenOrder   = "order.open"
	ActRaiseOrder  = "order.raise"
	ActCloseOrder  = "order.close"
	ActImportOrder = "order.import"
	ActClosure     = "order.closure" // needs the HSM
	ActRevoke      = "certificate.revoke"
	ActClose       = "unresolved.close"
	ActHold        = "board.hold"
	ActRelease     = "board.release"
	ActScrap       = "board.scrap"
	ActMark        = "board.rework.mark"
	ActWithdraw    = "board.rework.withdraw"
	ActCRL         = "crl.issue"     // needs the HSM
	ActStatus      = "status.export" // needs the HSM
	ActProve       = "prove"         // needs the HSM
	ActRenewOCSP   = "ocsp.renew"    // needs the HSM
	ActRenewHub    = "hub.renew"     // needs the HSM
)

// An OrderChange has the arguments of the actions on work orders. Raising uses ID and Quota, closing ID alone.
type OrderChange struct {
	ID       string    `json:"id"`
	Quota    int64     `json:"quota,omitempty"`
	Lot      string    `json:"lot,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	Firmware Images    `json:"firmware,omitempty"`
	Operator string    `json:"operator"`
}

func (o OrderChange) check() error {
	if err := reason.CheckText(o.ID); err != nil {
		return fmt.Errorf("work order %w", err)
	}
	if err := reason.CheckOptional("lot", o.Lot); err != nil {
		return err
	}
	if err := reason.CheckText(o.Operator); err != nil {
		return fmt.Errorf("operator %w", err)
	}
	if o.Quota < 0 || o.Quota > maxNumber { // a quota of 0 is refused by what needs a quota
		return fmt.Errorf("quota %d: %w", o.Quota, errNumber)
	}
	return nil
}

// A StatusChange has the arguments of the actions that revoke certificates, put boards on hold, release them, scrap them, mark them for a
// rework, or withdraw the marks.
type StatusChange struct {
	Which    registry.Which    `json:"which"`
	Seen     [sha256.Size]byte `json:"seen"` // registry.SeenOf the preview, or registry.SeenBoards
	Reason   string            `json:"reason"`
	Operator string            `json:"operator"`
}

// A Signing has the arguments of the actions that sign with the issuing key: a CRL, or the certificate of the OCSP key.
type Signing struct {
	Days     int    `json:"days"`
	Operator string `json:"operator"`
}

// A StatusExport has the arguments of the action that signs a status bundle.
type StatusExport struct {
	Signing
	Out string `json:"out"` // absolute path, because another process may write the file
}

// A ProofRequest has the arguments of the action that signs a verification certificate.
type ProofRequest struct {
	Code     string `json:"code"`
	Operator string `json:"operator"`
}

// Acts are the actions on a record, for commands and for the control socket.
func Acts(record *instance.Record) control.Acts {
	return byRole(record, control.Acts{
		ActOpenOrder:   order(record, opensOrder),
		ActRaiseOrder:  order(record, raisesOrder),
		ActCloseOrder:  order(record, closesOrder),
		ActImportOrder: importsOrder(record),
		ActRevoke:      status(record, revokes),
		ActClose:       status(record, closesUnresolved),
		ActScrap:       status(record, scraps),
		ActHold:        status(record, holds),
		ActRelease:     status(record, releases),
		ActMark:        status(record, marks),
		ActWithdraw:    status(record, withdraws),
	})
}

type act = func(context.Context, json.RawMessage) (string, error)

func order(record *instance.Record, do func(context.Context, *instance.Record, OrderChange) (string, error)) act {
	return func(ctx context.Context, arguments json.RawMessage) (string, error) {
		ask, err := control.Argument[OrderChange](arguments)
		if err != nil {
			return "", err
		}
		if err := ask.check(); err != nil {
			return "", reason.Usage(err)
		}
		return do(ctx, record, ask)
	}
}

func opensOrder(ctx context.Context, record *instance.Record, ask OrderChange) (string, error) {
	if !ask.Until.IsZero() && !ask.Until.After(record.Now()) {
		return "", reason.Usage(fmt.Errorf("the work order would end at %s, which has passed", ask.Until.UTC().Format(time.RFC3339)))
	}
	err := record.Registry.OpenOrder(ctx, registry.NewOrder{ID: ask.ID, Product: record.Profile.Name(), Quota: ask.Quota,
		Lot: ask.Lot, Until: ask.Until, Firmware: ask.Firmware}, ask.Operator)
	if err != nil {
		return "", orderMisuse(err)
	}
	return fmt.Sprintf("work order %s is open for %s of %s", ask.ID, reason.Count(ask.Quota, "board", "boards"), record.Profile.Name()), nil
}

func raisesOrder(ctx context.Context, record *instance.Record, ask OrderChange) (string, error) {
	if err := record.Registry.RaiseOrder(ctx, ask.ID, ask.Quota, ask.Operator); err != nil {
		return "", orderMisuse(err)
	}
	return fmt.Sprintf("work order %s is open for %s", ask.ID, reason.Count(ask.Quota, "board", "boards")), nil
}

func closesOrder(ctx context.Context, record *instance.Record, ask OrderChange) (string, error) {
	if err := record.Registry.CloseOrder(ctx, ask.ID, ask.Operator); err != nil {
		return "", orderMisuse(err)
	}
	order, err := record.Registry.OrderReport(ctx, ask.ID)
	if err != nil {
		return "", fmt.Errorf("work order %s is closed; its report cannot be read: %w", ask.ID, err)
	}
	return LotReport(order), nil
}

// LotReport is a work order for people: what was ordered, and what became of it. The four sums add up to the order.
func LotReport(o registry.OrderReport) string {
	state := "open"
	if o.Closed != "" {
		state = "closed at " + o.Closed
	}
	text := fmt.Sprintf("work order  %s, %s\nproduct     %s\n", o.ID, state, o.Product)
	for _, fact := range [][2]string{{"lot", o.Lot}, {"not before", o.NotBefore}, {"valid until", o.Until}, {"firmware", o.Firmware}, {"signed", signedBy(o)}} {
		if fact[1] != "" {
			text += fmt.Sprintf("%-12s%s\n", fact[0], fact[1])
		}
	}
	b := o.Boards
	return text + fmt.Sprintf("opened      %s\nordered     %d\ncertified   %d\nunresolved  %d\nrevoked     %d\nunused      %d\nRuns passed %d issued, %d reworked, %d confirmed",
		o.Opened, o.Quota, b.Certified, b.Unresolved, b.Revoked, b.Unused, o.Issued, o.Reworked, o.Confirmed)
}

// signedBy names the file and the owner of a signed work order.
func signedBy(o registry.OrderReport) string {
	if o.Revision == 0 {
		return ""
	}
	return fmt.Sprintf("revision %d, file %s, owner %s", o.Revision, o.SHA256, o.OwnerSHA256)
}

func status(record *instance.Record, do func(context.Context, *instance.Record, StatusChange) (string, error)) act {
	return func(ctx context.Context, arguments json.RawMessage) (string, error) {
		ask, err := control.Argument[StatusChange](arguments)
		if err != nil {
			return "", err
		}
		for what, text := range map[string]string{"reason": ask.Reason, "operator": ask.Operator} {
			if err := reason.CheckText(text); err != nil {
				return "", reason.Usage(fmt.Errorf("%s %w", what, err))
			}
		}
		return do(ctx, record, ask)
	}
}

func revokes(ctx context.Context, record *instance.Record, ask StatusChange) (string, error) {
	if ask.Which.IsEmpty() {
		return "", reason.Usage(errors.New("nothing is selected, and this would revoke all certificates"))
	}
	if err := registry.CheckReason(ask.Reason); err != nil {
		return "", reason.Usage(err)
	}
	number, err := record.Registry.RevokeAll(ctx, ask.Which, ask.Seen, ask.Reason, ask.Operator)
	if err != nil {
		return "", err
	}
	return reason.Count(number, "certificate is revoked", "certificates are revoked"), nil
}

func closesUnresolved(ctx context.Context, record *instance.Record, ask StatusChange) (string, error) {
	if ask.Which.IsEmpty() {
		return "", reason.Usage(errors.New("nothing is selected, and this would close all unresolved serial numbers"))
	}
	number, err := record.Registry.CloseUnresolved(ctx, ask.Which, ask.Seen, ask.Reason, ask.Operator)
	if err != nil {
		return "", err
	}
	return reason.Count(number, "unresolved serial number is closed: it is revoked", "unresolved serial numbers are closed: they are revoked"), nil
}

func holds(ctx context.Context, record *instance.Record, ask StatusChange) (string, error) {
	return eachBoard(ctx, ask, record.Registry.Hold, "board is on hold", "boards are on hold")
}

func releases(ctx context.Context, record *instance.Record, ask StatusChange) (string, error) {
	return eachBoard(ctx, ask, record.Registry.Release, "board is released", "boards are released")
}

func eachBoard(ctx context.Context, ask StatusChange, do func(context.Context, registry.Which, [sha256.Size]byte, string, string) (int, error), one, many string) (string, error) {
	if ask.Which.IsEmpty() {
		return "", reason.Usage(errors.New("nothing is selected, and this would be about all boards"))
	}
	number, err := do(ctx, ask.Which, ask.Seen, ask.Reason, ask.Operator)
	if err != nil {
		return "", err
	}
	return reason.Count(number, one, many), nil
}

func marks(ctx context.Context, record *instance.Record, ask StatusChange) (string, error) {
	text, err := eachBoard(ctx, ask, record.Registry.MarkForRework, "board is marked for a rework", "boards are marked for a rework")
	return text, boardMisuse(err)
}

func withdraws(ctx context.Context, record *instance.Record, ask StatusChange) (string, error) {
	return eachBoard(ctx, ask, record.Registry.WithdrawRework, "mark is withdrawn", "marks are withdrawn")
}

func scraps(ctx context.Context, record *instance.Record, ask StatusChange) (string, error) {
	text, err := eachBoard(ctx, ask, record.Registry.Scrap, "board is scrapped", "boards are scrapped")
	return text, boardMisuse(err)
}

// boardMisuse marks a refusal of the board itself as an error of usage, and says what to do next.
func boardMisuse(err error) error {
	refusals := []error{registry.ErrUnknownBoard, registry.ErrScrapped, registry.ErrMarked, registry.ErrNothingToRework, issuance.ErrKeyCompromised}
	if slices.ContainsFunc(refusals, func(refusal error) bool { return errors.Is(err, refusal) }) {
		return reason.Usage(reason.WithNext(err))
	}
	return err
}

// KeyActs are the actions that need the HSM, with the keys of the record that open gives.
func KeyActs(record *instance.Record, open func(context.Context) (*instance.Keys, error)) control.Acts {
	return byRole(record, control.Acts{
		ActCRL:       withKeys(open, Signing.by, signsCRL),
		ActStatus:    withKeys(open, StatusExport.by, exportsStatus),
		ActClosure:   withKeys(open, ClosureRequest.by, signsClosure),
		ActRenewOCSP: withKeys(open, Signing.by, renewsOCSP),
		ActRenewHub:  withKeys(open, Signing.by, renewsHub),
		ActProve: withKeys(open, func(r ProofRequest) string { return r.Operator }, func(ctx context.Context, keys *instance.Keys, ask ProofRequest) (string, error) {
			made, err := keys.Prove(ctx, ask.Code, ask.Operator)
			if err != nil {
				return "", err
			}
			return strings.TrimSuffix(string(workdir.CertificatePEM(made.Raw)), "\n"), nil
		}),
	})
}

func withKeys[T any](open func(context.Context) (*instance.Keys, error), operator func(T) string, do func(context.Context, *instance.Keys, T) (string, error)) act {
	return func(ctx context.Context, arguments json.RawMessage) (string, error) {
		ask, err := control.Argument[T](arguments)
		if err != nil {
			return "", err
		}
		if err := reason.CheckText(operator(ask)); err != nil {
			return "", reason.Usage(fmt.Errorf("operator %w", err))
		}
		keys, err := open(ctx)
		if err != nil {
			return "", err
		}
		return do(ctx, keys, ask)
	}
}

func (s Signing) by() string { return s.Operator }

func signsCRL(ctx context.Context, keys *instance.Keys, ask Signing) (string, error) {
	made, err := keys.IssueCRL(ctx, ask.Days, ask.Operator)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: CRL %d with %s, next update %s, sha256 %x", made.Path, made.Number,
		reason.Count(made.Entries, "entry", "entries"), made.NextUpdate.Format(time.RFC3339), made.SHA256), nil
}

func exportsStatus(ctx context.Context, keys *instance.Keys, ask StatusExport) (string, error) {
	if !filepath.IsAbs(ask.Out) {
		return "", reason.Usage(fmt.Errorf("--out %q: want an absolute path", ask.Out))
	}
	made, err := keys.ExportStatus(ctx, ask.Out, ask.Days, ask.Operator)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: status bundle %d with %s, next update %s, sha256 %x", made.Path, made.Number,
		reason.Count(made.Certificates, "certificate", "certificates"), made.NextUpdate.Format(time.RFC3339), made.SHA256), nil
}

func renewsOCSP(ctx context.Context, keys *instance.Keys, ask Signing) (string, error) {
	made, err := keys.RenewOCSP(ctx, ask.Days, ask.Operator)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is valid until %s, sha256 %x", keys.Dir.OCSP(), made.NotAfter.UTC().Format(time.RFC3339), sha256.Sum256(made.Raw)), nil
}

// renewsHub names the digest of the key, which hub.yaml has.
func renewsHub(ctx context.Context, keys *instance.Keys, ask Signing) (string, error) {
	made, err := keys.RenewHub(ctx, ask.Days, ask.Operator)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is valid until %s\nfor hub.yaml:  tls_key_sha256: %x", keys.Dir.Hub(), made.NotAfter.UTC().Format(time.RFC3339), sha256.Sum256(made.RawSubjectPublicKeyInfo)), nil
}
