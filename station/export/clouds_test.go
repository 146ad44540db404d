package export

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/pem"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hallmark/devices"
)

// documentedID is what all services take as the name of a device: 1 to 128 of the characters that AWS IoT takes in the
// name of a thing, without a special character at the ends, which the Device Provisioning Service demands.
var documentedID = regexp.MustCompile(`^[a-z0-9][a-z0-9:_-]{0,126}[a-z0-9]$`)

// documentedTemplate is a provisioning template as the Developer Guide describes it.
type documentedTemplate struct {
	Parameters map[string]struct{ Type string }
	Resources  struct {
		Thing struct {
			Type       string
			Properties struct {
				ThingName        map[string]string
				AttributePayload map[string]map[string]string
			}
		} `json:"thing"`
		Certificate struct {
			Type       string
			Properties struct {
				CertificatePem, CACertificatePem, CertificateId map[string]string
				Status                                          string
			}
		} `json:"certificate"`
		Policy struct {
			Type       string
			Properties struct{ PolicyName string }
		} `json:"policy"`
	}
}

// references gives the parameters that a template uses.
func (d *documentedTemplate) references() (used []string) {
	p, c := d.Resources.Thing.Properties, d.Resources.Certificate.Properties
	for _, reference := range []map[string]string{p.ThingName, p.AttributePayload["certificateSerialNumber"], c.CertificatePem, c.CACertificatePem, c.CertificateId} {
		if reference != nil {
			used = append(used, reference["Ref"])
		}
	}
	slices.Sort(used)
	return used
}

// aTemplate reads a template. The service takes 10,240 characters at most.
func aTemplate(t *testing.T, text string) (d documentedTemplate, declared []string) {
	t.Helper()
	strict(t, text, &d)
	r := d.Resources
	if len(text) > 10240 || r.Thing.Type != "AWS::IoT::Thing" || r.Certificate.Type != "AWS::IoT::Certificate" || r.Policy.Type != "AWS::IoT::Policy" ||
		r.Certificate.Properties.Status != "ACTIVE" || r.Policy.Properties.PolicyName != fillInPolicy {
		t.Errorf("no template of the documentation: %s", text)
	}
	for name, parameter := range d.Parameters {
		if declared = append(declared, name); parameter.Type != "String" {
			t.Errorf("%s has the type %q", name, parameter.Type)
		}
	}
	slices.Sort(declared)
	if used := d.references(); !slices.Equal(used, declared) {
		t.Errorf("the template declares %q and uses %q", declared, used)
	}
	return d, declared
}

func TestBulkRegistrationOfAWSHasTheParametersOfItsTemplate(t *testing.T) {
	w := newWorld(t, 3)
	w.add(devices.PurposeCOSE) // no key for TLS
	to := w.write(awsBulk)
	_, declared := aTemplate(t, read(t, to, "template.json"))
	lines := strings.SplitAfter(read(t, to, "things.jsonl"), "\n")
	if len(lines) != 4 || lines[3] != "" {
		t.Fatalf("%d lines, want 3, each with its end", len(lines)-1)
	}
	for i, line := range lines[:3] {
		var parameters map[string]string
		strict(t, line, &parameters)
		var given []string
		for name := range parameters {
			given = append(given, name)
		}
		if slices.Sort(given); !slices.Equal(given, declared) {
			t.Errorf("line %d has %q, the template wants %q", i+1, given, declared)
		}
		for name, want := range map[string][]byte{"CertificatePem": w.rows[i].DER, "CACertificatePem": w.chain.Issuing.Raw} {
			if block, rest := pem.Decode([]byte(parameters[name])); block == nil || len(rest) > 0 || !bytes.Equal(block.Bytes, want) {
				t.Errorf("line %d: %s is another certificate", i+1, name)
			}
		}
		if !documentedID.MatchString(parameters["ThingName"]) || parameters["ThingName"] != w.rows[i].BoardID.String() || parameters["SerialNumber"] != w.rows[i].serial() {
			t.Errorf("line %d: got %q", i+1, parameters)
		}
	}
}

func TestTheConfigurationForJustInTimeProvisioning(t *testing.T) {
	w := newWorld(t, 1)
	var config map[string]string
	text := read(t, w.write(awsJITP))
	strict(t, text, &config)
	_, declared := aTemplate(t, config["templateBody"])
	if !slices.Equal(declared, []string{"AWS::IoT::Certificate::CommonName", "AWS::IoT::Certificate::Id"}) {
		t.Errorf("declared: %q; a certificate of a board has no other attribute for sure", declared)
	}
	// API Reference, RegistrationConfig
	if role := config["roleArn"]; len(config) != 2 || !regexp.MustCompile(`^arn:aws:iam::\d{12}:role/[\w+=,.@/-]+$`).MatchString(role) || len(role) < 20 {
		t.Errorf("got %q", config)
	}
	w.rows = nil // the CA is registered before there is a board
	if _, written, err := awsJITP.Write(filepath.Join(t.TempDir(), "x"), w.chain, w.each); err != nil || !written {
		t.Errorf("without a board: %v, %v", written, err)
	}
}

