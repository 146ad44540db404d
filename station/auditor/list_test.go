package auditor

import (
	"bytes"
	"encoding/json"
	"testing"
)

// The short way gives the same octets as encoding/json.
func TestEachCellIsTheSameJSON(t *testing.T) {
	texts := []string{"", "WO-1 (a) 2026-11-28T07:00:00Z", "a\"b", `a\b`, "<b>&</b>", "\x00\x1f", "\x7f", "é\u2028", "\xff"}
	for octet := range 256 {
		texts = append(texts, string([]byte{'a', byte(octet), 'b'}))
	}
	for _, text := range texts {
		want, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := appendJSON(nil, text); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %s, want %s, %v", text, got, want, err)
		}
	}
}
