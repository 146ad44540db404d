package hsm

import (
	"io"
	"time"
)

// keepAliveOctets is the size of a request for random numbers that each module takes; some want at least 8.
const keepAliveOctets = 16

// keepAlive asks the token for random numbers again and again, until the token is closed, so that
// the session of an idle token does not end. The random numbers are not used.
func (t *Token) keepAlive() {
	tick := time.NewTicker(t.cfg.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-t.life.Done():
			return
		case <-tick.C:
		}
		_, err := call(t.life, t, "keeping the session alive", func(c *connection) ([]byte, error) { return c.touch() })
		if err != nil && t.life.Err() == nil {
			t.cfg.Log.Warn("the session of the idle token is not kept", "error", err)
		}
	}
}

// touch uses a session of crypto11 and the own session.
func (c *connection) touch() (octets []byte, err error) {
	reader, err := c.module.NewRandomReader()
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(reader, make([]byte, keepAliveOctets)); err != nil {
		return nil, err
	}
	return withSession(c, func(s session) ([]byte, error) { return s.module.GenerateRandom(s.handle, keepAliveOctets) })
}
