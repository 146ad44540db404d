package issuance

import (
	"bytes"
	"encoding/json"
	"errors"
	"hallmark/devices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestProfiles(t *testing.T) {
	cases := []struct {
		name   string
		change func(*ProfileConfig)
		word   string // in the refusal; empty: accepted
	}{
		{"the default is accepted", func(*ProfileConfig) {}, ""},
		{"keyAgreement may be added", func(c *ProfileConfig) { c.KeyUsage = []string{"keyAgreement", "digitalSignature"} }, ""},
		{"ten years in days", func(c *ProfileConfig) { c.Validity = "3650d" }, ""},
		{"left out parts have defaults", func(c *ProfileConfig) { c.Backdate, c.KeyUsage, c.ExtendedKeyUsage = "", nil, nil }, ""},
		{"O and OU may be empty", func(c *ProfileConfig) { c.Subject.Organization, c.Subject.OrganizationalUnit = "", "" }, ""},
		{"a name in upper case", func(c *ProfileConfig) { c.Name = "Linaro" }, "name"},
		{"no name", func(c *ProfileConfig) { c.Name = "" }, "name"},
		{"a fixed common name", func(c *ProfileConfig) { c.Subject.CommonName = "board" }, "same name"},
		{"an unknown variable", func(c *ProfileConfig) { c.Subject.CommonName = "${board.serial}" }, "common_name"},
		{"a variable in O", func(c *ProfileConfig) { c.Subject.Organization = "${board.id}" }, "variables"},
		{"a comma in O", func(c *ProfileConfig) { c.Subject.Organization = "Example, Inc." }, ""},
		{"an umlaut in OU", func(c *ProfileConfig) { c.Subject.OrganizationalUnit = "Geräte" }, ""},
		{"64 characters of O", func(c *ProfileConfig) { c.Subject.Organization = strings.Repeat("ä", 64) }, ""},
		{"65 characters of O", func(c *ProfileConfig) { c.Subject.Organization = strings.Repeat("a", 65) }, "65 characters with the values of a board, want at most 64"},
		{"65 characters of OU", func(c *ProfileConfig) { c.Subject.OrganizationalUnit = strings.Repeat("a", 65) }, "at most 64"},
		{"a common name that is too long only with its board", func(c *ProfileConfig) { c.Subject.CommonName = strings.Repeat("a", 29) + boardIDVariable }, "65 characters"},
		{"a common name that fits with its board", func(c *ProfileConfig) { c.Subject.CommonName = strings.Repeat("a", 28) + boardIDVariable }, ""},
		{"two variables that are too long together", func(c *ProfileConfig) { c.Subject.CommonName = boardIDVariable + hardwareIDVariable }, "68 characters"},
		{"the hardware id as common name", func(c *ProfileConfig) { c.Subject.CommonName = hardwareIDVariable }, ""},
		{"a line break in O", func(c *ProfileConfig) { c.Subject.Organization = "a\nb" }, "printable"},
		{"a character that turns the direction of text", func(c *ProfileConfig) { c.Subject.Organization = "a\u202eb" }, "printable"},
		{"octets that are no UTF-8", func(c *ProfileConfig) { c.Subject.Organization = "a\xff" }, "printable"},
		{"a space at the end of O", func(c *ProfileConfig) { c.Subject.Organization = "a " }, "space"},
		{"a country", func(c *ProfileConfig) { c.Subject.Country = "DE" }, ""},
		{"a country in lower case", func(c *ProfileConfig) { c.Subject.Country = "de" }, "upper-case"},
		{"a country with its whole name", func(c *ProfileConfig) { c.Subject.Country = "Germany" }, "at most 2"},
		{"a variable as country", func(c *ProfileConfig) { c.Subject.Country = boardIDVariable }, "variables are allowed"},
		{"a serial number", func(c *ProfileConfig) { c.Subject.SerialNumber = "SN-" + boardIDVariable }, ""},
		{"an at sign in a serial number", func(c *ProfileConfig) { c.Subject.SerialNumber = boardIDVariable + "@home" }, "PrintableString"},
		{"an underscore in a serial number", func(c *ProfileConfig) { c.Subject.SerialNumber = "a_b" }, "PrintableString"},
		{"no common name, but a serial number", func(c *ProfileConfig) { c.Subject.CommonName, c.Subject.SerialNumber = "", boardIDVariable }, ""},
		{"no variable at all", func(c *ProfileConfig) { c.Subject.CommonName = "" }, "same name"},
		{"a hardware module", func(c *ProfileConfig) {
			c.HardwareModule = &HardwareModuleConfig{"1.3.6.1.4.1.32473.1", hardwareIDVariable}
		}, ""},
		{"a hardware module without a variable", func(c *ProfileConfig) { c.HardwareModule = &HardwareModuleConfig{"1.3.6.1.4.1.32473.1", "1"} }, "serial_number"},
		{"a hardware module with a name for an OID", func(c *ProfileConfig) { c.HardwareModule = &HardwareModuleConfig{"example", boardIDVariable} }, "hardware_module_name.type"},
		{"an OID with a leading zero", func(c *ProfileConfig) { c.HardwareModule = &HardwareModuleConfig{"1.3.06", boardIDVariable} }, "leading zeros"},
		{"an OID that begins with 3", func(c *ProfileConfig) { c.HardwareModule = &HardwareModuleConfig{"3.3.6", boardIDVariable} }, "no OID begins"},
		{"an OID whose second number is too large", func(c *ProfileConfig) { c.HardwareModule = &HardwareModuleConfig{"1.40.6", boardIDVariable} }, "no OID begins"},
		{"a budget above the slot", func(c *ProfileConfig) { c.MaxOctets = 1025 }, "max_octets"},
		{"a negative budget", func(c *ProfileConfig) { c.MaxOctets = -1 }, "max_octets"},
		{"rules that nobody knows", func(c *ProfileConfig) { c.ConformsTo = []string{"iso"} }, "conforms_to"},
		{"rules twice", func(c *ProfileConfig) { c.ConformsTo = []string{"aws-iot", "aws-iot"} }, "twice"},
		{"two clouds", func(c *ProfileConfig) { c.ConformsTo = []string{"azure-dps", "aws-iot"} }, ""},
		{"no validity", func(c *ProfileConfig) { c.Validity = "" }, "validity"},
		{"a negative validity", func(c *ProfileConfig) { c.Validity = "-1h" }, "validity"},
		{"a second of validity", func(c *ProfileConfig) { c.Validity = "1s" }, "validity"},
		{"more than a century", func(c *ProfileConfig) { c.Validity = "36501d" }, "validity"},
		{"fractions of a second", func(c *ProfileConfig) { c.Validity = "3600.5s" }, "whole seconds"},
		{"a backdate of two years", func(c *ProfileConfig) { c.Backdate = "730d" }, "backdate"},
		{"no digitalSignature", func(c *ProfileConfig) { c.KeyUsage = []string{"keyAgreement"} }, "key_usage"},
		{"keyCertSign for a board", func(c *ProfileConfig) { c.KeyUsage = []string{"digitalSignature", "keyCertSign"} }, "key_usage"},
		{"a usage twice", func(c *ProfileConfig) { c.KeyUsage = []string{"digitalSignature", "digitalSignature"} }, "key_usage"},
		{"the default for COSE keys is accepted", func(c *ProfileConfig) { *c = linaroCOSE() }, ""},
		{"a COSE key needs no list of extended usages", func(c *ProfileConfig) { c.Purpose, c.ExtendedKeyUsage = devices.PurposeCOSE.String(), nil }, ""},
		{"clientAuth for a COSE key", func(c *ProfileConfig) { c.Purpose = devices.PurposeCOSE.String() }, "extended_key_usage"},
		{"keyAgreement for a COSE key", func(c *ProfileConfig) {
			*c = linaroCOSE()
			c.KeyUsage = []string{"digitalSignature", "keyAgreement"}
		}, "alone"},
		{"no extended usage for a TLS key", func(c *ProfileConfig) { c.ExtendedKeyUsage = []string{} }, ""},
		{"a purpose that nobody knows", func(c *ProfileConfig) { c.Purpose = "email" }, "purpose"},
		{"serverAuth for a board", func(c *ProfileConfig) { c.ExtendedKeyUsage = []string{"serverAuth"} }, "extended_key_usage"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config := linaro()
			c.change(&config)
			_, err := NewProfile(config)
			switch {
			case c.word == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.word != "" && (!errors.Is(err, ErrProfile) || !strings.Contains(err.Error(), c.word)):
				t.Errorf("got %v, want a refusal that names %q", err, c.word)
			}
		})
	}
}

