package issuance

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"hallmark/devices"
)

// The profiles that are shipped lie in configs/profiles, and package configs imports this package.
const shippedProfiles = "../../configs/profiles"

// shipped reads a shipped profile.
func shipped(t testing.TB, name string) ProfileConfig {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shippedProfiles, name+".yaml"))
	must(t, err)
	var c ProfileConfig
	must(t, yaml.UnmarshalWithOptions(text, &c, yaml.Strict()))
	return c
}

func newProfile(t testing.TB, c ProfileConfig) *Profile {
	t.Helper()
	p, err := NewProfile(c)
	must(t, err)
	return p
}

// boardProfiles are the shipped profiles, in the order of their names, with what a certificate must have.
var boardProfiles = []struct {
	name       string
	octets     int // of the golden certificate
	subject    string
	extensions string // each with ! behind it if it is critical
}{
	{"aws-iot", 487, "O=Example,CN=" + someBoard.String(), "keyUsage! extKeyUsage basicConstraints! subjectKeyIdentifier authorityKeyIdentifier"},
	{"azure-dps", 467, "CN=" + someBoard.String(), "keyUsage! extKeyUsage basicConstraints! subjectKeyIdentifier authorityKeyIdentifier"},
	{"golioth", 495, "O=example-project,CN=" + someBoard.String(), "keyUsage! extKeyUsage basicConstraints! subjectKeyIdentifier authorityKeyIdentifier"},
	{"idevid", 515, "O=Example,serialNumber=" + someBoard.String(), "keyUsage! basicConstraints! subjectAltName subjectKeyIdentifier authorityKeyIdentifier"},
	{"linaro", 513, "O=Linaro,CN=" + someBoard.String() + ",OU=Device Client TLS", "keyUsage! extKeyUsage basicConstraints! subjectKeyIdentifier authorityKeyIdentifier"},
	{"linaro-cose", 490, "O=Linaro,CN=" + someBoard.String() + ",OU=Device COSE Sign", "keyUsage! basicConstraints! subjectKeyIdentifier authorityKeyIdentifier"},
	{"matter-dac", 500, "CN=" + someBoard.String() + ",Mvid=FFF1,Mpid=8000", "keyUsage! basicConstraints! subjectKeyIdentifier authorityKeyIdentifier"},
}

var someHardware = devices.HardwareID("\x01\x23\x45\x67\x89\xab\xcd\xef")

func TestEachShippedProfileHasARowHere(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shippedProfiles, "*.yaml"))
	must(t, err)
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".yaml"))
	}
	var rows []string
	for _, row := range boardProfiles {
		rows = append(rows, row.name)
	}
	slices.Sort(names)
	if !slices.Equal(names, rows) {
		t.Errorf("the files are %v, the rows %v", names, rows)
	}
}

// issueWith issues a certificate for one board under a profile, by a CA that fits the profile.
func issueWith(t testing.TB, p *Profile, hardware devices.HardwareID) (*testIssuer, *Certificate, error) {
	t.Helper()
	l := newTestIssuer(t, func(c *Config, key *ecdsa.PrivateKey) {
		c.Signer = deterministic(key)
		if p.Purpose() == devices.PurposeCOSE {
			c.COSE = p
		} else {
			c.Profile = p
		}
		if p.config.Matter != nil {
			pai, err := Issuing(CAConfig{CommonName: "Hallmark Issuing Mvid:FFF1", Organization: "Linaro", NotBefore: someTime.Add(-day)}, &key.PublicKey, c.Root, fixedKey("root"), numbers(2))
			must(t, err)
			c.Issuer = pai
		}
	})
	l.issuing = l.config.Issuer
	csr := honest(t)
	csr.key = fixedKey("board")
	var err error
	csr.spki, err = keyDER(&csr.key.PublicKey)
	must(t, err)
	csr.subject, err = subjectDER(p.Organization(), someBoard.String(), p.OrganizationalUnit())
	must(t, err)
	grant, err := l.Check(t.Context(), Request{Run: "0190a5e2-7b1c-7000-8000-000000000001", BoardID: someBoard, HardwareID: hardware, Purpose: p.Purpose(), Nonce: someNonce, CSR: csr.sign(t)})
	if err != nil {
		return l, nil, err
	}
	certificate, err := l.Sign(t.Context(), grant)
	return l, certificate, err
}

