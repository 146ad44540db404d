package issuance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"hallmark/devices"
)

// A Sample is the certificate that a profile would make for an example board. A key that is thrown away has signed it,
// so nobody accepts the certificate.
type Sample struct {
	Certificate *x509.Certificate
	Issuer      *x509.Certificate
	Octets      int // the most octets of DER that a certificate of this profile and issuer can have
	Budget      int // the most octets that it may have
	Findings    []Finding
}

// A Finding is what a sample shows about its profile.
type Finding struct {
	Level  Level  `json:"level"`
	Text   string `json:"text"`
	Source string `json:"source,omitempty"` // clause of a standard, or document of a service
}

// A Level says what a finding means for a station.
type Level string

// The levels. Only an error refuses a profile.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
	LevelNote    Level = "note"
)

// HasErrors reports whether the profile must not be used.
func (s *Sample) HasErrors() bool {
	for _, f := range s.Findings {
		if f.Level == LevelError {
			return true
		}
	}
	return false
}

// exampleBoard is the board of a sample: an example BoardID, and a hardware id of the greatest length.
var exampleBoard = board{
	devices.BoardID{0x3f, 0x6c, 0x9a, 0x52, 0x8c, 0x1e, 0x4b, 0x7d, 0x9a, 0x30, 0x1f, 0x5e, 0x2d, 0x7c, 0x8b, 0x90},
	devices.HardwareID("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
}

// Sample makes a sample for an issuing CA. Without an issuer it takes an example CA, which fits the profile.
func (p *Profile) Sample(issuer *x509.Certificate, now time.Time) (*Sample, error) {
	s := &Sample{Issuer: issuer, Budget: p.MaxOctets()}
	var err error
	if s.Issuer == nil {
		if s.Issuer, err = p.exampleIssuer(now); err != nil {
			return nil, fmt.Errorf("making an example CA: %w", err)
		}
	}
	if s.Octets, err = p.largest(s.Issuer, now); err != nil {
		return nil, fmt.Errorf("computing the size of a certificate: %w", err)
	}
	if s.Certificate, err = p.sampleCertificate(s.Issuer, now); err != nil {
		return nil, fmt.Errorf("making a sample of profile %s: %w", p.Name(), err)
	}
	s.Findings = p.findings(s, now)
	return s, nil
}

func (p *Profile) exampleIssuer(now time.Time) (*x509.Certificate, error) {
	c := CAConfig{CommonName: "Example CA", NotBefore: now.Add(-day)}
	if m := p.config.Matter; m != nil {
		c.CommonName = "Example PAI Mvid:" + m.VendorID
	}
	return c.Preview()
}

// largest gives the most octets that a certificate of this profile and issuer can have.
func (p *Profile) largest(issuer *x509.Certificate, now time.Time) (int, error) {
	tbs, err := p.sampleTBS(issuer, now, widest)
	return sealedSize(tbs), err
}

func (p *Profile) sampleTBS(issuer *x509.Certificate, now time.Time, b board) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := NewSerial(rand.Reader)
	if err != nil {
		return nil, err
	}
	notBefore, notAfter := p.Validity(now)
	return p.tbs(issuer, serial, validity{notBefore, notAfter}, &key.PublicKey, b)
}

func (p *Profile) sampleCertificate(issuer *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	tbs, err := p.sampleTBS(issuer, now, exampleBoard)
	if err != nil {
		return nil, err
	}
	throwAway, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, throwAway, digest[:])
	if err != nil {
		return nil, err
	}
	der, err := seal(tbs, signature)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// findings lints a sample, and says what the profile's owner should look at.
