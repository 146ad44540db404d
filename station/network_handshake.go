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
	verdictTimeout = 2 * time.Second
	verdictGrace   = 500 * time.Millisecond // when the board failed, and the verifier may never have seen it
)

// handshakeOverNetwork has the board dial the verifier, which lets in nobody but it.
func (a *attempt) handshakeOverNetwork(ctx context.Context) error {
	board, able := a.board.(NetworkBoard)
	if !able {
		return devices.ErrNoNetHandshake
	}
	session, err := a.config.NetworkSessions.Expect(ctx, a.run.shown())
	if err != nil {
		return fmt.Errorf("expecting the board at the verifier: %w", withComponent(ErrVerifier, err))
	}
	defer session.Close()
	report, boardErr := board.NetworkHandshake(ctx, session.Address(), a.config.Verifier.ServerName())
	if boardErr != nil {
		return networkError(ctx, session, withComponent(ErrLine, boardErr))
	}
	ctx, cancel := context.WithTimeout(ctx, verdictTimeout)
	defer cancel()
	presented, err := session.Verdict(ctx)
	if err != nil {
		return withComponent(ErrVerifier, err)
	}
	return a.sameStory(report, presented)
}

// networkError adds the verifier's reason to the board's. A refusal decides only
// where the board says that it was sent away: it may be another board's.
func networkError(ctx context.Context, session NetworkSession, boardErr error) error {
	ctx, cancel := context.WithTimeout(ctx, verdictGrace)
	defer cancel()
	_, refusal := session.Verdict(ctx)
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
