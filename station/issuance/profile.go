package issuance

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"hallmark/devices"
)

// ProfileConfig is a profile as its file has it. There is no template language: the only variables are ${board.id}
// and ${board.hardware_id}, in three values of the subject and the subject alternative name. docs/profiles.md
// explains each key.
type ProfileConfig struct {
	Name string `yaml:"name" json:"name"` // lower-case letters, digits and hyphens, at most 32
	// Purpose names the key that may be certified: tls or cose. Empty means tls;
	// the canonical form of a profile for TLS keys leaves it empty.
	Purpose string `yaml:"purpose" json:"purpose,omitempty"`
	// Algorithm is the kind of the keys that are certified, and of their signatures. It is AlgorithmP256, also when the file leaves it
	// out, and the canonical form leaves that one out.
	Algorithm string `yaml:"algorithm" json:"algorithm,omitempty"`
	// ConformsTo names the standards and services whose rules the certificate must satisfy, see rules.go.
	ConformsTo []string      `yaml:"conforms_to" json:"conforms_to,omitempty"`
	Subject    SubjectConfig `yaml:"subject" json:"subject"`
	// HardwareModule is the hardwareModuleName in the subject alternative name (RFC 4108 section 5); nil: none.
	HardwareModule *HardwareModuleConfig `yaml:"hardware_module_name" json:"hardware_module_name,omitempty"`
	// Matter has vendor and product of a device attestation certificate; nil: none.
	Matter *MatterConfig `yaml:"matter" json:"matter,omitempty"`
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
	// ExtendedKeyUsage of a TLS key is clientAuth, also when the file leaves it out, or an empty list. A
	// COSE key has none. Without the extension any usage is allowed (RFC 5280 section
	// 4.2.1.12), so a TLS server must ask for clientAuth explicitly.
	ExtendedKeyUsage []string `yaml:"extended_key_usage" json:"extended_key_usage"`
	// MaxOctets is the budget of the certificate in DER, at most MaxCertificate. 0 means MaxCertificate, or the
	// limit of what the profile conforms to.
	MaxOctets int `yaml:"max_octets" json:"max_octets,omitempty"`
}

// AlgorithmP256 is the only algorithm that boards and station have. The octets of a budget and of PROTOCOL.md are for it.
const AlgorithmP256 = devices.AlgorithmP256

const (
	boardIDVariable    = "${board.id}"
	hardwareIDVariable = "${board.hardware_id}"
	forever            = "forever"
	day                = 24 * time.Hour
	maxBackdate        = 366 * day
	minValidity        = time.Hour
	maxValidity        = 100 * 365 * day
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
	fixed    []extension // those that depend neither on the board nor on the issuer
}

// NewProfile checks a profile. Each refusal wraps ErrProfile and names the field.
func NewProfile(c ProfileConfig) (*Profile, error) {
	c = c.completed()
	p := &Profile{config: c}
	checks := []func(*Profile) error{checkName, checkPurpose, checkAlgorithm, checkMatter, checkSubject, checkHardwareModule, checkValidity, checkBackdate, checkUsages, checkMaxOctets, checkRules}
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
	c.HardwareModule, c.Matter = cloned(c.HardwareModule), cloned(c.Matter)
	return c
}

// cloned copies a part that the caller may change afterwards.
func cloned[T any](part *T) *T {
	if part == nil {
		return nil
	}
	own := *part
	return &own
}

// normal gives the profile in one spelling, so that two profiles with the same meaning
// are equal.
func (p *Profile) normal() ProfileConfig {
	c := p.config
	if c.Purpose = p.purpose.String(); p.purpose == devices.PurposeTLS {
		c.Purpose = ""
	}
	if c.Algorithm == AlgorithmP256 {
		c.Algorithm = ""
	}
	c.ConformsTo = slices.Sorted(slices.Values(c.ConformsTo))
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

// Algorithm gives the kind of the keys that this profile is for.
func (p *Profile) Algorithm() string { return cmp.Or(p.config.Algorithm, AlgorithmP256) }

// Purpose gives the purpose of the keys that this profile is for.
func (p *Profile) Purpose() devices.Purpose { return p.purpose }

// canonical gives the octets whose digest is SHA256: JSON without white space, sorted lists, and durations in seconds.
// It has every key of the first profiles but the purpose of a TLS key. A key that was added later is left
// out while it has no value, so that the digest of an older profile stays the same.
func (p *Profile) canonical() ([]byte, error) { return json.Marshal(p.normal()) }

// SHA256 is the digest of the canonical profile. Two profiles with the same
// meaning have the same digest.
func (p *Profile) SHA256() [32]byte { return p.sum }

// Validity gives the first and the last second of a certificate that is made at now.
func (p *Profile) Validity(now time.Time) (notBefore, notAfter time.Time) {
	notBefore = now.UTC().Add(-p.backdate).Truncate(time.Second)
	if p.validity == 0 {
		return notBefore, endOfTime
	}
	return notBefore, now.UTC().Add(p.validity).Truncate(time.Second)
}

// MaxOctets gives the budget of a certificate in DER.
func (p *Profile) MaxOctets() int {
	limit := MaxCertificate
	if p.config.MaxOctets > 0 {
		limit = p.config.MaxOctets
	}
	for _, name := range p.config.ConformsTo {
		if r := rules[name]; r.octets > 0 {
			limit = min(limit, r.octets)
		}
	}
	return limit
}
