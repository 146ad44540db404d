package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// secretKeys are keys under which people write a PIN, in the form that plain returns.
var secretKeys = []string{"pin", "pinvalue", "userpin", "sopin", "password", "passphrase", "secret"}

// refuseSecrets looks for a PIN before any other code looks at the values.
func refuseSecrets(name string, file *ast.File) error {
	finder := &secretFinder{}
	for _, document := range file.Docs {
		ast.Walk(finder, document)
	}
	if finder.found == "" {
		return nil
	}
	return fmt.Errorf("%s:%d: %w: remove %s (and change that PIN), and name a source instead, such as `pin_source: file:/etc/hallmark/pin`",
		name, finder.line, ErrSecret, finder.found)
}

// A secretFinder stores the place of the first PIN, and not the PIN.
type secretFinder struct {
	found string
	line  int
}

// Visit implements ast.Visitor.
func (h *secretFinder) Visit(node ast.Node) ast.Visitor {
	if h.found != "" {
		return nil
	}
	switch node := node.(type) {
	case *ast.MappingValueNode:
		if key := node.Key.String(); slices.Contains(secretKeys, plain(key)) {
			h.found, h.line = "the key "+fmt.Sprintf("%q", key), node.GetToken().Position.Line
			return nil
		}
	case ast.ScalarNode:
		// RFC 7512 section 2.3: pin-value carries the PIN itself.
		if strings.Contains(strings.ToLower(node.String()), "pin-value") {
			h.found, h.line = "pin-value from the PKCS#11 URI", node.GetToken().Position.Line
			return nil
		}
	}
	return h
}

// plain returns one form for all spellings of a key, such as pin-value, Pin_Value and "pinValue".
func plain(key string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", `"`, "", "'", "", " ", "").Replace(key))
}
