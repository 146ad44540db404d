package issuance

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
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
