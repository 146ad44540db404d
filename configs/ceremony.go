package configs

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"hallmark/configs/strict"
	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// Ceremony is ceremony.yaml, the only input of `station ceremony`. ceremony.example.yaml explains every key.
type Ceremony struct {
	Ceremony string          `yaml:"ceremony"` // one of CeremonyKinds
	HSM      HSM             `yaml:"hsm"`      // the token that holds the key, as in station.yaml
	Key      CeremonyKey     `yaml:"key"`      // the key that is made or, in issuing, cross and import, the key that is there
	Subject  CeremonySubject `yaml:"subject"`  // of root, csr and ocsp
	// NotAfter is the last day of root, issuing, cross and ocsp, such as 2046-12-31, or "never" (RFC 5280 section 4.1.2.5).
	NotAfter string `yaml:"not_after"`
	// PathLength of root and cross is how many CAs may follow below the certificate (RFC 5280 section 4.2.1.9); nil: it is not given.
	PathLength *int `yaml:"path_length"`
	// Files, relative to the directory of ceremony.yaml.
	Issuer      string `yaml:"issuer"`      // of issuing, cross and ocsp: certificate of the CA that signs
	Request     string `yaml:"request"`     // of issuing: the CSR
	Certificate string `yaml:"certificate"` // of cross: the other CA
	Chain       string `yaml:"chain"`       // of import: the issuing CA, then its root
	// IssuerLabel names the key of the issuer, of ocsp. In issuing and cross the issuer has the key of the ceremony.
	IssuerLabel string   `yaml:"issuer_label"`
	Out         string   `yaml:"out"`       // a new directory for everything that the ceremony writes
	Witnesses   []string `yaml:"witnesses"` // two persons who are there
}

// CeremonyKey names a key pair on the token.
type CeremonyKey struct {
	Label string `yaml:"label"`
	Curve string `yaml:"curve"`
}

// CeremonySubject is the name in a certificate or a CSR.
type CeremonySubject struct {
	CommonName   string `yaml:"common_name"`
	Organization string `yaml:"organization"`
}

// The kinds of ceremonies.
const (
	CeremonyRoot     = "root"
	CeremonyIssuing  = "issuing"
	CeremonyCross    = "cross"
	CeremonyCSR      = "csr"
	CeremonyImport   = "import"
	CeremonyAuditKey = "audit-key"
	CeremonyOCSP     = "ocsp"
)

// ceremonyKeys lists for each kind the keys that it needs, beside those that every kind needs.
var ceremonyKeys = map[string][]string{
	CeremonyRoot:     {"subject.common_name", "not_after", "path_length"},
	CeremonyIssuing:  {"issuer", "request", "not_after"},
	CeremonyCross:    {"issuer", "certificate", "not_after", "path_length"},
	CeremonyCSR:      {"subject.common_name"},
	CeremonyImport:   {"chain"},
	CeremonyAuditKey: {},
	CeremonyOCSP:     {"issuer", "issuer_label", "subject.common_name", "not_after"},
}

