package workorder

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
)

// ClosureSuffix is added to the name of a closure for its detached CMS signature.
const ClosureSuffix = ".p7s"

// A Closure is the answer of a station to a work order that is closed. Keys are only ever added.
type Closure struct {
	Closure    int    `json:"closure"` // number of this form, 1
	Order      string `json:"order"`
	Product    string `json:"product"`
	Lot        string `json:"lot"`
	Station    string `json:"station"`      // name
	StationKey string `json:"station_key"`  // verifier key of the audit log
	Revision   int64  `json:"revision"`     // of the order file; 0: nobody has signed the order
	SHA256     string `json:"order_sha256"` // of the order file, in hexadecimal
	Owner      string `json:"owner_sha256"` // of the owner's public key, in hexadecimal
	Opened     string `json:"opened"`       // RFC 3339
	Closed     string `json:"closed"`       // RFC 3339

	// Boards: quota is the share of this station, and the sum of the four after it.
	Quota      int64 `json:"quota"`
	Certified  int64 `json:"certified"`
	Unresolved int64 `json:"unresolved"` // it is not known whether the HSM signed
	Revoked    int64 `json:"revoked"`
	Unused     int64 `json:"unused"`

	// Runs that passed.
	Issued    int64 `json:"issued"`
	Reworked  int64 `json:"reworked"`
	Confirmed int64 `json:"confirmed"`

	Certificates       int    `json:"certificates"` // that were signed for the order
	CertificatesSHA256 string `json:"certificates_sha256"`
	Checkpoint         string `json:"checkpoint"` // of the audit log, signed; it covers the end of the order
}

// Encode gives the file of the closure.
func (c *Closure) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(c, "", "  ")
	return append(text, '\n'), err
}

// ListSHA256 is the SHA-256 of a list: the SHA-256 of each certificate (DER) in hexadecimal, one a line, in ascending order.
// `openssl x509 -outform DER | sha256sum`, sort and sha256sum give the same.
func ListSHA256(certificates []string) [sha256.Size]byte {
	var text strings.Builder
	for _, sum := range slices.Sorted(slices.Values(certificates)) {
		text.WriteString(sum + "\n")
	}
	return sha256.Sum256([]byte(text.String()))
}

// A SignedClosure is the file of a closure with its signature.
type SignedClosure struct {
	File      []byte `json:"file"`
	Signature []byte `json:"signature"`
}
