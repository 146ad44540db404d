package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/goccy/go-yaml"

	"hallmark/station/reason"
	"hallmark/station/workdir"
)

// An Operator is one line of badges.yaml, which has the badge's code as its key:
//
//	OP-1001: {id: anna, name: Anna Schmidt}
type Operator struct {
	ID   string `yaml:"id"`   // goes on record, see IsOperatorID
	Name string `yaml:"name"` // for the screen
}

// ErrOperators: badges.yaml holds something that is no operator.
var ErrOperators = errors.New("want lines like \"OP-1001: {id: anna, name: Anna Schmidt}\"")

var operatorID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

// IsOperatorID reports whether an operator's id is plain: 1 to 32 letters, digits,
// points, hyphens and underscores, beginning with a letter or a digit.
func IsOperatorID(id string) bool { return operatorID.MatchString(id) }

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
	for code, o := range operators {
		if err := errors.Join(reason.CheckText(code), reason.CheckText(o.Name)); err != nil || !IsOperatorID(o.ID) {
			return nil, fmt.Errorf("%s: badge %q: %w", path, code, errors.Join(ErrOperators, err))
		}
	}
	return operators, nil
}
