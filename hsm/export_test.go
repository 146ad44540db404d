package hsm

import "time"

// TestingOnlyTimeout shortens the time-out of an open token. Opening a token with a short
// time-out could fail on a busy machine.
func TestingOnlyTimeout(t *Token, limit time.Duration) { t.cfg.Timeout = limit }
