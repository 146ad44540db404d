package issuance

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"strings"
	"testing"
)

func TestRulesOfStandardsAndServices(t *testing.T) {
	for _, c := range []struct {
		name, profile string
		change        func(*ProfileConfig)
		word          string // in the refusal; empty: accepted
	}{
		{"an IDevID without a serial number", "idevid", func(c *ProfileConfig) { c.Subject.SerialNumber, c.Subject.CommonName = "", boardIDVariable }, "serial_number is empty"},
		{"an IDevID for ten years", "idevid", func(c *ProfileConfig) { c.Validity = "3650d" }, "validity 3650d"},
		{"an IDevID for TLS clients", "idevid", func(c *ProfileConfig) { c.ExtendedKeyUsage = []string{"clientAuth"} }, ""},
		{"a DAC without vendor", "matter-dac", func(c *ProfileConfig) { c.Matter = nil }, "matter is missing"},
		{"a vendor in lower case", "matter-dac", func(c *ProfileConfig) { c.Matter.VendorID = "fff1" }, "matter.vendor_id"},
		{"a vendor of five digits", "matter-dac", func(c *ProfileConfig) { c.Matter.VendorID = "0FFF1" }, "matter.vendor_id"},
		{"no product", "matter-dac", func(c *ProfileConfig) { c.Matter.ProductID = "" }, "matter.product_id"},
		{"the product that stands for none", "matter-dac", func(c *ProfileConfig) { c.Matter.ProductID = "0000" }, "matter.product_id"},
		{"another encoding", "matter-dac", func(c *ProfileConfig) { c.Matter.Encoding = "san" }, "matter.encoding"},
		{"the fallback encoding", "matter-dac", func(c *ProfileConfig) { c.Matter.Encoding = "common_name" }, ""},
		{"the fallback encoding beside a long name", "matter-dac", func(c *ProfileConfig) {
			c.Matter.Encoding, c.Subject.CommonName = "common_name", "Examples "+boardIDVariable
		}, "at most 64"},
		{"both encodings", "matter-dac", func(c *ProfileConfig) { c.Subject.CommonName = boardIDVariable + " Mvid:FFF2" }, "beside the attributes"},
		{"a DAC for TLS clients", "matter-dac", func(c *ProfileConfig) { c.ExtendedKeyUsage = []string{"clientAuth"} }, "extended_key_usage"},
		{"a DAC that agrees on keys", "matter-dac", func(c *ProfileConfig) { c.KeyUsage = []string{"digitalSignature", "keyAgreement"} }, "key_usage"},
		{"Matter without its rules", "matter-dac", func(c *ProfileConfig) { c.ConformsTo = nil }, "conforms_to"},
		{"a thing with a space", "aws-iot", func(c *ProfileConfig) { c.Subject.CommonName = "Lamp " + boardIDVariable }, "thing name"},
		{"a thing with a dot", "aws-iot", func(c *ProfileConfig) { c.Subject.CommonName = "lamp." + boardIDVariable }, "thing name"},
		{"a thing with a colon", "aws-iot", func(c *ProfileConfig) { c.Subject.CommonName = "Lamp:" + boardIDVariable }, ""},
		{"a thing that is no TLS client", "aws-iot", func(c *ProfileConfig) { c.ExtendedKeyUsage = []string{} }, "clientAuth"},
		{"a registration id with a dot", "azure-dps", func(c *ProfileConfig) { c.Subject.CommonName = "lamp." + boardIDVariable }, ""},
		{"a registration id in upper case", "azure-dps", func(c *ProfileConfig) { c.Subject.CommonName = "Lamp-" + boardIDVariable }, "registration id"},
		{"a registration id with a dot at its end", "azure-dps", func(c *ProfileConfig) { c.Subject.CommonName = boardIDVariable + "." }, "registration id"},
		{"a registration id with a hyphen at its end", "azure-dps", func(c *ProfileConfig) { c.Subject.CommonName = boardIDVariable + "-" }, ""},
		{"no registration id", "azure-dps", func(c *ProfileConfig) { c.Subject.CommonName, c.Subject.SerialNumber = "", boardIDVariable }, "registration id"},
		{"no project", "golioth", func(c *ProfileConfig) { c.Subject.Organization = "" }, "project"},
		{"no certificate id", "golioth", func(c *ProfileConfig) { c.Subject.CommonName, c.Subject.SerialNumber = "", boardIDVariable }, "certificate id"},
		{"a project and no TLS client", "golioth", func(c *ProfileConfig) { c.ExtendedKeyUsage = []string{} }, "clientAuth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := shipped(t, c.profile)
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

// matterCA is a CA certificate with this name and path length.
func matterCA(t *testing.T, name pkix.Name, pathLen int) *x509.Certificate {
	t.Helper()
	key := fixedKey("issuing")
	template, err := CAConfig{CommonName: "x", NotBefore: someTime, PathLen: pathLen}.template(numbers(1))
	must(t, err)
	template.Subject, template.SubjectKeyId = name, []byte{1}
	der, err := x509.CreateCertificate(numbers(1), template, template, &key.PublicKey, key)
	must(t, err)
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	return certificate
}

func TestAMatterProfileWantsAPAI(t *testing.T) {
	attributes := func(cn, vendor, product string) pkix.Name {
		n := pkix.Name{CommonName: cn}
		if vendor != "" {
			n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: oidMatterVendor, Value: vendor})
		}
		if product != "" {
			n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: oidMatterProduct, Value: product})
		}
		return n
	}
	dac := newProfile(t, shipped(t, "matter-dac"))
	for _, c := range []struct {
		name    string
		subject pkix.Name
		pathLen int
		word    string // in the refusal; empty: accepted
	}{
		{"the vendor as attribute", attributes("PAI", "FFF1", ""), 0, ""},
		{"the vendor in the common name", attributes("PAI Mvid:FFF1", "", ""), 0, ""},
		{"vendor and product in the common name, without a space", attributes("Mvid:FFF1ACMEMpid:8000x", "", ""), 0, ""},
		{"the leftmost correct vendor counts", attributes("Mvid:fff2 Mvid:FFF1", "", ""), 0, ""},
		{"vendor and product as attributes", attributes("PAI", "FFF1", "8000"), 0, ""},
		{"no vendor", attributes("PAI", "", ""), 0, "has no vendor"},
		{"another vendor", attributes("PAI", "FFF2", ""), 0, "is of vendor FFF2"},
		{"another vendor in the common name", attributes("PAI Mvid:FFF2", "", ""), 0, "is of vendor FFF2"},
		{"another product", attributes("PAI", "FFF1", "8001"), 0, "is for product 8001"},
		{"an attribute hides the common name", attributes("PAI Mvid:FFF1", "", "8000"), 0, "has no vendor"},
		{"a vendor in lower case", attributes("PAI Mvid:fff1", "", ""), 0, "upper-case"},
		{"an attribute in lower case", attributes("PAI", "fff1", ""), 0, "upper-case"},
		{"a CA that may have CAs below", attributes("PAI", "FFF1", ""), 1, "path length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := dac.FitsIssuer(matterCA(t, c.subject, c.pathLen))
			switch {
			case c.word == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.word != "" && (!errors.Is(err, ErrIssuerUnfit) || !strings.Contains(err.Error(), c.word)):
				t.Errorf("got %v, want a refusal that names %q", err, c.word)
			}
		})
	}
}
