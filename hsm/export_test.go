package hsm

import "time"

// TestingOnlyTimeout shortens the time-out of an open token, so that a test need
// not open it under one that a busy machine could miss.
func TestingOnlyTimeout(t *Token, limit time.Duration) { t.cfg.Timeout = limit }
