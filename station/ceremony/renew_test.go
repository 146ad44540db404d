package ceremony_test

import (
	"testing"

	"hallmark/fixtures"
	"hallmark/station/audit"
	"hallmark/station/ceremony"
	"hallmark/station/instance"
)

// The checkpoint that a renewal signs lies on the token, too. Otherwise the next start would say that the token has lost it.
func TestARenewalLeavesItsCheckpointOnTheToken(t *testing.T) {
	dir := fixtures.NewDirectory(t)
	for range 2 {
		if _, err := ceremony.RenewVerifier(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	reader := fixtures.Must(instance.OpenReader(t.Context(), dir))(t)
	defer reader.Close()
	key := fixtures.Must(reader.VerifierKey(t.Context()))(t)
	_, err := reader.VerifyEach(t.Context(), key, func(e audit.Entry) error {
		if e.Type == "token.checkpoint.missing" {
			t.Errorf("entry %d says that the token has no checkpoint", e.Seq)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
