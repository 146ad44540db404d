package export

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// A dpsRegistration is one item of a bulk operation of the Device Provisioning Service.
type dpsRegistration struct {
	RegistrationID string         `json:"registrationId"` // must be the common name
	DeviceID       string         `json:"deviceId"`
	Attestation    dpsAttestation `json:"attestation"`
	Status         string         `json:"provisioningStatus"`
}

type dpsAttestation struct {
	Type string `json:"type"`
	X509 struct {
		Client struct {
			Primary struct {
				Certificate string `json:"certificate"` // DER in base64
			} `json:"primary"`
		} `json:"clientCertificates"`
	} `json:"x509"`
}

// dpsMost is the largest number of items of one bulk operation.
const dpsMost = 10

var azureDPS = &Format{Name: "azure-dps", Text: "directory: bulk-00001.json and so on, individual registrations for the Azure Device Provisioning Service, ten in a file",
	Folder: true, TLSOnly: true,
	list: &list{name: "bulk-%05d.json", most: dpsMost, head: `{"mode":"create","enrollments":[` + "\n", between: ",\n", tail: "\n]}\n",
		item: func(_ Chain, r *Row) ([]byte, error) {
			id, err := r.deviceID()
			if err != nil {
				return nil, err
			}
			item := dpsRegistration{RegistrationID: id, DeviceID: id, Status: "enabled"}
			item.Attestation.Type = "x509"
			item.Attestation.X509.Client.Primary.Certificate = base64.StdEncoding.EncodeToString(r.DER)
			return json.Marshal(item)
		}}}

// A hubDevice is one line of devices.txt.
type hubDevice struct {
	ID             string `json:"id"`
	Mode           string `json:"importMode"`
	Status         string `json:"status"`
	Authentication struct {
		Type string `json:"type"`
		X509 struct {
			Primary string `json:"primaryThumbprint"`
		} `json:"x509Thumbprint"`
	} `json:"authentication"`
}

var azureHub = &Format{Name: "azure-iothub", Text: "one file: devices.txt for a bulk import into Azure IoT Hub, with the SHA-256 thumbprint of each certificate", TLSOnly: true,
	list: &list{item: func(_ Chain, r *Row) ([]byte, error) {
		id, err := r.deviceID()
		if err != nil {
			return nil, err
		}
		device := hubDevice{ID: id, Mode: "create", Status: "enabled"}
		device.Authentication.Type = "selfSigned" // authentication by thumbprint
		device.Authentication.X509.Primary = strings.ToUpper(r.sha256())
		return jsonLine(device)
	}}}