func TestEachShippedProfileMakesItsCertificate(t *testing.T) {
	for _, want := range boardProfiles {
		t.Run(want.name, func(t *testing.T) {
			l, certificate, err := issueWith(t, newProfile(t, shipped(t, want.name)), someHardware)
			must(t, err)
			golden(t, "profile-"+want.name+".txt", openssl(t, certificate.DER, "x509", "-inform", "DER", "-noout", "-text", "-nameopt", "RFC2253"))
			parsed, err := x509.ParseCertificate(certificate.DER)
			must(t, err)
			if len(parsed.Raw) != want.octets {
				t.Errorf("%d octets of DER, want %d", len(parsed.Raw), want.octets)
			}
			if got := subjectText(parsed.Subject); got != want.subject {
				t.Errorf("subject %s, want %s", got, want.subject)
			}
			if got := extensionsText(parsed); got != want.extensions {
				t.Errorf("extensions %s, want %s", got, want.extensions)
			}
			if parsed.IsCA || !parsed.BasicConstraintsValid || parsed.KeyUsage != x509.KeyUsageDigitalSignature || !parsed.NotAfter.Equal(endOfTime) {
				t.Errorf("CA %t, key usage %b, until %v", parsed.IsCA, parsed.KeyUsage, parsed.NotAfter)
			}
			if found := findings(t, want.name, certificate.DER); len(found) > 0 {
				t.Errorf("zlint says %v", found)
			}
			verifies(t, l, certificate.DER)
		})
	}
}

