package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadgesAreReadStrictly(t *testing.T) {
	for name, row := range map[string]struct {
		text string
		good bool
	}{
		"two operators":              {"OP-1: {id: anna, name: Anna}\nOP-2: {id: ben, name: Ben}\n", true},
		"an unknown key":             {"OP-1: {id: anna, name: Anna, pin: 1}\n", false},
		"a badge given twice":        {"OP-1: {id: anna, name: Anna}\nOP-1: {id: ben, name: Ben}\n", false},
		"an operator without a name": {"OP-1: {id: anna}\n", false},
		"an id with a space":         {"OP-1: {id: an na, name: Anna}\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "badges.yaml")
			if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadOperators(path)
			if row.good != (err == nil) || !row.good && !errors.Is(err, ErrOperators) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestAStationWithoutBadgesTakesOnlyAPlainIDAsOperator(t *testing.T) {
	for id, good := range map[string]bool{"anna": true, "a.b-c_9": true, "": false, "-rf": false, "an na": false, "a\x1b[2J": false, strings.Repeat("a", 33): false} {
		if IsOperatorID(id) != good {
			t.Errorf("%q: want %v", id, good)
		}
	}
}
