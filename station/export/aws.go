package export

import (
	"encoding/json"

	"hallmark/station/workdir"
)

// What the user of a template fills in.
const (
	fillInPolicy = "FILL-IN-POLICY-NAME"
	fillInRole   = "arn:aws:iam::000000000000:role/FILL-IN-ROLE-NAME"
)

type object = map[string]any

func ref(parameter string) object { return object{"Ref": parameter} }

// declared gives the section Parameters of a provisioning template.
func declared(parameters ...string) object {
	section := object{}
	for _, name := range parameters {
		section[name] = object{"Type": "String"}
	}
	return section
}

// template gives a provisioning template: a thing, its certificate, and a policy that exists already.
func template(parameters []string, thing, certificate object) ([]byte, error) {
	return json.MarshalIndent(object{"Parameters": declared(parameters...), "Resources": object{
		"thing":       object{"Type": "AWS::IoT::Thing", "Properties": thing},
		"certificate": object{"Type": "AWS::IoT::Certificate", "Properties": certificate},
		"policy":      object{"Type": "AWS::IoT::Policy", "Properties": object{"PolicyName": fillInPolicy}},
	}}, "", "  ")
}

// A bulkLine has the parameters of the template for one board. The CA certificate makes the issuer unique if an account
// has several CA certificates with the same subject.
type bulkLine struct {
	ThingName, SerialNumber, CertificatePem, CACertificatePem string
}

var awsBulk = &Format{Name: "aws-bulk", Text: "directory: things.jsonl and template.json for bulk registration with AWS IoT Core", Folder: true, TLSOnly: true,
	fixed: func(Chain) ([]File, error) {
		text, err := template([]string{"ThingName", "SerialNumber", "CertificatePem", "CACertificatePem"},
			object{"ThingName": ref("ThingName"), "AttributePayload": object{"certificateSerialNumber": ref("SerialNumber")}},
			object{"CertificatePem": ref("CertificatePem"), "CACertificatePem": ref("CACertificatePem"), "Status": "ACTIVE"})
		return []File{{"template.json", append(text, '\n')}}, err
	},
	list: &list{name: "things.jsonl", item: func(chain Chain, r *Row) ([]byte, error) {
		if _, err := chain.of(r); err != nil {
			return nil, err
		}
		return jsonLine(bulkLine{ThingName: r.BoardID.String(), SerialNumber: r.serial(),
			CertificatePem: string(workdir.CertificatePEM(r.DER)), CACertificatePem: string(workdir.CertificatePEM(chain.Issuing.Raw))})
	}}}

var awsJITP = &Format{Name: "aws-jitp", Text: "one file: the registration configuration of a CA for just-in-time provisioning with AWS IoT Core; names no board", TLSOnly: true, Boardless: true,
	fixed: func(Chain) ([]File, error) {
		// A certificate must have each attribute that the template declares, so it declares no other.
		body, err := template([]string{"AWS::IoT::Certificate::CommonName", "AWS::IoT::Certificate::Id"},
			object{"ThingName": ref("AWS::IoT::Certificate::CommonName")},
			object{"CertificateId": ref("AWS::IoT::Certificate::Id"), "Status": "ACTIVE"})
		if err != nil {
			return nil, err
		}
		text, err := json.MarshalIndent(struct {
			Body string `json:"templateBody"` // JSON as a text
			Role string `json:"roleArn"`
		}{string(body), fillInRole}, "", "  ")
		return []File{{"", append(text, '\n')}}, err
	},
	board: func(_ Chain, r *Row) ([]File, error) {
		_, err := r.deviceID()
		return nil, err
	}}
