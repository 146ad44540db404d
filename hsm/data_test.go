package hsm_test

import (
	"bytes"
	"fmt"
	"testing"

	"hallmark/fixtures"
)

func TestADataObjectHasTheNewestValue(t *testing.T) {
	token := fixtures.NewToken(t).Open(t)
	if values, err := token.Data(t.Context(), "mark"); len(values) != 0 || err != nil {
		t.Fatalf("before the first: %q, %v", values, err)
	}
	for _, value := range []string{"one", "two"} {
		if err := token.StoreData(t.Context(), "mark", []byte(value)); err != nil {
			t.Fatal(err)
		}
		values, err := token.Data(t.Context(), "mark")
		if err != nil || len(values) != 1 || !bytes.Equal(values[0], []byte(value)) {
			t.Errorf("got %q, %v, want %q", values, err, value)
		}
	}
	if err := token.StoreData(t.Context(), "other mark", []byte("three")); err != nil {
		t.Fatal(err)
	}
	if all, err := token.AllData(t.Context()); err != nil || fmt.Sprintf("%s", all) != "map[mark:[two] other mark:[three]]" {
		t.Errorf("got %s, %v", all, err)
	}
	if values, err := token.Data(t.Context(), "another"); len(values) != 0 || err != nil {
		t.Errorf("another label: %q, %v", values, err)
	}
}
