package issuance

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/devices"
)

// ProfileConfig is a profile as its file has it. There is no template language: the
// only variable is ${board.id}, and it must be the whole common name.
type ProfileConfig struct {
	Name string `yaml:"name" json:"name"` // lower-case letters, digits and hyphens, at most 32
	// Purpose names the key that may be certified: tls or cose. Empty means tls;
	// the canonical form of a profile for TLS keys leaves it empty.
	Purpose string        `yaml:"purpose" json:"purpose,omitempty"`
	Subject SubjectConfig `yaml:"subject" json:"subject"` // written in the order O, CN, OU
	// Validity is a duration such as 87600h or 3650d, or "forever". Then notAfter is
	// 99991231235959Z, which means no well-defined expiration date (RFC 5280 section
	// 4.1.2.5).
	Validity string `yaml:"validity" json:"validity"`
	// Backdate is how long before now notBefore is, 0s to 366d. Boards without a clock
	// and boards whose clock is slow need it. Empty means 24h.
	Backdate string `yaml:"backdate" json:"backdate"`
	// KeyUsage is digitalSignature, or digitalSignature and keyAgreement. Empty means
	// digitalSignature.
	KeyUsage []string `yaml:"key_usage" json:"key_usage"`
	// ExtendedKeyUsage of a TLS key is clientAuth, also when the file leaves it out. A
	// COSE key has none. Without the extension any usage is allowed (RFC 5280 section
	// 4.2.1.12), so a TLS server must ask for clientAuth explicitly.
	ExtendedKeyUsage []string `yaml:"extended_key_usage" json:"extended_key_usage"`
}

// SubjectConfig is the subject of a board's certificate. O and OU are printable
// ASCII, at most 32 octets each: the board puts them into its CSR (PROTOCOL.md
// section 4).
type SubjectConfig struct {
	Organization       string `yaml:"organization" json:"organization"`               // may be empty
	CommonName         string `yaml:"common_name" json:"common_name"`                 // ${board.id}
	OrganizationalUnit string `yaml:"organizational_unit" json:"organizational_unit"` // may be empty
}

const (
	boardIDVariable = "${board.id}"
	forever         = "forever"
	day             = 24 * time.Hour
	maxBackdate     = 366 * day
	minValidity     = time.Hour
	maxValidity     = 100 * 365 * day
	maxSubjectPart  = 32
)

// endOfTime is 99991231235959Z (RFC 5280 section 4.1.2.5).
var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Profile is a ProfileConfig that was checked. It does not change.
type Profile struct {
	sum      [32]byte
	config   ProfileConfig
	purpose  devices.Purpose
	validity time.Duration // 0: for ever
	backdate time.Duration
	fixed    []extension // those that depend neither on the key nor on the issuer
}

// NewProfile checks a profile. Each refusal wraps ErrProfile and names the field.
func NewProfile(c ProfileConfig) (*Profile, error) {
	c = c.completed()
	p := &Profile{config: c}
	checks := []func(*Profile) error{checkName, checkPurpose, checkSubject, checkValidity, checkBackdate, checkUsages}
	for _, check := range checks {
		if err := check(p); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProfile, err)
		}
	}
	canonical, err := p.canonical()
	if err != nil {
		return nil, fmt.Errorf("%w: writing it in canonical form: %w", ErrProfile, err)
	}
	p.sum = sha256.Sum256(canonical)
	return p, nil
}

func (c ProfileConfig) completed() ProfileConfig {
	if c.Backdate == "" {
		c.Backdate = "24h"
	}
	if c.KeyUsage == nil {
		c.KeyUsage = []string{"digitalSignature"}
	}
	return c
}

// normal gives the profile in one spelling, so that two profiles with the same meaning
// are equal.
func (p *Profile) normal() ProfileConfig {
	c := p.config
	if c.Purpose = p.purpose.String(); p.purpose == devices.PurposeTLS {
		c.Purpose = ""
	}
	c.KeyUsage = slices.Sorted(slices.Values(c.KeyUsage))
	c.ExtendedKeyUsage = append([]string{}, slices.Sorted(slices.Values(c.ExtendedKeyUsage))...) // [] in JSON, not null
	c.Backdate = strconv.FormatInt(int64(p.backdate/time.Second), 10) + "s"
	if p.validity != 0 {
		c.Validity = strconv.FormatInt(int64(p.validity/time.Second), 10) + "s"
	}
	return c
}

// Name gives the profile's name.
func (p *Profile) Name() string { return p.config.Name }

// Purpose gives the purpose of the keys that this profile is for.
func (p *Profile) Purpose() devices.Purpose { return p.purpose }

// canonical gives the octets whose digest is SHA256: JSON without white space, with
// every field (but the purpose of a TLS key), sorted lists, and durations in seconds.
func (p *Profile) canonical() ([]byte, error) { return json.Marshal(p.normal()) }

// SHA256 is the digest of the canonical profile. Two profiles with the same
// meaning have the same digest.
func (p *Profile) SHA256() [32]byte { return p.sum }

// Organization gives the O that a board has to put into its CSR; it may be empty.
func (p *Profile) Organization() string { return p.config.Subject.Organization }