// linaro is the profile "linaro" of configs.
func linaro() ProfileConfig {
	return ProfileConfig{
		Name:             "linaro",
		Subject:          SubjectConfig{Organization: "Linaro", CommonName: boardIDVariable, OrganizationalUnit: "Device Client TLS"},
		Validity:         forever,
		Backdate:         "24h",
		KeyUsage:         []string{"digitalSignature"},
		ExtendedKeyUsage: []string{"clientAuth"},
	}
}

// linaroCOSE is the profile "linaro-cose" of configs.
func linaroCOSE() ProfileConfig {
	c := linaro()
	c.Name, c.Purpose, c.Subject.OrganizationalUnit, c.ExtendedKeyUsage = "linaro-cose", devices.PurposeCOSE.String(), "Device COSE Sign", []string{}
	return c
}

// canonicalOf gives the octets whose digest is the profile's.
func canonicalOf(t testing.TB, p *Profile) []byte {
	t.Helper()
	canonical, err := p.canonical()
	must(t, err)
	return canonical
}

const linaroYAML = `
name: linaro
subject:
  organization: Linaro
  common_name: ${board.id}
  organizational_unit: Device Client TLS
validity: forever
backdate: 24h
`

func TestAProfileIsReadStrictlyFromYAML(t *testing.T) {
	var c ProfileConfig
	must(t, yaml.UnmarshalWithOptions([]byte(linaroYAML), &c, yaml.Strict()))
	read, err := NewProfile(c)
	must(t, err)
	fixed, err := NewProfile(linaro())
	must(t, err)
	if read.SHA256() != fixed.SHA256() {
		t.Errorf("got %s\nwant %s", canonicalOf(t, read), canonicalOf(t, fixed))
	}
	if err := yaml.UnmarshalWithOptions([]byte(linaroYAML+"validty: 1h\n"), &c, yaml.Strict()); err == nil {
		t.Error("an unknown key is accepted")
	}
}

