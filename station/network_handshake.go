package station

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hallmark/devices"
)

// How long the station waits for the verifier's verdict after the board's report. A short
// time is enough, because board and verifier see the end of the same connection.
const (
	verdictTimeout = 2 * time.Second
	verdictGrace   = 500 * time.Millisecond // after a failure of the board, which the verifier may not have seen
)

// handshakeOverNetwork has the board dial the verifier, which accepts only this board.
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
	return a.crossCheck(report, presented)
}

// networkError adds the verifier's reason to the board's error. The verifier's refusal
// decides only if the board reports an alert, because it may be the refusal of another board.
func networkError(ctx context.Context, session NetworkSession, boardErr error) error {
	ctx, cancel := context.WithTimeout(ctx, verdictGrace)
	defer cancel()
	_, refusal := session.Verdict(ctx)
	sentAway := errors.Is(boardErr, devices.ErrServerRefuses) // by an alert; a broken connection can have any reason
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
