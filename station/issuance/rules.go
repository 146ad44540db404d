package issuance

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A rule is what a standard or a service asks of a board's certificate, beyond RFC 5280. A profile names its rules in
// conforms_to, and is refused if the certificate would break one.
type rule struct {
	octets  int    // most octets of the certificate; 0: no limit of its own
	service string // name of the cloud; empty: a standard
	check   func(*Profile) error
}

var rules = map[string]rule{
	"802.1ar":    {0, "", conformsToIDevID},
	"matter-dac": {MaxMatterOctets, "", conformsToMatter},
	"aws-iot":    {0, "AWS IoT Core", conformsToAWS},
	"azure-dps":  {0, "Azure DPS", conformsToDPS},
	"golioth":    {0, "Golioth", conformsToGolioth},
}

func checkRules(p *Profile) error {
	for i, name := range p.config.ConformsTo {
		rule, known := rules[name]
		if !known || slices.Contains(p.config.ConformsTo[:i], name) {
			return fmt.Errorf("conforms_to %q: unknown or twice, want one of %s", name, strings.Join(slices.Sorted(maps.Keys(rules)), ", "))
		}
		if err := rule.check(p); err != nil {
			return fmt.Errorf("conforms_to %s: %w", name, err)
		}
	}
	if p.config.Matter != nil && !slices.Contains(p.config.ConformsTo, "matter-dac") {
		return errors.New("matter: want conforms_to: [matter-dac] beside it, so that the certificate is held to Matter's rules")
	}
	return nil
}

// conformsToIDevID checks the rules of IEEE 802.1AR-2018 for an IDevID. Each certificate of a station has an authority key
// identifier and a serial number that is unique for the issuer.
func conformsToIDevID(p *Profile) error {
	switch {
	case p.config.Subject.SerialNumber == "":
		return errors.New("subject.serial_number is empty: whoever reads an IDevID finds the device there (RFC 8995 section 2.3.1)")
	case p.config.Validity != forever:
		return fmt.Errorf("validity %s: want %s, because an IDevID lasts as long as its device", p.config.Validity, forever)
	}
	return nil
}

// conformsToMatter checks the rules of the Matter Core Specification 6.2.2.3 for a device attestation certificate.
func conformsToMatter(p *Profile) error {
	c := p.config
	switch {
	case c.Matter == nil:
		return errors.New("matter is missing: want vendor_id and product_id")
	case !slices.Equal(c.KeyUsage, []string{"digitalSignature"}):
		return fmt.Errorf("key_usage %v: want digitalSignature and nothing else", c.KeyUsage)
	case len(c.ExtendedKeyUsage) > 0:
		return fmt.Errorf("extended_key_usage %v: want [], because attestation is no TLS", c.ExtendedKeyUsage)
	case p.inAttributes() && (strings.Contains(c.Subject.CommonName, "Mvid:") || strings.Contains(c.Subject.CommonName, "Mpid:")):
		return fmt.Errorf("subject.common_name %q: want no Mvid: and Mpid: beside the attributes", c.Subject.CommonName)
	}
	return nil
}

func clientAuth(p *Profile) error {
	if !slices.Contains(p.config.ExtendedKeyUsage, "clientAuth") {
		return errors.New("extended_key_usage is empty: want [clientAuth], because the board is a TLS client of the service")
	}
	return nil
}

// named checks the common name that a board would have.
func (p *Profile) named(pattern *regexp.Regexp, want string) error {
	if name := widest.value(p.commonName()); !pattern.MatchString(name) {
		return fmt.Errorf("subject.common_name: a board would be called %q; want %s", name, want)
	}
	return nil
}

// thingName has the characters of a thing name (AWS IoT API reference, CreateThing), which templates take from the common
// name. X.520 allows 64 of the 128 characters.
var thingName = regexp.MustCompile(`^[a-zA-Z0-9:_-]+$`)

func conformsToAWS(p *Profile) error {
	return errors.Join(clientAuth(p), p.named(thingName, "letters, digits, : _ and - only, because it becomes the thing name"))
}

// registrationID is narrower than what Azure allows today (letters of both cases, not case-sensitive): an older portal
// demanded lower case, and two ids that differ only in case are one.
var registrationID = regexp.MustCompile(`^[a-z0-9]([a-z0-9._:-]*[a-z0-9-])?$`)

func conformsToDPS(p *Profile) error {
	return errors.Join(clientAuth(p), p.named(registrationID,
		"lower-case letters, digits, - . _ and : only, with a letter or a digit first and a letter, a digit or - last, because it is the registration id"))
}

func conformsToGolioth(p *Profile) error {
	if p.config.Subject.Organization == "" {
		return errors.New("subject.organization is empty: want the id of the Golioth project")
	}
	if p.config.Subject.CommonName == "" {
		return errors.New("subject.common_name is empty: want the certificate id, unique in the project")
	}
	return clientAuth(p)
}
