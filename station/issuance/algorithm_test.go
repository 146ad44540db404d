package issuance

import (
	"errors"
	"strings"
	"testing"
)

// A profile that names the only algorithm is the same profile as one that leaves it out, so nobody has to adopt it again.
func TestAProfileNamesItsAlgorithm(t *testing.T) {
	config := ProfileConfig{Name: "linaro", Subject: SubjectConfig{Organization: "Linaro", CommonName: "${board.id}", OrganizationalUnit: "Device"}, Validity: "forever"}
	without, err := NewProfile(config)
	if err != nil {
		t.Fatal(err)
	}
	config.Algorithm = "ecdsa-p256"
	named, err := NewProfile(config)
	if err != nil || named.SHA256() != without.SHA256() || named.Algorithm() != "ecdsa-p256" || without.Algorithm() != "ecdsa-p256" {
		t.Errorf("%v: %q and %q", err, named.Algorithm(), without.Algorithm())
	}
	for _, other := range []string{"ecdsa-p384", "ML-DSA-44", "P-256", "ecdsa-p256 "} {
		config.Algorithm = other
		if _, err := NewProfile(config); !errors.Is(err, ErrProfile) || !strings.Contains(err.Error(), "want ecdsa-p256") {
			t.Errorf("%q: %v", other, err)
		}
	}
}
