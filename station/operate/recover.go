package operate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"hallmark/devices"
	"hallmark/station"
	"hallmark/station/instance"
	"hallmark/station/reason"
	"hallmark/station/registry"
)

// actRecover erases a whole chip, for the table of roles.
const actRecover = "board.recover"

// recoverAsk is how long a board may take to say who it is before it is erased.
const recoverAsk = 6 * time.Second

// The board must answer within recoverBoot after the probe has restarted it. An answer of the old start counts as delayed for recoverStale.
const (
	recoverBoot  = 20 * time.Second
	recoverStale = 2 * time.Second
)

// A Recover has the arguments of an erase of a whole chip.
type Recover struct {
	Board    devices.BoardID // that the person says the board is; zero: the person does not say
	Unknown  bool            // the person has it erased although nobody knows which board it is
	Hold     bool            // as registry.Recovery
	Why      string
	Operator string
}

var (
	errNobodyKnows = errors.New("nobody knows which board this is: it does not answer, and no certificate of this station was read from its flash; give --board ID if its label says it, or --unknown-board")
	errOtherBoard  = errors.New("the board is another one than --board says: look which board is in the bay")
)

// RecoverBoard erases the chip in a bay, after the board, its flash or a person has said which board it is, and after confirm has agreed to
// a text that says what will be erased. The intent is on record before, and the end after. It returns the state of the lock as it was read
// afterwards; empty: the driver cannot read it. It needs the station for itself.
func RecoverBoard(ctx context.Context, record *instance.Record, source *instance.BoardSource, bay instance.BaySpec, ask Recover, confirm func(what string) error) (state station.LockState, err error) {
	if err := reason.CheckText(ask.Operator); err != nil {
		return "", reason.Usage(fmt.Errorf("--operator %w", err))
	}
	if err := reason.CheckText(ask.Why); err != nil {
		return "", reason.Usage(fmt.Errorf("--reason %w", err))
	}
	err = asCommand(ctx, record, actRecover, ask.Operator, func(person string) (err error) {
		ask.Operator = person
		state, err = recoverAs(ctx, record, source, bay, ask, confirm)
		return err
	})
	return state, err
}

func recoverAs(ctx context.Context, record *instance.Record, source *instance.BoardSource, bay instance.BaySpec, ask Recover, confirm func(string) error) (state station.LockState, err error) {
	port, err := source.RecoverPort(bay)
	if err != nil {
		return "", err
	}
	if err := record.Begin(ctx); err != nil {
		return "", err
	}
	client, board, err := source.Open(ctx, bay, source.Inserted(bay))
	switch {
	case err == nil:
		defer func() { err = errors.Join(err, board.Close()) }()
	case bay.Kind != nil:
		return "", err
	default:
		client = nil // a board with USB of its own has no port while its firmware does not run
	}
	target, asked := port.Target(ctx)
	if asked != nil && !isLocked(asked) { // the probe must work before anything is on record
		return "", fmt.Errorf("looking which board is in bay %s: %w", bay.Name, asked)
	}
	recovery := registry.Recovery{Bay: bay.Name, Probe: target.Serial, Why: ask.Why, Operator: ask.Operator, Hold: ask.Hold}
	var doubt string
	if recovery.Board, recovery.KnownBy, doubt, err = whichBoard(ctx, record, client, port, asked != nil, ask); err != nil {
		return "", fmt.Errorf("looking which board is in bay %s: %w", bay.Name, err)
	}
	if err := confirm(describe(ctx, record, &recovery) + doubt); err != nil {
		return "", err
	}
	if err := record.Registry.RecoverIntended(ctx, recovery); err != nil {
		return "", reason.WithNext(err)
	}
	// Ctrl-C does not cut an erase, nor its record: the driver bounds the erase.
	ctx = context.WithoutCancel(ctx)
	state, err = port.Erase(ctx)
	return state, record.Registry.RecoverDone(ctx, recovery, state, err)
}

// whichBoard asks the board and its flash, then the person. doubt is what the person must know before the erase.
func whichBoard(ctx context.Context, record *instance.Record, client *devices.Client, port instance.RecoverPort, locked bool, ask Recover) (id devices.BoardID, by, doubt string, err error) {
	if id, by, doubt, err = asksBoard(ctx, record, client, port, locked, ask.Board); err != nil {
		return id, by, "", err
	}
	switch {
	case !id.IsZero() && !ask.Board.IsZero() && id != ask.Board:
		return id, by, "", reason.Usage(fmt.Errorf("--board %s, and the %s says %s: %w", ask.Board, by, id, errOtherBoard))
	case !id.IsZero():
		return id, by, doubt, nil
	case !ask.Board.IsZero():
		return ask.Board, "person", "", nil
	case ask.Unknown:
		return id, "nobody", "", nil
	}
	return id, by, "", reason.Usage(errNobodyKnows)
}

