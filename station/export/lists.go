package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"hallmark/devices"
	"hallmark/station/evidence"
)

// columns are documented as stable: columns are only ever added, at the end.
var columns = []string{"board_id", "purpose", "serial_number", "common_name", "subject", "issuer", "not_before", "not_after", "profile", "work_order",
	"issued", "certificate_sha256", "public_key_sha256", "issuer_key_id", "certificate"}

func cells(r *Row) []string {
	c := r.Certificate
	key := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return []string{r.BoardID.String(), r.Purpose.String(), r.serial(), c.Subject.CommonName, c.Subject.String(), c.Issuer.String(),
		c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), r.Profile, r.Order,
		r.Issued, r.sha256(), hex.EncodeToString(key[:]), hex.EncodeToString(c.AuthorityKeyId), base64.StdEncoding.EncodeToString(r.DER)}
}

var csvList = &Format{Name: "csv", Text: "one file: CSV with a header, quoted as RFC 4180 says; lines end in LF, and no cell begins a formula",
	list: &list{head: strings.Join(columns, ",") + "\n", item: func(_ Chain, r *Row) ([]byte, error) {
		return csvLine(evidence.SafeCells(cells(r)))
	}}}

// csvLine gives one line of CSV, with quotes where they are needed.
func csvLine(cells []string) ([]byte, error) {
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	if err := w.Write(cells); err != nil {
		return nil, err
	}
	w.Flush()
	return line.Bytes(), w.Error()
}

var jsonLines = &Format{Name: "json", Text: "one file: a JSON object in each line, with the same columns as csv",
	list: &list{item: func(_ Chain, r *Row) ([]byte, error) {
		var line bytes.Buffer
		line.WriteByte('{')
		for i, cell := range cells(r) {
			value, err := json.Marshal(cell)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				line.WriteByte(',')
			}
			line.WriteString(`"` + columns[i] + `":`)
			line.Write(value)
		}
		line.WriteString("}\n")
		return line.Bytes(), nil
	}}}

var pkcs7 = &Format{Name: "pkcs7", Text: "directory: ID.p7b with the certificate of a board, the issuing CA and the root (certs-only SignedData, PEM)", Folder: true,
	board: func(chain Chain, r *Row) ([]File, error) {
		certificates, err := chain.of(r)
		if err != nil {
			return nil, err
		}
		der, err := evidence.CertificatesOnly(certificates...)
		if err != nil {
			return nil, err
		}
		// RFC 7468 section 8; openssl pkcs7 does not take the label CMS of section 9.
		return []File{{stem(r) + ".p7b", pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der})}}, nil
	}}

// stem begins the names of the files of a key.
func stem(r *Row) string {
	if r.Purpose == devices.PurposeTLS {
		return r.BoardID.String()
	}
	return r.BoardID.String() + "." + r.Purpose.String()
}

// jsonLine gives a value as one line of JSON. encoding/json puts no line end inside a line.
func jsonLine(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	return append(text, '\n'), err
}
