package issuance

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hallmark/devices"
)

// The checks of a profile that are not about names. Each refusal says the key, what stands there and what is wanted.

var profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

func checkName(p *Profile) error {
	if !profileName.MatchString(p.config.Name) {
		return fmt.Errorf("name %q: want 1 to 32 of a-z, 0-9 and hyphen", p.config.Name)
	}
	return nil
}

// extendedUsages has the extended key usages that each purpose may have. The first is the default.
var extendedUsages = map[devices.Purpose][][]string{devices.PurposeTLS: {{"clientAuth"}, {}}, devices.PurposeCOSE: {{}}}

func checkAlgorithm(p *Profile) error {
	if p.Algorithm() != AlgorithmP256 {
		return fmt.Errorf("algorithm %q: want %s, the only one that boards and station have", p.config.Algorithm, AlgorithmP256)
	}
	return nil
}

// checkPurpose parses the purpose, and completes the extended key usage, whose default
// depends on the purpose.
func checkPurpose(p *Profile) (err error) {
	p.purpose, err = devices.ParsePurpose(cmp.Or(p.config.Purpose, devices.PurposeTLS.String()))
	if err != nil {
		return err
	}
	if p.config.ExtendedKeyUsage == nil {
		p.config.ExtendedKeyUsage = slices.Clone(extendedUsages[p.purpose][0])
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
	allowed := extendedUsages[p.purpose]
	if !slices.ContainsFunc(allowed, func(want []string) bool { return slices.Equal(want, eku) }) {
		return fmt.Errorf("extended_key_usage %v: want %s for a %s key", eku, strings.ReplaceAll(strings.Trim(fmt.Sprint(allowed), "[]"), "] [", " or "), p.purpose)
	}
	if p.purpose != devices.PurposeTLS && bits != 0x80 {
		return fmt.Errorf("key_usage %v: want digitalSignature alone for a %s key", ku, p.purpose)
	}
	p.fixed = boardExtensions(bits, len(eku) > 0)
	return nil
}

func checkMaxOctets(p *Profile) error {
	if n := p.config.MaxOctets; n < 0 || n > MaxCertificate {
		return fmt.Errorf("max_octets %d: want 1 to %d, the size of a board's slot (PROTOCOL.md section 4), or leave it out", n, MaxCertificate)
	}
	return nil
}
