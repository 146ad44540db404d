package issuance

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// MatterConfig has vendor and product of a Matter device attestation certificate (Matter Core Specification 6.2.2).
type MatterConfig struct {
	VendorID  string `yaml:"vendor_id" json:"vendor_id"`   // four upper-case hexadecimal digits
	ProductID string `yaml:"product_id" json:"product_id"` // likewise
	// Encoding is "attributes", or "common_name" for the fallback method: the texts "Mvid:" and "Mpid:" in the common
	// name. Empty means attributes.
	Encoding string `yaml:"encoding" json:"encoding,omitempty"`
}

// Attributes of a subject (Matter Core Specification 6.2.2, table "Matter DN attributes").
var (
	oidMatterVendor  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 37244, 2, 1}
	oidMatterProduct = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 37244, 2, 2}
)

// MaxMatterOctets is the most octets of an attestation certificate in DER (kMaxDERCertLength of connectedhomeip).
const MaxMatterOctets = 600

const (
	inAttributes = "attributes"
	inCommonName = "common_name"
)

var matterID = regexp.MustCompile(`^[0-9A-F]{4}$`)

func checkMatter(p *Profile) error {
	m := p.config.Matter
	if m == nil {
		return nil
	}
	for _, id := range []struct{ key, text string }{{"vendor_id", m.VendorID}, {"product_id", m.ProductID}} {
		if !matterID.MatchString(id.text) || id.text == "0000" {
			return fmt.Errorf("matter.%s %q: want four upper-case hexadecimal digits that are not 0000, such as FFF1", id.key, id.text)
		}
	}
	if e := m.Encoding; e != "" && e != inAttributes && e != inCommonName {
		return fmt.Errorf("matter.encoding %q: want %s or %s", e, inAttributes, inCommonName)
	}
	if m.Encoding == inAttributes {
		m.Encoding = "" // one meaning has one spelling
	}
	return nil
}

func (p *Profile) inAttributes() bool {
	return p.config.Matter != nil && p.config.Matter.Encoding != inCommonName
}

func (p *Profile) vendorAttribute() string {
	if !p.inAttributes() {
		return ""
	}
	return p.config.Matter.VendorID
}

func (p *Profile) productAttribute() string {
	if !p.inAttributes() {
		return ""
	}
	return p.config.Matter.ProductID
}

// commonName gives the common name with its variables. The fallback method adds vendor and product.
func (p *Profile) commonName() string {
	name, m := p.config.Subject.CommonName, p.config.Matter
	if m == nil || m.Encoding != inCommonName {
		return name
	}
	return strings.TrimSpace(name + " Mvid:" + m.VendorID + " Mpid:" + m.ProductID)
}

// matterIDs are vendor and product in the name of an attestation certificate. Empty means that the name has none.
type matterIDs struct{ vendor, product string }

// matterIDsOf reads vendor and product. If one of the attributes is there, the common name does not count; otherwise the
// leftmost correct "Mvid:" and "Mpid:" of the common name count (Matter Core Specification 6.2.2.2).
func matterIDsOf(name pkix.Name) (matterIDs, error) {
	var ids matterIDs
	for _, a := range name.Names {
		text, _ := a.Value.(string)
		var into *string
		switch {
		case a.Type.Equal(oidMatterVendor):
			into = &ids.vendor
		case a.Type.Equal(oidMatterProduct):
			into = &ids.product
		default:
			continue
		}
		if !matterID.MatchString(text) || *into != "" {
			return ids, fmt.Errorf("the attribute %v is %q or there twice: want four upper-case hexadecimal digits", a.Type, text)
		}
		*into = text
	}
	if ids != (matterIDs{}) {
		return ids, nil
	}
	vendor, err := fallbackID(name.CommonName, "Mvid:")
	if err != nil {
		return ids, err
	}
	product, err := fallbackID(name.CommonName, "Mpid:")
	return matterIDs{vendor, product}, err
}

func fallbackID(commonName, prefix string) (string, error) {
	found := regexp.MustCompile(prefix + `([0-9A-F]{4})`).FindStringSubmatch(commonName)
	switch {
	case found != nil:
		return found[1], nil
	case strings.Contains(commonName, prefix):
		return "", fmt.Errorf("common name %q: want four upper-case hexadecimal digits after %s", commonName, prefix)
	}
	return "", nil
}

// fitsMatter refuses an issuer that is no product attestation intermediate (PAI) for the profile: its subject must have the
// vendor of the profile, and no other product (Matter Core Specification 6.2.2.4).
func (p *Profile) fitsMatter(issuer *x509.Certificate) error {
	m := p.config.Matter
	if m == nil {
		return nil
	}
	ids, err := matterIDsOf(issuer.Subject)
	switch {
	case err != nil:
		return fmt.Errorf("issuing CA %q: %w", issuer.Subject, err)
	case ids.vendor == "":
		return fmt.Errorf("issuing CA %q has no vendor: want %s as attribute 1.3.6.1.4.1.37244.2.1, or Mvid:%[2]s in its common name", issuer.Subject, m.VendorID)
	case ids.vendor != m.VendorID:
		return fmt.Errorf("issuing CA %q is of vendor %s, matter.vendor_id is %s", issuer.Subject, ids.vendor, m.VendorID)
	case ids.product != "" && ids.product != m.ProductID:
		return fmt.Errorf("issuing CA %q is for product %s, matter.product_id is %s", issuer.Subject, ids.product, m.ProductID)
	case PathLength(issuer) != 0:
		return errors.New("the path length of the issuing CA is not 0, as Matter wants for a PAI")
	case len(issuer.Raw) > MaxMatterOctets:
		return fmt.Errorf("the certificate of the issuing CA has %d octets, Matter allows %d", len(issuer.Raw), MaxMatterOctets)
	}
	return nil
}
