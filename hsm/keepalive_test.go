package hsm_test

import (
	"testing"
	"time"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// A YubiHSM ends a session that nobody uses for 30 s.
func TestAnIdleTokenIsKeptOpenOnRequest(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	shim.Config.KeepAlive = time.Millisecond
	token, err := hsm.Open(t.Context(), shim.Config, pinOf(fixtures.TestPIN))
	must(t, err)
	calls := func() int { return shim.Calls(t, "C_GenerateRandom") }
	until := func(n int) {
		t.Helper()
		for end := time.Now().Add(patience); calls() < n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d calls, want %d", calls(), n)
			}
		}
	}
	until(3)
	closeSessions(t, shim.Config) // the next call opens the token again, before somebody needs it
	until(calls() + 3)
	if n := shim.Calls(t, "C_Login"); n != 2 {
		t.Errorf("%d logins", n)
	}
	must(t, token.Close(t.Context()))
	n := calls()
	shim.Config.KeepAlive = 0 // while the second token works, the first one would have asked many times
	signer, _ := fixtures.NewKey(t, open(t, shim.Config), "issuing", 1)
	must(t, sign(t, signer))
	if calls() != n {
		t.Error("a closed token is still asked")
	}
}
