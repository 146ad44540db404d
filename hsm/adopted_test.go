package hsm_test

import (
	"testing"

	"hallmark/fixtures"
	"hallmark/hsm"
)

// A station that runs for weeks asks for its issuing key again and again, and a reopen adopts each key that was handed out.
func TestAKeyIsAdoptedOnceHoweverOftenItIsAskedFor(t *testing.T) {
	shim := fixtures.NewShim(t, fixtures.NewToken(t))
	token := open(t, shim.Config)
	signer, public := fixtures.NewKey(t, token, "issuing", 1)
	signatures := func() int {
		before := shim.Calls(t, "C_SignInit")
		closeSessions(t, shim.Config)
		must(t, sign(t, signer))
		return shim.Calls(t, "C_SignInit") - before
	}
	want := signatures()
	for range 10 {
		again := fixtures.Must(token.Signer(t.Context(), hsm.KeyRef{Label: "issuing"}, public))(t)
		must(t, sign(t, again))
	}
	fixtures.Must(token.Signer(t.Context(), hsm.KeyRef{Label: "issuing", ID: []byte{1}}, public))(t) // another search is another entry
	if got := signatures(); got > 2*want {
		t.Errorf("after ten more requests a reopen signs %d times, before %d times", got, want)
	}
}
