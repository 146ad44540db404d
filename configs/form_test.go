package configs

import (
	"strings"
	"testing"
)

// The longest text of each form fits, and one more octet does not.
func TestFormsEndAtTheirLongestText(t *testing.T) {
	for name, c := range map[string]struct {
		fits func(string) bool
		most int
	}{
		"name":            {nameForm.fits, 64},
		"label of a host": {isHostname, 63},
		"fingerprint":     {fingerprintForm.fits, 128},
		"programmer":      {programmerForm.fits, 255},
		"operator":        {operatorIDForm.fits, 32},
		"account":         {accountForm.fits, 64},
	} {
		if longest := strings.Repeat("a", c.most); !c.fits(longest) || c.fits(longest+"a") {
			t.Errorf("%s: want %d octets to fit, and no more", name, c.most)
		}
	}
}

func TestHostNames(t *testing.T) {
	for text, want := range map[string]bool{
		"verifier.example": true, "a.b": true, "x-1": true,
		"": false, ".a": false, "a.": false, "a..b": false, "-a": false, "a-": false, "A": false, "a_b": false,
		strings.Repeat("a", 31) + "." + strings.Repeat("b", 32): true,
		strings.Repeat("a", 32) + "." + strings.Repeat("b", 32): false, // 65 octets
	} {
		if isHostname(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