// CeremonyKinds returns the kinds of ceremonies, in alphabetical order.
func CeremonyKinds() []string {
	var kinds []string
	for kind := range ceremonyKeys {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// ParseCeremony reads the file of a ceremony of this kind. name is the file name in errors. The error has all mistakes, each with its line.
func ParseCeremony(name string, text []byte, kind string, now time.Time) (*Ceremony, error) {
	defaults := Default()
	c := &Ceremony{HSM: defaults.HSM, Key: CeremonyKey{Curve: "P-256"}}
	found, err := strict.Read(name, text, c)
	if err != nil {
		return nil, err
	}
	c.HSM.withoutDefaultLabel(found)
	if c.Ceremony != kind {
		found.Invalid(&ValueError{"ceremony", strconv.Quote(c.Ceremony), kind, "the file must be for the ceremony that the command names"})
	} else if err := c.validate(now); err != nil {
		found.Invalid(err)
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Ceremony) validate(now time.Time) error {
	err := errors.Join(c.HSM.validate(), name("key.label", c.Key.Label), c.witnesses(), c.given(), c.pathLength(),
		subject("subject.common_name", c.Subject.CommonName, 64), subject("subject.organization", c.Subject.Organization, 64))
	if c.Key.Curve != "P-256" {
		err = errors.Join(err, &ValueError{"key.curve", strconv.Quote(c.Key.Curve), "P-256", "boards verify no other curve"})
	}
	if c.HSM.CreateToken {
		err = errors.Join(err, &ValueError{"hsm.create_token", "true", "false", "a ceremony uses a token that exists"})
	}
	if c.Out == "" || c.Out != reason.Printable(c.Out) {
		err = errors.Join(err, &ValueError{"out", fmt.Sprintf("%+q", c.Out), "the path of a new directory, of visible characters", "name where the results go"})
	}
	if c.IssuerLabel != "" {
		err = errors.Join(err, name("issuer_label", c.IssuerLabel))
		if c.IssuerLabel == c.Key.Label {
			err = errors.Join(err, &ValueError{"key.label", "the label of the issuer's key", "a label of its own", "the ceremony makes a new key, and issuer_label names the one that certifies it"})
		}
	}
	if c.NotAfter == "" {
		return err
	}
	if end, bad := c.End(); bad != nil {
		err = errors.Join(err, &ValueError{"not_after", strconv.Quote(c.NotAfter), "a day such as 2046-12-31, or never", "write year, month and day"})
	} else if !end.IsZero() && end.Before(now.UTC().Truncate(24*time.Hour).Add(24*time.Hour)) {
		err = errors.Join(err, &ValueError{"not_after", c.NotAfter, "a day in the future", "correct the day, or the clock of this machine, where today is " + now.UTC().Format(time.DateOnly)})
	} else if last := now.UTC().AddDate(0, 0, issuance.MaxResponderDays); c.Ceremony == CeremonyOCSP && (end.IsZero() || end.After(last)) {
		err = errors.Join(err, &ValueError{"not_after", c.NotAfter, "a day until " + last.AddDate(0, 0, -1).Format(time.DateOnly),
			fmt.Sprintf("nobody can revoke this certificate, so it is valid for at most %d days", issuance.MaxResponderDays)})
	}
	return err
}

// End returns the last second of NotAfter. The zero time means that the certificate has no end.
func (c *Ceremony) End() (time.Time, error) {
	if c.NotAfter == "never" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, c.NotAfter)
	return day.Add(24*time.Hour - time.Second), err
}

// given checks that the file has each key that the kind needs, and none that the kind would ignore.
func (c *Ceremony) given() (err error) {
	needed := ceremonyKeys[c.Ceremony]
	for _, key := range []struct{ name, value string }{
		{"subject.common_name", c.Subject.CommonName}, {"not_after", c.NotAfter}, {"issuer", c.Issuer}, {"issuer_label", c.IssuerLabel}, {"request", c.Request},
		{"certificate", c.Certificate}, {"chain", c.Chain},
	} {
		switch needs := slices.Contains(needed, key.name); {
		case needs && key.value == "":
			err = errors.Join(err, &ValueError{key.name, "nothing", "a value", "the ceremony " + c.Ceremony + " needs it"})
		case !needs && key.value != "":
			err = errors.Join(err, &ValueError{key.name, "a value", "nothing", "the ceremony " + c.Ceremony + " has no use for it"})
		}
	}
	return err
}

// pathLength refuses a path length with which no board's certificate would verify. What issuer and other CA allow is known only
// when their certificates are read.
func (c *Ceremony) pathLength() error {
	needs := slices.Contains(ceremonyKeys[c.Ceremony], "path_length")
	low := map[string]int{CeremonyRoot: 1}[c.Ceremony]
	switch {
	case !needs && c.PathLength != nil:
		return &ValueError{"path_length", strconv.Itoa(*c.PathLength), "nothing", "the ceremony " + c.Ceremony + " decides it"}
	case needs && c.PathLength == nil:
		return &ValueError{"path_length", "nothing", fmt.Sprintf("%d to %d", low, maxPathLength), "the ceremony " + c.Ceremony + " needs it: say how many CAs may follow below"}
	case needs && (*c.PathLength < low || *c.PathLength > maxPathLength):
		return &ValueError{"path_length", strconv.Itoa(*c.PathLength), fmt.Sprintf("%d to %d", low, maxPathLength), "a root with 0 forbids the issuing CA below it"}
	}
	return nil
}

// maxPathLength is the largest path length of a ceremony. Chains are much shorter.
const maxPathLength = 9

func (c *Ceremony) witnesses() error {
	if len(c.Witnesses) != 2 {
		return &ValueError{"witnesses", reason.Count(len(c.Witnesses), "name", "names"), "the names of two persons", "a ceremony has two witnesses"}
	}
	for _, witness := range c.Witnesses { // they are on the screen and on the paper that is signed by hand
		if err := reason.CheckText(witness); err != nil {
			return &ValueError{"witnesses", fmt.Sprintf("%+.80q", witness), "two different names of visible characters, without blanks at their ends", "a ceremony has two witnesses"}
		}
	}
	for _, witness := range c.Witnesses {
		if mixed(witness) {
			return &ValueError{"witnesses", fmt.Sprintf("%+.80q", witness), "letters of one script, each letter one character", "type the name again; letters of two scripts look alike, and so do two forms of one letter"}
		}
	}
	if strings.EqualFold(strings.Join(strings.Fields(c.Witnesses[0]), " "), strings.Join(strings.Fields(c.Witnesses[1]), " ")) {
		return &ValueError{"witnesses", "the same name twice", "two different names", "a ceremony has two witnesses"}
	}
	return nil
}

// mixed is true for a name that can look like another one: it has letters of two scripts that look alike, or a letter of such a script
// with a mark of its own character.
func mixed(name string) bool {
	scripts := 0
	for _, script := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek} {
		if strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(script, r) }) {
			scripts++
		}
	}
	return scripts > 1 || scripts == 1 && strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Mn, r) })
}

// Station returns a configuration with the HSM of the ceremony, for whoever opens a station's HSM.
func (c *Ceremony) Station() *Config {
	config := Default()
	config.HSM = c.HSM
	return &config
}