func verifies(t *testing.T, l *testIssuer, der []byte) {
	t.Helper()
	dir := t.TempDir()
	for name, der := range map[string][]byte{"root": l.root.Raw, "issuing": l.issuing.Raw} {
		must(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	}
	openssl(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "verify", "-x509_strict", "-purpose", "sslclient", "-attime", "1795348800",
		"-CAfile", filepath.Join(dir, "root"), "-untrusted", filepath.Join(dir, "issuing"))
}

func subjectText(name pkix.Name) string {
	short := map[string]string{oidOrganization.String(): "O", oidCommonName.String(): "CN", oidUnit.String(): "OU", oidSerialNumber.String(): "serialNumber",
		oidMatterVendor.String(): "Mvid", oidMatterProduct.String(): "Mpid"}
	var parts []string
	for _, a := range name.Names {
		parts = append(parts, fmt.Sprintf("%s=%v", short[a.Type.String()], a.Value))
	}
	return strings.Join(parts, ",")
}

func extensionsText(certificate *x509.Certificate) string {
	names := map[string]string{oidKeyUsage.String(): "keyUsage", oidEKU.String(): "extKeyUsage", oidBC.String(): "basicConstraints", oidSAN.String(): "subjectAltName",
		oidSKI.String(): "subjectKeyIdentifier", oidAKI.String(): "authorityKeyIdentifier"}
	var all []string
	for _, e := range certificate.Extensions {
		name := names[e.Id.String()]
		if e.Critical {
			name += "!"
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

// The hardwareModuleName is written out here by hand, after RFC 4108 section 5 and RFC 5280 section 4.2.1.6.
func TestTheHardwareModuleNameIsThatOfRFC4108(t *testing.T) {
	_, certificate, err := issueWith(t, newProfile(t, shipped(t, "idevid")), someHardware)
	must(t, err)
	parsed, err := x509.ParseCertificate(certificate.DER)
	must(t, err)
	want := "3025" + "a023" + // SubjectAltName, otherName [0]
		"06082b06010505070804" + // id-on-hardwareModuleName
		"a017" + "3015" + // value [0] EXPLICIT, HardwareModuleName
		"06092b0601040181fd5901" + // hwType 1.3.6.1.4.1.32473.1
		"04080123456789abcdef" // hwSerialNum
	for _, e := range parsed.Extensions {
		if !e.Id.Equal(oidSAN) {
			continue
		}
		if got := hex.EncodeToString(e.Value); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		return
	}
	t.Error("there is no subjectAltName")
}

// The digests of the first profiles are in the records of stations: a new key of a profile must not change them.
func TestTheDigestOfAnOlderProfileStays(t *testing.T) {
	for name, want := range map[string]string{
		"linaro":      `{"name":"linaro","subject":{"organization":"Linaro","common_name":"${board.id}","organizational_unit":"Device Client TLS"},"validity":"forever","backdate":"86400s","key_usage":["digitalSignature"],"extended_key_usage":["clientAuth"]}`,
		"linaro-cose": `{"name":"linaro-cose","purpose":"cose","subject":{"organization":"Linaro","common_name":"${board.id}","organizational_unit":"Device COSE Sign"},"validity":"forever","backdate":"86400s","key_usage":["digitalSignature"],"extended_key_usage":[]}`,
	} {
		if got := string(canonicalOf(t, newProfile(t, shipped(t, name)))); got != want {
			t.Errorf("%s is\n%s, want\n%s", name, got, want)
		}
	}
}

func TestABoardWithoutAHardwareIDIsRejectedIfTheProfileNeedsOne(t *testing.T) {
	for _, none := range []devices.HardwareID{"", "\x00"} {
		if _, _, err := issueWith(t, newProfile(t, shipped(t, "idevid")), none); !errors.Is(err, ErrNoHardwareID) {
			t.Errorf("got %v", err)
		}
		if _, _, err := issueWith(t, newProfile(t, shipped(t, "linaro")), none); err != nil {
			t.Errorf("a profile without the hardware id: %v", err)
		}
	}
}

// A CSR has what fits into it, and the certificate has what the profile says.
func TestANameThatFitsIntoNoCSRIsInTheCertificate(t *testing.T) {
	c := linaro()
	c.Subject.Organization = "Müller & Söhne, Gerätebau GmbH"
	p := newProfile(t, c)
	if p.Organization() != "" || p.OrganizationalUnit() != "Device Client TLS" {
		t.Errorf("the board is asked for O %q and OU %q", p.Organization(), p.OrganizationalUnit())
	}
	_, certificate, err := issueWith(t, p, someHardware)
	must(t, err)
	parsed, err := x509.ParseCertificate(certificate.DER)
	must(t, err)
	if got := subjectText(parsed.Subject); got != "O="+c.Subject.Organization+",CN="+someBoard.String()+",OU=Device Client TLS" {
		t.Errorf("subject %s", got)
	}
}

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

// A station refuses at its start what it would refuse at each board.
func TestAnIssuerRefusesAProfileThatDoesNotFitIt(t *testing.T) {
	for name, c := range map[string]struct {
		profile ProfileConfig
		want    error
	}{
		"another vendor": {shipped(t, "matter-dac"), ErrIssuerUnfit},
		"too large":      {func() ProfileConfig { c := linaro(); c.MaxOctets = 500; return c }(), ErrDoesNotFit},
	} {
		l := newTestIssuer(t, nil)
		config := l.config
		config.Profile = newProfile(t, c.profile)
		if _, err := New(config); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestASampleSaysWhatIsWrong(t *testing.T) {
	unfit := matterCA(t, pkix.Name{CommonName: "Other CA"}, 0)
	for _, c := range []struct {
		name, profile string
		change        func(*ProfileConfig)
		issuer        *x509.Certificate
		want          string // level and text of a finding; empty: none
	}{
		{"the default has nothing to say", "linaro", func(*ProfileConfig) {}, nil, ""},
		{"too large for the budget of the profile", "linaro", func(c *ProfileConfig) { c.MaxOctets = 400 }, nil, "error: a certificate can have"},
		{"a Matter certificate that is too large", "matter-dac", func(c *ProfileConfig) {
			c.Subject.Organization, c.Subject.OrganizationalUnit = strings.Repeat("o", 64), strings.Repeat("u", 64)
		}, nil, "error: a certificate can have"},
		{"an issuer that is no PAI", "matter-dac", func(*ProfileConfig) {}, unfit, "error: profile matter-dac: the issuing CA does not fit the profile"},
		{"a vendor for tests", "matter-dac", func(*ProfileConfig) {}, nil, "warning: vendor FFF1 is one of the test vendors"},
		{"an OID for documentation", "idevid", func(*ProfileConfig) {}, nil, "warning: hardware_module_name.type"},
		{"a certificate without an end for a cloud", "aws-iot", func(*ProfileConfig) {}, nil, "warning: the certificate has no end"},
		{"a name that fits into no CSR", "linaro", func(c *ProfileConfig) { c.Subject.Organization = "a, b" }, nil, "note: O or OU does not fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := shipped(t, c.profile)
			c.change(&config)
			sample, err := newProfile(t, config).Sample(c.issuer, someTime)
			must(t, err)
			var all []string
			for _, f := range sample.Findings {
				all = append(all, string(f.Level)+": "+f.Text)
			}
			found := slices.ContainsFunc(all, func(text string) bool { return strings.HasPrefix(text, c.want) })
			if c.want == "" && len(all) > 0 || !found && c.want != "" {
				t.Errorf("got %q, want %q", all, c.want)
			}
			if sample.HasErrors() != strings.HasPrefix(c.want, "error") {
				t.Errorf("errors: %t with %q", sample.HasErrors(), all)
			}
		})
	}
}

// TestOurRulesFindWhatZlintFinds makes certificates of all kinds that a profile can ask for: zlint has nothing to say where
// the rules of this package have nothing to say.
func TestOurRulesFindWhatZlintFinds(t *testing.T) {
	made := 0
	for name, c := range variants() {
		p, err := NewProfile(c)
		must(t, err)
		sample, err := p.Sample(nil, someTime)
		must(t, err)
		for lint, status := range findings(t, name, sample.Certificate.Raw) {
			t.Errorf("%s: zlint says %s, our rules %v", lint, status, sample.Findings)
		}
		if sample.HasErrors() {
			t.Errorf("%s: %v", name, sample.Findings)
		}
		made++
	}
	if made < 64 {
		t.Errorf("only %d profiles", made)
	}
}

// variants has each combination of the keys of a profile.
func variants() map[string]ProfileConfig {
	changes := []func(*ProfileConfig){
		func(c *ProfileConfig) { c.Subject.Country, c.Subject.SerialNumber = "DE", "SN "+hardwareIDVariable },
		func(c *ProfileConfig) { c.Subject.Organization = strings.Repeat("ö", 64) },
		func(c *ProfileConfig) {
			c.HardwareModule = &HardwareModuleConfig{"1.3.6.1.4.1.99999.1", boardIDVariable}
		},
		func(c *ProfileConfig) { c.ExtendedKeyUsage = []string{} },
		func(c *ProfileConfig) { c.KeyUsage = []string{"digitalSignature", "keyAgreement"} },
		func(c *ProfileConfig) { c.Validity = "8760h" }, // ends before 2050: UTCTime
		func(c *ProfileConfig) { c.Subject.CommonName = hardwareIDVariable },
	}
	all := map[string]ProfileConfig{}
	for set := range 1 << len(changes) {
		c := linaro()
		for i, change := range changes {
			if set>>i&1 == 1 {
				change(&c)
			}
		}
		all[fmt.Sprintf("variant %07b", set)] = c
	}
	maps.DeleteFunc(all, func(_ string, c ProfileConfig) bool {
		return c.Subject.CommonName == "" && c.Subject.SerialNumber == ""
	})
	return all
}