// notProven is what a person must know about a locked chip that no probe restarts.
const notProven = "; the debug port is locked, so nothing shows that the probe is connected to the board that answers: look where the debug cable leads"

// asksBoard returns the zero BoardID for a board that neither says who it is nor has a certificate of this station. Its errors are those of
// the probe. A board that answers must be the chip at the probe, which
// would be erased: its certificate is in the flash of that chip, or it restarts with that chip. A reset pin that is not connected looks like
// another board, and a locked chip gives no other proof. So said, the board that a person names, counts if it is the one that answers.
func asksBoard(ctx context.Context, record *instance.Record, client *devices.Client, port instance.RecoverPort, locked bool, said devices.BoardID) (id devices.BoardID, by, doubt string, err error) {
	says := answerOf(ctx, client)
	if !locked && port.Setup().Store {
		octets, err := port.ReadStore(ctx)
		if err != nil {
			return id, "", "", err
		}
		if id, err = ownerOf(ctx, record, octets); err != nil {
			return id, "", "", err
		}
	}
	switch {
	case says == nil:
		return id, "flash", "", ctx.Err()
	case id == says.ID:
		return id, "board", "", nil
	case !id.IsZero():
		return id, "", "", fmt.Errorf("%w: the UART says board %s, and the flash has a certificate of board %s", station.ErrProbeElsewhere, says.ID, id)
	}
	pair := station.Pair{Port: port, Board: client, Boot: recoverBoot, Stale: recoverStale,
		Ask: func(ctx context.Context) (*devices.Identity, error) { return answerOf(ctx, client), nil }}
	_, err = pair.Proves(ctx, says)
	switch elsewhere := errors.Is(err, station.ErrProbeElsewhere); {
	case locked && (isLocked(err) || elsewhere && said == says.ID):
		return says.ID, "board", notProven, nil
	case locked && elsewhere:
		return says.ID, "board", "", fmt.Errorf("%w; a locked chip whose reset pin is not connected looks the same: if the debug cable leads to this board, give --board %s", err, says.ID)
	}
	return says.ID, "board", "", err
}

func isLocked(err error) bool { return reason.Of(err).Word == "target-locked" }

// answerOf asks the board who it is; nil: it does not answer, or the bay has no UART now.
func answerOf(ctx context.Context, client *devices.Client) *devices.Identity {
	if client == nil {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, recoverAsk)
	defer cancel()
	identity, err := client.Identify(short)
	if err != nil {
		return nil
	}
	return &identity
}

// ownerOf returns the board that the registry knows for a certificate in a flash.
func ownerOf(ctx context.Context, record *instance.Record, octets []byte) (devices.BoardID, error) {
	stored, err := devices.ParseFlashStore(octets)
	if err != nil {
		return devices.BoardID{}, nil // no store, as on a blank board
	}
	for _, slot := range []devices.Slot{devices.SlotCertificate, devices.SlotCOSE} {
		certificate, err := x509.ParseCertificate(stored.Slots[slot])
		if err != nil || certificate.SerialNumber.BitLen() > 128 {
			continue // nothing that this station issued
		}
		var serial [16]byte
		certificate.SerialNumber.FillBytes(serial[:])
		known, err := record.Registry.Lookup(ctx, serial)
		switch {
		case err == nil:
			return known.BoardID, nil
		case !errors.Is(err, station.ErrUnknownCertificate):
			return devices.BoardID{}, err
		}
	}
	return devices.BoardID{}, nil
}

// describe says what will be erased.
func describe(ctx context.Context, record *instance.Record, recovery *registry.Recovery) string {
	what := fmt.Sprintf("bay %s, probe %s: ", recovery.Bay, recovery.Probe)
	if recovery.Board.IsZero() {
		return what + "a board that nobody knows"
	}
	what += fmt.Sprintf("board %s, as the %s says", recovery.Board, recovery.KnownBy)
	switch standing, err := record.Registry.Standing(ctx, recovery.Board); {
	case err != nil:
		return what + "; the registry does not say more: " + err.Error()
	case !standing.Active.IsZero():
		return what + "; its certificate is active since " + standing.Active.UTC().Format(time.RFC3339)
	}
	return what + "; it has no active certificate"
}
