package profile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"strings"
	"time"

	"hallmark/station/issuance"
	"hallmark/station/reason"
)

// A view is what check says of a profile. Keys of its JSON are only ever added.
type view struct {
	File       string             `json:"file"`
	Name       string             `json:"profile,omitempty"`
	Purpose    string             `json:"purpose,omitempty"`
	Algorithm  string             `json:"algorithm,omitempty"`
	SHA256     string             `json:"sha256,omitempty"` // of the canonical profile, as issuance entries have it
	ConformsTo []string           `json:"conforms_to,omitempty"`
	Subject    string             `json:"subject,omitempty"`
	AltNames   []string           `json:"subject_alternative_names,omitempty"`
	Issuer     string             `json:"issuer,omitempty"`
	NotBefore  string             `json:"not_before,omitempty"`
	NotAfter   string             `json:"not_after,omitempty"`
	KeyUsage   []string           `json:"key_usage,omitempty"`
	Extended   []string           `json:"extended_key_usage,omitempty"`
	Extensions []extension        `json:"extensions,omitempty"`
	Octets     int                `json:"max_octets,omitempty"` // that a certificate of the profile can have
	Budget     int                `json:"budget,omitempty"`     // that it may have
	Request    *request           `json:"request,omitempty"`
	PEM        string             `json:"sample,omitempty"`
	Adopted    *bool              `json:"adopted,omitempty"` // only with --dir
	Findings   []issuance.Finding `json:"findings"`
	Good       bool               `json:"good"` // no finding is an error
}

// An extension is one of the certificate.
type extension struct {
	OID      string `json:"oid"`
	Name     string `json:"name"`
	Critical bool   `json:"critical"`
}

// A request is what a board puts into its CSR beside its BoardID.
type request struct {
	Organization       string `json:"organization"`
	OrganizationalUnit string `json:"organizational_unit"`
}

// refused is the view of a profile that cannot be read.
func refused(file string, err error) *view {
	return &view{File: file, Findings: []issuance.Finding{{Level: issuance.LevelError, Text: err.Error()}}}
}

func newView(file string, p *issuance.Profile, s *issuance.Sample) *view {
	certificate, sum := s.Certificate, p.SHA256()
	v := &view{
		File: file, Name: p.Name(), Purpose: p.Purpose().String(), Algorithm: p.Algorithm(), SHA256: fmt.Sprintf("%x", sum), ConformsTo: p.ConformsTo(),
		Subject: issuance.NameText(certificate.Subject), Issuer: issuance.NameText(certificate.Issuer), AltNames: issuance.HardwareModules(certificate),
		NotBefore: certificate.NotBefore.Format(time.RFC3339), NotAfter: certificate.NotAfter.Format(time.RFC3339),
		KeyUsage: keyUsages(certificate.KeyUsage), Extended: extendedUsages(certificate.ExtKeyUsage), Octets: s.Octets, Budget: s.Budget,
		Request: &request{p.Organization(), p.OrganizationalUnit()}, Findings: s.Findings, Good: !s.HasErrors(),
		PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})),
	}
	for _, e := range certificate.Extensions {
		v.Extensions = append(v.Extensions, extension{e.Id.String(), extensionNames[e.Id.String()], e.Critical})
	}
	if v.Findings == nil {
		v.Findings = []issuance.Finding{} // [] in JSON, not null
	}
	return v
}

// extensionNames has the names of RFC 5280 section 4.2.1.
var extensionNames = map[string]string{
	"2.5.29.14": "subjectKeyIdentifier", "2.5.29.15": "keyUsage", "2.5.29.17": "subjectAltName", "2.5.29.19": "basicConstraints",
	"2.5.29.35": "authorityKeyIdentifier", "2.5.29.37": "extKeyUsage",
}

func keyUsages(usage x509.KeyUsage) (names []string) {
	if usage&x509.KeyUsageDigitalSignature != 0 {
		names = append(names, "digitalSignature")
	}
	if usage&x509.KeyUsageKeyAgreement != 0 {
		names = append(names, "keyAgreement")
	}
	return names
}

func extendedUsages(usages []x509.ExtKeyUsage) (names []string) {
	for _, usage := range usages {
		if usage == x509.ExtKeyUsageClientAuth {
			names = append(names, "clientAuth")
		}
	}
	return names
}

// write writes the view for people.
func (v *view) write(w io.Writer) error {
	var text bytes.Buffer
	if v.Name != "" {
		v.writeCertificate(&text)
	}
	for _, f := range v.Findings {
		fmt.Fprintf(&text, "%-8s %s%s\n", f.Level, reason.Printable(f.Text), source(f))
	}
	if len(v.Findings) == 0 {
		fmt.Fprintln(&text, "no findings")
	}
	_, err := w.Write(text.Bytes())
	return err
}

func source(f issuance.Finding) string {
	if f.Source == "" {
		return ""
	}
	return " (" + f.Source + ")"
}

func (v *view) writeCertificate(w io.Writer) {
	for _, line := range []struct{ name, text string }{
		{"profile", v.Name + ", for " + v.Purpose + " keys" + prefixed(", conforms to ", v.ConformsTo)},
		{"digest", v.SHA256},
		{"adopted", v.adoptedText()},
		{"issuer", v.Issuer},
		{"subject", v.Subject},
		{"names", strings.Join(v.AltNames, ", ")},
		{"valid", v.NotBefore + " to " + v.NotAfter},
		{"usage", strings.Join(v.KeyUsage, ", ") + "; extended: " + orNone(v.Extended)},
		{"extensions", v.extensionsText()},
		{"size", fmt.Sprintf("at most %d octets of DER, of %d that it may have", v.Octets, v.Budget)},
		{"CSR", fmt.Sprintf("O %q, CN the BoardID, OU %q", v.Request.Organization, v.Request.OrganizationalUnit)},
	} {
		if line.text != "" {
			fmt.Fprintf(w, "%-11s %s\n", line.name, reason.Printable(line.text))
		}
	}
}

func (v *view) adoptedText() string {
	switch {
	case v.Adopted == nil:
		return ""
	case *v.Adopted:
		return "yes, by this station"
	}
	return "no: `station profile adopt` adopts it"
}

func (v *view) extensionsText() string {
	var all []string
	for _, e := range v.Extensions {
		if e.Critical {
			e.Name += " (critical)"
		}
		all = append(all, e.Name)
	}
	return strings.Join(all, ", ")
}

func prefixed(prefix string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return prefix + strings.Join(list, " and ")
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