// documentedBulk is the body of "Individual Enrollment - Run Bulk Operation". Azure spells it so.
type documentedBulk struct {
	Mode  string `json:"mode"`
	Items []struct {
		RegistrationID     string `json:"registrationId"`
		DeviceID           string `json:"deviceId"`
		ProvisioningStatus string `json:"provisioningStatus"`
		Attestation        struct {
			Type string `json:"type"`
			X509 struct {
				ClientCertificates struct {
					Primary struct {
						Certificate string `json:"certificate"`
					} `json:"primary"`
				} `json:"clientCertificates"`
			} `json:"x509"`
		} `json:"attestation"`
	} `json:"enrollments"`
}

func TestTheProvisioningServiceOfAzureTakesTenInAFile(t *testing.T) {
	w := newWorld(t, 21)
	to := w.write(azureDPS)
	if got := names(t, to); !slices.Equal(got, []string{"bulk-00001.json", "bulk-00002.json", "bulk-00003.json"}) {
		t.Fatalf("got %q", got)
	}
	n := 0
	for i, name := range names(t, to) {
		var bulk documentedBulk
		strict(t, read(t, to, name), &bulk)
		if want := []int{10, 10, 1}[i]; len(bulk.Items) != want || bulk.Mode != "create" {
			t.Errorf("%s: mode %q, %d items, want %d", name, bulk.Mode, len(bulk.Items), want)
		}
		for _, item := range bulk.Items {
			row := w.rows[n]
			der, err := base64.StdEncoding.DecodeString(item.Attestation.X509.ClientCertificates.Primary.Certificate)
			if n++; err != nil || !bytes.Equal(der, row.DER) || item.RegistrationID != row.Certificate.Subject.CommonName || item.DeviceID != item.RegistrationID ||
				!documentedID.MatchString(item.DeviceID) || item.ProvisioningStatus != "enabled" || item.Attestation.Type != "x509" {
				t.Errorf("item %d: %+v, %v", n, item, err)
			}
		}
	}
}

func TestTheImportOfAzureIoTHubHasADeviceInEachLine(t *testing.T) {
	w := newWorld(t, 2)
	lines := strings.SplitAfter(read(t, w.write(azureHub)), "\n")
	if len(lines) != 3 || lines[2] != "" {
		t.Fatalf("%d lines, want 2, each with its end", len(lines)-1)
	}
	for i, line := range lines[:2] {
		var device struct {
			ID             string `json:"id"`
			ImportMode     string `json:"importMode"`
			Status         string `json:"status"`
			Authentication struct {
				Type           string            `json:"type"`
				X509Thumbprint map[string]string `json:"x509Thumbprint"`
			} `json:"authentication"`
		}
		strict(t, line, &device)
		thumbprint := device.Authentication.X509Thumbprint["primaryThumbprint"]
		if device.ID != w.rows[i].BoardID.String() || !documentedID.MatchString(device.ID) || device.ImportMode != "create" || device.Status != "enabled" || device.Authentication.Type != "selfSigned" ||
			!regexp.MustCompile(`^[0-9A-F]{64}$`).MatchString(thumbprint) || !strings.EqualFold(thumbprint, w.rows[i].sha256()) {
			t.Errorf("got %s", line)
		}
	}
}

func TestTheFilesOfNRFCloudHaveFiveColumnsAndAThousandRows(t *testing.T) {
	w := newWorld(t, 1)
	for range nrfMost { // the same key again, under another name, is fast
		again := *w.rows[0]
		w.rows = append(w.rows, &again)
	}
	to := w.write(nrfCloud)
	for name, want := range map[string]int{"devices-00001.csv": nrfMost, "devices-00002.csv": 1} {
		text := read(t, to, name)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(rows) != want || strings.Contains(text, "\r") || !strings.HasSuffix(text, "\n") {
			t.Fatalf("%s: %d rows, want %d, %v", name, len(rows), want, err)
		}
		row := rows[0] // there is no header
		if block, _ := pem.Decode([]byte(row[4])); len(row) != 5 || !documentedID.MatchString(row[0]) || row[1]+row[2]+row[3] != "" || block == nil || !bytes.Equal(block.Bytes, w.rows[0].DER) {
			t.Errorf("%s: got %q", name, row)
		}
	}
	if got := names(t, to); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}
