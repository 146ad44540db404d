package instance

import (
	"fmt"
	"slices"
	"strings"

	"hallmark/configs"
	"hallmark/station/registry"
)

// operatorsFact lists the operators for the entry of a start, sorted: each as its id with its role, and with its account if it has one.
// Codes of badges are not listed, because whoever knows a code can print the badge.
func (f *Files) operatorsFact() string {
	var all []string
	for _, o := range f.Operators {
		all = append(all, operatorFact(o))
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if text := strings.Join(all, " "); len(text) <= registry.MaxOperatorsFact {
		return text
	}
	return fmt.Sprintf("%d operators, too many to list", len(all))
}

func operatorFact(o configs.Operator) string {
	text := o.ID
	if o.Role != "" {
		text += "=" + string(o.Role)
	}
	if o.Account != "" {
		text += "/" + o.Account
	}
	return text
}
