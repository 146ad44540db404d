package strict

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// secretKeys are keys under which people write a PIN, in the form that plain returns.
var secretKeys = []string{"pin", "pinvalue", "userpin", "sopin", "password", "passphrase", "secret"}

// refuseSecrets looks for PINs before any other code looks at the values. The error has the place of each PIN.
func refuseSecrets(name string, file *ast.File) error {
	finder := &secretFinder{name: name}
	for _, document := range file.Docs {
		ast.Walk(finder, document)
	}
	return errors.Join(finder.found...)
}

// A secretFinder stores the place of each PIN, and not the PIN.
type secretFinder struct {
	name  string
	found []error
}

func (h *secretFinder) add(node ast.Node, what string) {
	h.found = append(h.found, fmt.Errorf("%s:%d: %w: remove %s (and change that PIN), and name a source instead, such as `pin_source: file:/etc/hallmark/pin`",
		h.name, node.GetToken().Position.Line, ErrSecret, what))
}

// Visit implements ast.Visitor.
func (h *secretFinder) Visit(node ast.Node) ast.Visitor {
	switch node := node.(type) {
	case *ast.MappingValueNode:
		if key := node.Key.String(); slices.Contains(secretKeys, plain(key)) {
			h.add(node, "the key "+fmt.Sprintf("%q", key))
			return nil
		}
	case ast.ScalarNode:
		// RFC 7512 section 2.3: pin-value carries the PIN itself.
		if strings.Contains(strings.ToLower(node.String()), "pin-value") {
			h.add(node, "pin-value from the PKCS#11 URI")
			return nil
		}
	}
	return h
}

// plain returns one form for all spellings of a key, such as pin-value, Pin_Value and "pinValue".
func plain(key string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", `"`, "", "'", "", " ", "").Replace(key))
}
