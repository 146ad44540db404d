package softtoken

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestATokenThatAKillTruncatedIsRepaired(t *testing.T) {
	d := Dir(t.TempDir())
	dir := filepath.Join(d.tokens(), "one")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, whole := dir+"/token.object", bytes.Repeat([]byte{7}, 320)
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.keep(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		left   []byte
		healed bool
	}{
		{"nothing was written", nil, true},
		{"a part was written", whole[:200], true},
		{"all was written", whole, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, test.left, 0o600); err != nil {
				t.Fatal(err)
			}
			healed, err := d.Heal()
			if err != nil || healed != test.healed {
				t.Errorf("healed %v, %v; want %v", healed, err, test.healed)
			}
			if held, err := os.ReadFile(path); err != nil || !bytes.Equal(held, whole) {
				t.Errorf("%d octets, %v", len(held), err)
			}
		})
	}
}
