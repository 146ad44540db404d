package station

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hallmark/devices"
)

// How long the verifier may take to say what it saw, once the board has said
// how it ended: both look at the same connection.
const (
	visitBound = 2 * time.Second
	visitGrace = 500 * time.Millisecond // when the board failed, and the verifier may never have seen it
)

// handshakeOverNetwork has the board dial the verifier, which lets in nobody but it.
func (a *attempt) handshakeOverNetwork(ctx context.Context) error {
	board, able := a.board.(NetworkBoard)
	if !able {
		return devices.ErrNoNetHandshake
	}
	visit, err := a.config.Visits.Expect(ctx, a.run.shown())
	if err != nil {
		return fmt.Errorf("expecting the board at the verifier: %w", withComponent(ErrVerifier, err))
	}
	defer visit.Close()
	report, boardErr := board.NetworkHandshake(ctx, visit.Address(), a.config.Verifier.ServerName())
	if boardErr != nil {
		return whyNoVisit(ctx, visit, withComponent(ErrLine, boardErr))
	}
	ctx, cancel := context.WithTimeout(ctx, visitBound)
	defer cancel()
	presented, err := visit.Verdict(ctx)
	if err != nil {
		return withComponent(ErrVerifier, err)
	}
	return a.sameStory(report, presented)
}

// whyNoVisit adds the verifier's reason to the board's. A refusal decides only
// where the board says that it was sent away: it may be another board's.
func whyNoVisit(ctx context.Context, visit Visit, boardErr error) error {
	ctx, cancel := context.WithTimeout(ctx, visitGrace)
	defer cancel()
	_, refusal := visit.Verdict(ctx)
	sentAway := errors.Is(boardErr, devices.ErrServerRefuses) // by an alert; a connection that broke may be any
	switch {
	case refusal == nil:
		return boardErr
	case sentAway && errors.Is(refusal, ErrHandshakeRefused):
		return fmt.Errorf("%w (the board says: %w)", refusal, boardErr)
	case sentAway && errors.Is(refusal, ErrRegistry):
		return fmt.Errorf("%w (the board says: %v)", refusal, boardErr)
	}
	return fmt.Errorf("%w (the verifier says: %v)", boardErr, refusal)
}
