package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// secretKeys are keys under which people put a PIN.
var secretKeys = []string{"pin", "pinvalue", "userpin", "sopin", "password", "passphrase", "secret"}

// refuseSecrets looks for a PIN before anything else looks at the values.
func refuseSecrets(name string, file *ast.File) error {
	hunt := &hunter{}
	for _, document := range file.Docs {
		ast.Walk(hunt, document)
	}
	if hunt.found == "" {
		return nil
	}
	return fmt.Errorf("%s:%d: %w: remove %s (and change that PIN), and name a source instead, such as `pin_source: file:/etc/hallmark/pin`",
		name, hunt.line, ErrSecret, hunt.found)
}

// A hunter remembers the first PIN it meets, by its place and not by its value.
type hunter struct {
	found string
	line  int
}

// Visit implements ast.Visitor.
func (h *hunter) Visit(node ast.Node) ast.Visitor {
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

// plain brings pin-value, Pin_Value and "pinValue" to one form.
func plain(key string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", `"`, "", "'", "", " ", "").Replace(key))
}
