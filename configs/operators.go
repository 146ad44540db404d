package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"

	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// An Operator is one line of badges.yaml, which has the badge's code as its key:
//
//	OP-1001: {id: anna, name: Anna Schmidt, role: lead}
type Operator struct {
	ID   string `yaml:"id"`   // goes on record, see IsOperatorID
	Name string `yaml:"name"` // for the screen
	Role Role   `yaml:"role"` // empty: all that a station did before there were roles, which is what an engineer may do
	// Account is the account of this machine that only this person uses, or empty. Commands of the account are
	// commands of this person.
	Account string `yaml:"account"`
}

// A Role says what an operator may do; package operate has the table.
type Role string

// The roles, from the least to the greatest.
const (
	RoleOperator Role = "operator"
	RoleLead     Role = "lead"
	RoleEngineer Role = "engineer"
)

// Roles are all roles, from the least to the greatest.
var Roles = []Role{RoleOperator, RoleLead, RoleEngineer}

// Includes reports whether the role may do what another role may do. The empty role is that of an engineer.
func (r Role) Includes(other Role) bool {
	return r == "" || slices.Index(Roles, r) >= slices.Index(Roles, other)
}

// ErrOperators: badges.yaml holds something that is no operator.
var ErrOperators = errors.New("want lines like \"OP-1001: {id: anna, name: Anna Schmidt, role: operator}\"")

var (
	errRole    = errors.New("want a role of operator, lead, engineer")
	errAccount = errors.New("want the name of an account without blanks")
	errPerson  = errors.New("a person has one role and one account, and an account belongs to one person; give all badges of the person the same")
)

var operatorIDForm = form{regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`), 32}

// accountForm is what useradd(8) takes, and what directories of accounts add to it.
var accountForm = form{regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@\\-]*$`), 64}

// IsOperatorID reports whether an operator's id is plain: 1 to 32 letters, digits,
// points, hyphens and underscores, beginning with a letter or a digit.
func IsOperatorID(id string) bool { return operatorIDForm.fits(id) }

// MaxBadges is the largest badges.yaml, in octets: about 15,000 operators.
const MaxBadges = 1 << 20

// LoadOperators reads badges.yaml, by the codes of the badges. Without the file it gives nil.
func LoadOperators(path string) (map[string]Operator, error) {
	text, err := workdir.ReadUpTo(path, MaxBadges)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading the badges: %w", err)
	}
	operators := map[string]Operator{}
	if err := yaml.UnmarshalWithOptions(text, &operators, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrOperators, err)
	}
	for _, code := range slices.Sorted(maps.Keys(operators)) {
		if err := operators[code].check(code); err != nil {
			return nil, fmt.Errorf("%s: badge %q: %w", path, code, errors.Join(ErrOperators, err))
		}
	}
	return operators, onePerson(path, operators)
}

func (o Operator) check(code string) error {
	err := errors.Join(reason.CheckText(code), reason.CheckText(o.Name))
	if !IsOperatorID(o.ID) {
		err = errors.Join(err, errors.New("the id is not plain"))
	}
	if o.Role != "" && !slices.Contains(Roles, o.Role) {
		err = errors.Join(err, errRole)
	}
	if o.Account != "" && !accountForm.fits(o.Account) {
		err = errors.Join(err, errAccount)
	}
	return err
}

// onePerson refuses two badges of one person that differ: the greater role would be a matter of the badge, and not of the person.
func onePerson(path string, operators map[string]Operator) error {
	byID, byAccount := map[string]Operator{}, map[string]Operator{}
	for _, code := range slices.Sorted(maps.Keys(operators)) {
		o := operators[code]
		first, known := byID[o.ID]
		owner, taken := byAccount[o.Account]
		if known && (first.Role != o.Role || first.Account != o.Account) || taken && owner.ID != o.ID {
			return fmt.Errorf("%s: badge %q: %w: %w", path, code, ErrOperators, errPerson)
		}
		if byID[o.ID] = o; o.Account != "" {
			byAccount[o.Account] = o
		}
	}
	return nil
}
