package devices

import (
	"errors"
	"testing"
)

func TestAPurposeIsParsedFromItsNameOnly(t *testing.T) {
	for number, purpose := range []Purpose{PurposeTLS, PurposeCOSE} {
		if p, err := ParsePurpose(purpose.String()); err != nil || p != purpose || p.Number() != number {
			t.Errorf("%q is %q, number %d, %v", purpose, p, p.Number(), err)
		}
	}
	for _, text := range []string{"", "TLS", "tls ", "email", "0"} {
		var not *NotPurposeError
		if p, err := ParsePurpose(text); !errors.As(err, &not) || not.Text != text || p != "" {
			t.Errorf("%q is %q, %v", text, p, err)
		}
	}
}

func TestASetOfPurposesHasThoseOfItsBits(t *testing.T) {
	for set, want := range map[Purposes][2]bool{0: {false, false}, 1: {true, false}, 2: {false, true}, 3: {true, true}, 0xfc: {false, false}} {
		if got := [2]bool{set.Has(PurposeTLS), set.Has(PurposeCOSE)}; got != want || set.Has("email") || set.Has("") {
			t.Errorf("%#b has %v, want %v, and no purpose that nobody knows", set, got, want)
		}
	}
}

func TestACSRForNoPurposeIsNotAskedFor(t *testing.T) {
	client, board := startScripted(t, Options{}, silence)
	_, err := client.CSR(t.Context(), "email", [NonceSize]byte{}, Subject{})
	var not *NotPurposeError
	if !errors.As(err, &not) || len(board.asked) != 0 {
		t.Errorf("got %v after %d requests", err, len(board.asked))
	}
}
