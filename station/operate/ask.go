package operate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"hallmark/station/reason"
)

// askBound is how long the station waits for the answer of a board that may be the board of the last Run.
const askBound = 5 * time.Second

// askBoard asks the board in a bay who it is, beside the Runs, because the port did not show whether
// the board of the last Run was taken out. Automatic start goes on when another board answers.
// Otherwise it goes on when the port has shown the removal. The caller holds mu.
func (c *Controller) askBoard(b *bayState) {
	if c.whyNot(b) != nil {
		return
	}
	b.asking = true
	c.runs.Go(func() {
		id, err := c.whoAnswers(b)
		c.mu.Lock()
		defer c.mu.Unlock()
		b.asking = false
		c.answered(b, id, err)
	})
}

// answered notes the answer of the board. The caller holds mu.
func (c *Controller) answered(b *bayState, id string, err error) {
	switch {
	case err != nil: // the next tick asks again
		b.asked.log(c.record.Log, reason.Of(err).Word, "automatic start: the board does not answer", "bay", b.spec.Name, "error", err)
	case id == b.lastBoard:
		b.presence.appeared = false
		b.asked.log(c.record.Log, id, "automatic start: the board of the last Run was not taken out", "bay", b.spec.Name, "board", id)
	default:
		b.presence.doubtful = false
		b.asked.log(c.record.Log, id, "automatic start: another board answers", "bay", b.spec.Name, "board", id)
		c.wakeUp()
	}
}

// An answer is the newest answer of a board that is asked again and again: its BoardID, or the word
// of the error. The Supervisor asks once a second, so only an answer that differs from the one
// before is logged, with how often that one came.
type answer struct {
	said  string
	times int
}

func (a *answer) log(log *slog.Logger, said, message string, attributes ...any) {
	if said == a.said {
		a.times++
		return
	}
	if a.times > 1 {
		attributes = append(attributes, "answer_before_came", a.times)
	}
	log.Info(message, attributes...)
	a.said, a.times = said, 1
}

// whoAnswers returns the BoardID of the board in a bay.
func (c *Controller) whoAnswers(b *bayState) (id string, err error) {
	ctx, cancel := context.WithTimeout(c.life, askBound)
	defer cancel()
	board, closer, err := c.options.Boards.Open(ctx, b.spec, b.board)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	identity, err := board.Identify(ctx)
	return identity.ID.String(), err
}
