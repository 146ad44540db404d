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
		"each role":                  {"OP-1: {id: a, name: A, role: operator}\nOP-2: {id: b, name: B, role: lead}\nOP-3: {id: c, name: C, role: engineer, account: carl}\n", true},
		"an unknown role":            {"OP-1: {id: anna, name: Anna, role: boss}\n", false},
		"an account with a blank":    {"OP-1: {id: anna, name: Anna, account: 'an na'}\n", false},
		"two badges of one person":   {"OP-1: {id: anna, name: Anna, role: lead}\nOP-2: {id: anna, name: Anna, role: lead}\n", true},
		"two roles of one person":    {"OP-1: {id: anna, name: Anna, role: lead}\nOP-2: {id: anna, name: Anna, role: engineer}\n", false},
		"two persons of one account": {"OP-1: {id: anna, name: Anna, account: line}\nOP-2: {id: ben, name: Ben, account: line}\n", false},
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

func TestARoleIncludesWhatIsBelowIt(t *testing.T) {
	for _, test := range []struct {
		role, other Role
		want        bool
	}{
		{RoleOperator, RoleOperator, true}, {RoleOperator, RoleLead, false}, {RoleOperator, RoleEngineer, false},
		{RoleLead, RoleOperator, true}, {RoleLead, RoleLead, true}, {RoleLead, RoleEngineer, false},
		{RoleEngineer, RoleLead, true}, {RoleEngineer, RoleEngineer, true}, {"", RoleEngineer, true}, // a file from before there were roles
	} {
		if got := test.role.Includes(test.other); got != test.want {
			t.Errorf("%q includes %q: %t", test.role, test.other, got)
		}
	}
}

func TestWhoseSignatureAWorkOrderNeedsIsReadStrictly(t *testing.T) {
	for text, good := range map[string]bool{
		"orders: {owners: [owner.pub], signed_only: true}\n": true,
		"orders: {owners: [owner.pub]}\n":                    true,
		"orders: {signed_only: true}\n":                      false,
		"orders: {owners: [owner.pub, owner.pub]}\n":         false,
		"orders: {owners: [\"\"]}\n":                         false,
		"orders: {owner: owner.pub}\n":                       false,
	} {
		config, err := Parse("station.yaml", []byte("hsm: {module: /usr/lib/pkcs11.so}\n"+text))
		if good != (err == nil) || good && config.NeedsOrder() != config.Orders.SignedOnly {
			t.Errorf("%q: %v", text, err)
		}
	}
}
