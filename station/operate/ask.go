package operate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"hallmark/station/reason"
)

const (
	askBound     = 5 * time.Second // how long the station waits for the answer of a board that may be the board of the last Run
	maxQuestions = 12              // after so many questions without answer a person decides, which is after about a minute
)

// An identityQuestion is a question to the board in a bay.
type identityQuestion struct {
	stop context.CancelFunc
	done chan struct{} // closed when the port is free
}

// askBoard asks the board in a bay who it is, beside the Runs, because the port did not show whether
// the board of the last Run was taken out. Automatic start goes on when another board answers, and in a bay that flashes
// also when none answers: a blank board cannot, and the step flash finds out which board it is.
// Otherwise it goes on when the port has shown the removal. A Run that a person starts ends the question. The caller holds mu.
func (c *Controller) askBoard(b *bayState) {
	if c.whyNot(b) != nil || b.question != nil {
		return
	}
	ctx, stop := context.WithTimeout(c.life, askBound)
	q := &identityQuestion{stop, make(chan struct{})}
	b.question = q
	c.runs.Go(func() {
		defer stop()
		id, err := c.whoAnswers(ctx, b)
		close(q.done)
		c.mu.Lock()
		defer c.mu.Unlock()
		if b.question == q {
			b.question = nil
			c.answered(b, id, err)
		}
	})
}

// endQuestion ends the question of a bay. It returns a function that waits until the port is free. The caller holds mu.
func (b *bayState) endQuestion() (wait func()) {
	q := b.question
	if q == nil {
		return func() {}
	}
	b.question = nil
	q.stop()
	return func() { <-q.done }
}

// flashes reports whether a Run in the bay begins with the step flash.
func (b *bayState) flashes() bool {
	return b.place.Debug != nil && b.place.Debug.Setup().Image != nil
}

// answered notes the answer of the board. The caller holds mu.
func (c *Controller) answered(b *bayState, id string, err error) {
	switch {
	case err != nil && b.flashes():
		b.presence.doubtful = false
		b.asked.log(c.record.Log, reason.Of(err).Word, "automatic start: the board does not answer, so the step flash asks who it is", "bay", b.spec.Name, "error", err)
		c.wakeUp()
	case err != nil:
		b.asked.log(c.record.Log, reason.Of(err).Word, "automatic start: the board does not answer", "bay", b.spec.Name, "error", err)
		if b.presence.questions++; b.presence.questions >= maxQuestions { // until then the next tick asks again
			b.presence.appeared = false
			c.record.Log.Info("automatic start: the board is not asked any more; a person starts it, or takes it out", "bay", b.spec.Name)
		}
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
func (c *Controller) whoAnswers(ctx context.Context, b *bayState) (id string, err error) {
	board, closer, err := c.options.Boards.Open(ctx, b.spec, b.board)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	identity, err := board.Identify(ctx)
	return identity.ID.String(), err
}
