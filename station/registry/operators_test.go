package registry

import (
	"strings"
	"testing"
)

// The entry of a start names the operators that are new, gone, or have another role.
func TestAStartNamesTheOperatorsThatChanged(t *testing.T) {
	before := map[string]string{"version": "1", OperatorsFact: "anna=lead ben=operator carl=operator"}
	now := map[string]string{"version": "1", OperatorsFact: "anna=engineer ben=operator dora=operator"}
	details := startupDetails(before, now)
	if details["changed"] != OperatorsFact || details[operatorsChanged] != "-anna=lead -carl=operator +anna=engineer +dora=operator" {
		t.Errorf("%q", details)
	}
	if again := startupDetails(details, now); again["changed"] != "" || again[operatorsChanged] != "" {
		t.Errorf("the same operators: %q", again)
	}
	if first := startupDetails(map[string]string{"version": "1"}, now); first[operatorsChanged] != "+anna=engineer +ben=operator +dora=operator" {
		t.Errorf("a station that had no badges: %q", first)
	}
	if gone := startupDetails(details, map[string]string{"version": "1"}); gone[operatorsChanged] != "-anna=engineer -ben=operator -dora=operator" {
		t.Errorf("a station whose badges.yaml was removed: %q", gone)
	}
	many := strings.TrimSpace(strings.Repeat("anna=lead ", MaxOperatorsFact/10))
	if details := startupDetails(nil, map[string]string{OperatorsFact: many}); details[OperatorsFact] != many {
		t.Errorf("a long list is cut to %d octets", len(details[OperatorsFact]))
	}
}