func (p *Profile) findings(s *Sample, now time.Time) (all []Finding) {
	add := func(level Level, source, text string, values ...any) {
		all = append(all, Finding{level, fmt.Sprintf(text, values...), source})
	}
	issuer := *s.Issuer
	issuer.NotAfter = endOfTime // Outlives says more about it
	for _, broken := range append(lintFindings(s.Certificate, &issuer), lintBoard(s.Certificate, s.Issuer)...) {
		add(LevelError, "RFC 5280", "%v", broken)
	}
	if s.Octets > s.Budget {
		add(LevelError, p.budgetSource(), "a certificate can have %d octets, and the budget is %d: %s", s.Octets, s.Budget, whatIsShorter)
	}
	if err := p.Outlives(s.Issuer.NotAfter, now); err != nil {
		add(LevelError, "RFC 5280", "%v", err)
	}
	if err := p.FitsIssuer(s.Issuer); err != nil {
		add(LevelError, "Matter Core Specification 6.2.2.4", "%v", err)
	}
	if m := p.config.Matter; m != nil && strings.HasPrefix(m.VendorID, "FFF") && m.VendorID <= "FFF4" {
		add(LevelWarning, "Matter Core Specification 2.5.2", "vendor %s is one of the test vendors: a product needs the vendor id that the CSA gave its maker", m.VendorID)
	}
	if h := p.config.HardwareModule; h != nil && strings.HasPrefix(h.Type+".", documentationArc) {
		add(LevelWarning, "RFC 5612", "hardware_module_name.type %s is below the number for documentation: want an OID below your own enterprise number", h.Type)
	}
	if service := p.service(); service != "" && p.validity == 0 {
		add(LevelWarning, "", "the certificate has no end (99991231235959Z), and nobody has tried whether %s takes one: try one board before a lot", service)
	}
	if c := p.config.Subject; c.Organization != p.Organization() || c.OrganizationalUnit != p.OrganizationalUnit() {
		add(LevelNote, "PROTOCOL.md section 4", "O or OU does not fit into a CSR (32 octets of ASCII), so boards leave it out there; the certificate has it")
	}
	if p.needsHardwareID() {
		add(LevelNote, "PROTOCOL.md section 4", "a board that reports no hardware id is rejected as no-hardware-id")
	}
	return all
}

const (
	documentationArc = "1.3.6.1.4.1.32473." // RFC 5612
	whatIsShorter    = "choose shorter names, or leave hardware_module_name out"
)

// budgetSource says who sets the budget.
func (p *Profile) budgetSource() string {
	for _, name := range p.config.ConformsTo {
		if rules[name].octets == p.MaxOctets() {
			return name
		}
	}
	if p.config.MaxOctets == p.MaxOctets() {
		return "max_octets of the profile"
	}
	return "PROTOCOL.md section 4, the slot of a board"
}

// service gives the cloud that the profile is for, or nothing.
func (p *Profile) service() string {
	for _, name := range p.config.ConformsTo {
		if s := rules[name].service; s != "" {
			return s
		}
	}
	return ""
}

// lintBoard checks what lintTwin leaves open for certificates of a station, and what each board's certificate has.
func lintBoard(board, issuer *x509.Certificate) []error {
	critical := map[string]bool{}
	for _, e := range board.Extensions {
		critical[e.Id.String()] = e.Critical
	}
	return broken([]certificateRule{
		{board.IsCA, "it is a CA (section 4.2.1.9)"},
		{!critical[oidBC.String()], "basicConstraints are not critical (section 4.2.1.9)"},
		{!critical[oidKeyUsage.String()], "keyUsage is not critical (section 4.2.1.3)"},
		{critical[oidSKI.String()] || critical[oidAKI.String()], "a key identifier is critical (sections 4.2.1.1 and 4.2.1.2)"},
		{len(board.SubjectKeyId) == 0, "the subject key identifier is missing (section 4.2.1.2)"},
		{len(board.AuthorityKeyId) == 0, "the authority key identifier is missing (section 4.2.1.1)"},
		{len(critical) != len(board.Extensions), "an extension is there twice (section 4.2)"},
		{!bytes.Equal(board.RawIssuer, issuer.RawSubject), "the issuer is not the name of the issuing CA (section 4.1.2.4)"},
		{!board.NotAfter.After(board.NotBefore), "the validity is empty (section 4.1.2.5)"},
	})
}

// Fits refuses an issuing CA with which the profile would break a limit at each board: its name is another one than the
// profile's standard wants, or the certificate would be too large.
func (p *Profile) Fits(issuer *x509.Certificate, now time.Time) error {
	if err := p.FitsIssuer(issuer); err != nil {
		return err
	}
	octets, err := p.largest(issuer, now)
	if err == nil && octets > p.MaxOctets() {
		err = fmt.Errorf("profile %s: %w: it could have %d octets, %s allows %d", p.Name(), ErrDoesNotFit, octets, p.budgetSource(), p.MaxOctets())
	}
	return err
}