// OrganizationalUnit gives the OU that a board has to put into its CSR; it may be empty.
func (p *Profile) OrganizationalUnit() string { return p.config.Subject.OrganizationalUnit }

// Validity gives the first and the last second of a certificate that is made at now.
func (p *Profile) Validity(now time.Time) (notBefore, notAfter time.Time) {
	notBefore = now.UTC().Add(-p.backdate).Truncate(time.Second)
	if p.validity == 0 {
		return notBefore, endOfTime
	}
	return notBefore, now.UTC().Add(p.validity).Truncate(time.Second)
}

var profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

func checkName(p *Profile) error {
	if !profileName.MatchString(p.config.Name) {
		return fmt.Errorf("name %q: want 1 to 32 of a-z, 0-9 and hyphen", p.config.Name)
	}
	return nil
}

// extendedUsages has the extended key usage of each purpose.
var extendedUsages = map[devices.Purpose][]string{devices.PurposeTLS: {"clientAuth"}, devices.PurposeCOSE: {}}

// checkPurpose parses the purpose, and completes the extended key usage, whose default
// depends on the purpose.
func checkPurpose(p *Profile) (err error) {
	p.purpose, err = devices.ParsePurpose(cmp.Or(p.config.Purpose, devices.PurposeTLS.String()))
	if err != nil {
		return err
	}
	if p.config.ExtendedKeyUsage == nil {
		p.config.ExtendedKeyUsage = slices.Clone(extendedUsages[p.purpose])
	}
	return nil
}

func checkSubject(p *Profile) error {
	s := p.config.Subject
	if s.CommonName != boardIDVariable {
		return fmt.Errorf("subject.common_name %q: want %s, the only variable there is", s.CommonName, boardIDVariable)
	}
	for field, value := range map[string]string{"organization": s.Organization, "organizational_unit": s.OrganizationalUnit} {
		if err := subjectPart(value); err != nil {
			return fmt.Errorf("subject.%s %q: %w", field, value, err)
		}
	}
	return nil
}

// subjectPart checks the rule of PROTOCOL.md section 4 for "o" and "ou".
func subjectPart(value string) error {
	if len(value) > maxSubjectPart {
		return fmt.Errorf("%d octets, want at most %d", len(value), maxSubjectPart)
	}
	if strings.Contains(value, "${") {
		return fmt.Errorf("variables are allowed in common_name only")
	}
	for _, r := range value {
		if r < ' ' || r > '~' || strings.ContainsRune(`,+"\<>;=#`, r) {
			return fmt.Errorf(`want printable ASCII without , + " \ < > ; = #`)
		}
	}
	return nil
}

func checkValidity(p *Profile) (err error) {
	if p.config.Validity == forever {
		return nil
	}
	if p.validity, err = duration(p.config.Validity); err != nil {
		return fmt.Errorf("validity %q: %w, or %q", p.config.Validity, err, forever)
	}
	if p.validity < minValidity || p.validity > maxValidity {
		return fmt.Errorf("validity %q: want 1h to 36500d, or %q", p.config.Validity, forever)
	}
	return nil
}

func checkBackdate(p *Profile) (err error) {
	if p.backdate, err = duration(p.config.Backdate); err != nil {
		return fmt.Errorf("backdate %q: %w", p.config.Backdate, err)
	}
	if p.backdate < 0 || p.backdate > maxBackdate {
		return fmt.Errorf("backdate %q: want 0s to 366d", p.config.Backdate)
	}
	return nil
}

// duration reads a Go duration of whole seconds, or whole days such as 3650d.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("want whole days such as 3650d")
		}
		return time.Duration(n) * day, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d%time.Second != 0 {
		return 0, fmt.Errorf("want whole seconds as in 24h, 90m or 3650d")
	}
	return d, nil
}

// keyUsageBits has the bit of each KeyUsage that a board may have (RFC 5280 section
// 4.2.1.3).
var keyUsageBits = map[string]int{"digitalSignature": 0, "keyAgreement": 4}

func checkUsages(p *Profile) error {
	ku, eku := p.config.KeyUsage, p.config.ExtendedKeyUsage
	if len(ku) > len(keyUsageBits) || !slices.Contains(ku, "digitalSignature") {
		return fmt.Errorf("key_usage %v: want digitalSignature, and keyAgreement at most", ku)
	}
	bits := byte(0)
	for _, usage := range ku {
		bit, known := keyUsageBits[usage]
		if !known || bits&(0x80>>bit) != 0 {
			return fmt.Errorf("key_usage %q: unknown or twice, want digitalSignature or keyAgreement", usage)
		}
		bits |= 0x80 >> bit
	}
	if want := extendedUsages[p.purpose]; !slices.Equal(eku, want) {
		return fmt.Errorf("extended_key_usage %v: want %v for a %s key", eku, want, p.purpose)
	}
	if p.purpose != devices.PurposeTLS && bits != 0x80 {
		return fmt.Errorf("key_usage %v: want digitalSignature alone for a %s key", ku, p.purpose)
	}
	p.fixed = boardExtensions(bits, p.purpose == devices.PurposeTLS)
	return nil
}