func TestOneMeaningHasOneDigest(t *testing.T) {
	one, two, other := linaro(), linaro(), linaro()
	two.Backdate = "1d"
	one.KeyUsage, two.KeyUsage = []string{"digitalSignature", "keyAgreement"}, []string{"keyAgreement", "digitalSignature"}
	digests := map[[32]byte]bool{}
	for _, c := range []ProfileConfig{one, two, other} {
		p, err := NewProfile(c)
		must(t, err)
		digests[p.SHA256()] = true
	}
	if len(digests) != 2 {
		t.Errorf("%d digests, want 2: spelling does not count, meaning does", len(digests))
	}
}

func TestValidity(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 5e8, time.FixedZone("CET", 3600))
	p, err := NewProfile(linaro())
	must(t, err)
	notBefore, notAfter := p.Validity(now)
	if want := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC); !notBefore.Equal(want) || !notAfter.Equal(endOfTime) {
		t.Errorf("got %v to %v", notBefore, notAfter)
	}
}

// FuzzProfile holds profiles to this law: the canonical form of an accepted profile is
// accepted too, and is its own canonical form.
func FuzzProfile(f *testing.F) {
	c, err := json.Marshal(linaro())
	must(f, err)
	f.Add(c)
	c, err = json.Marshal(linaroCOSE())
	must(f, err)
	f.Add(c)
	for _, name := range []string{"idevid", "matter-dac", "azure-dps"} {
		c, err = json.Marshal(shipped(f, name))
		must(f, err)
		f.Add(c)
	}
	f.Add([]byte(`{"name":"a","subject":{"common_name":"${board.id}"},"validity":"36500d","key_usage":["keyAgreement","digitalSignature"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var c ProfileConfig
		if json.Unmarshal(text, &c) != nil {
			return
		}
		p, err := NewProfile(c)
		if err != nil {
			if !errors.Is(err, ErrProfile) {
				t.Fatalf("refused without the sentinel: %v", err)
			}
			return
		}
		var again ProfileConfig
		must(t, json.Unmarshal(canonicalOf(t, p), &again))
		q, err := NewProfile(again)
		must(t, err)
		if !bytes.Equal(canonicalOf(t, p), canonicalOf(t, q)) {
			t.Fatalf("%s\nbecomes\n%s", canonicalOf(t, p), canonicalOf(t, q))
		}
	})
}
