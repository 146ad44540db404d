package issuance

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
)

// attributeNames has the short names of the attributes that a profile can have (RFC 4519, Matter Core Specification 6.2.2).
var attributeNames = map[string]string{
	oidCountry.String(): "C", oidOrganization.String(): "O", oidCommonName.String(): "CN", oidUnit.String(): "OU", oidSerialNumber.String(): "serialNumber",
	oidMatterVendor.String(): "MatterVendorID", oidMatterProduct.String(): "MatterProductID",
}

// NameText gives a name with all of its attributes, in their order.
func NameText(name pkix.Name) string {
	var parts []string
	for _, a := range name.Names {
		short, known := attributeNames[a.Type.String()]
		if !known {
			short = a.Type.String()
		}
		parts = append(parts, fmt.Sprintf("%s=%v", short, a.Value))
	}
	return strings.Join(parts, ", ")
}

// ConformsTo gives the standards and services whose rules the profile satisfies.
func (p *Profile) ConformsTo() []string { return slices.Clone(p.config.ConformsTo) }

// HardwareModules describes each hardwareModuleName of a certificate.
func HardwareModules(certificate *x509.Certificate) (texts []string) {
	for _, e := range certificate.Extensions {
		if !e.Id.Equal(oidSAN) {
			continue
		}
		var names []asn1.RawValue
		if _, err := asn1.Unmarshal(e.Value, &names); err != nil {
			continue
		}
		for _, name := range names {
			var module otherName
			if _, err := asn1.UnmarshalWithParams(name.FullBytes, &module, "tag:0"); err == nil && module.ID.Equal(oidHardwareModuleName) {
				texts = append(texts, fmt.Sprintf("hardwareModuleName, type %v, serial number %x", module.Value.Type, module.Value.Serial))
			}
		}
	}
	return texts
}
