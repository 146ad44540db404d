package issuance

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A station refuses at its start what it would refuse at each board.
func TestAnIssuerRefusesAProfileThatDoesNotFitIt(t *testing.T) {
	for name, c := range map[string]struct {
		profile ProfileConfig
		want    error
	}{
		"another vendor": {shipped(t, "matter-dac"), ErrIssuerUnfit},
		"too large":      {func() ProfileConfig { c := linaro(); c.MaxOctets = 500; return c }(), ErrDoesNotFit},
	} {
		l := newTestIssuer(t, nil)
		config := l.config
		config.Profile = newProfile(t, c.profile)
		if _, err := New(config); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestASampleSaysWhatIsWrong(t *testing.T) {
	unfit := matterCA(t, pkix.Name{CommonName: "Other CA"}, 0)
	for _, c := range []struct {
		name, profile string
		change        func(*ProfileConfig)
		issuer        *x509.Certificate
		want          string // level and text of a finding; empty: none
	}{
		{"the default has nothing to say", "linaro", func(*ProfileConfig) {}, nil, ""},
		{"too large for the budget of the profile", "linaro", func(c *ProfileConfig) { c.MaxOctets = 400 }, nil, "error: a certificate can have"},
		{"a Matter certificate that is too large", "matter-dac", func(c *ProfileConfig) {
			c.Subject.Organization, c.Subject.OrganizationalUnit = strings.Repeat("o", 64), strings.Repeat("u", 64)
		}, nil, "error: a certificate can have"},
		{"an issuer that is no PAI", "matter-dac", func(*ProfileConfig) {}, unfit, "error: profile matter-dac: the issuing CA does not fit the profile"},
		{"a vendor for tests", "matter-dac", func(*ProfileConfig) {}, nil, "warning: vendor FFF1 is one of the test vendors"},
		{"an OID for documentation", "idevid", func(*ProfileConfig) {}, nil, "warning: hardware_module_name.type"},
		{"a certificate without an end for a cloud", "aws-iot", func(*ProfileConfig) {}, nil, "warning: the certificate has no end"},
		{"a name that fits into no CSR", "linaro", func(c *ProfileConfig) { c.Subject.Organization = "a, b" }, nil, "note: O or OU does not fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := shipped(t, c.profile)
			c.change(&config)
			sample, err := newProfile(t, config).Sample(c.issuer, someTime)
			must(t, err)
			var all []string
			for _, f := range sample.Findings {
				all = append(all, string(f.Level)+": "+f.Text)
			}
			found := slices.ContainsFunc(all, func(text string) bool { return strings.HasPrefix(text, c.want) })
			if c.want == "" && len(all) > 0 || !found && c.want != "" {
				t.Errorf("got %q, want %q", all, c.want)
			}
			if sample.HasErrors() != strings.HasPrefix(c.want, "error") {
				t.Errorf("errors: %t with %q", sample.HasErrors(), all)
			}
		})
	}
}

// TestOurRulesFindWhatZlintFinds makes certificates of all kinds that a profile can ask for: zlint has nothing to say where
// the rules of this package have nothing to say.
func TestOurRulesFindWhatZlintFinds(t *testing.T) {
	made := 0
	for name, c := range variants() {
		p, err := NewProfile(c)
		must(t, err)
		sample, err := p.Sample(nil, someTime)
		must(t, err)
		for lint, status := range findings(t, name, sample.Certificate.Raw) {
			t.Errorf("%s: zlint says %s, our rules %v", lint, status, sample.Findings)
		}
		if sample.HasErrors() {
			t.Errorf("%s: %v", name, sample.Findings)
		}
		made++
	}
	if made < 64 {
		t.Errorf("only %d profiles", made)
	}
}

// variants has each combination of the keys of a profile.
func variants() map[string]ProfileConfig {
	changes := []func(*ProfileConfig){
		func(c *ProfileConfig) { c.Subject.Country, c.Subject.SerialNumber = "DE", "SN "+hardwareIDVariable },
		func(c *ProfileConfig) { c.Subject.Organization = strings.Repeat("ö", 64) },
		func(c *ProfileConfig) {
			c.HardwareModule = &HardwareModuleConfig{"1.3.6.1.4.1.99999.1", boardIDVariable}
		},
		func(c *ProfileConfig) { c.ExtendedKeyUsage = []string{} },
		func(c *ProfileConfig) { c.KeyUsage = []string{"digitalSignature", "keyAgreement"} },
		func(c *ProfileConfig) { c.Validity = "8760h" }, // ends before 2050: UTCTime
		func(c *ProfileConfig) { c.Subject.CommonName = hardwareIDVariable },
	}
	all := map[string]ProfileConfig{}
	for set := range 1 << len(changes) {
		c := linaro()
		for i, change := range changes {
			if set>>i&1 == 1 {
				change(&c)
			}
		}
		all[fmt.Sprintf("variant %07b", set)] = c
	}
	maps.DeleteFunc(all, func(_ string, c ProfileConfig) bool {
		return c.Subject.CommonName == "" && c.Subject.SerialNumber == ""
	})
	return all
}
