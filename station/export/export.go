// Package export writes the active certificates of boards in the forms that clouds, other programs and C firmware take.
// It only writes files: nothing here talks to a service, and none of the files was run against a service. Each form
// follows a document, and the tests compare the files with what the document says:
//
//	aws-bulk      AWS IoT Core Developer Guide, "Bulk registration" and "Provisioning templates"; AWS IoT API
//	              Reference, "StartThingRegistrationTask", "ThingAttribute" (read in November 2026)
//	aws-jitp      AWS IoT Core Developer Guide, "Just-in-time provisioning" (read in November 2026)
//	azure-dps     Azure REST reference, Device Provisioning Service, "Individual Enrollment - Run Bulk Operation",
//	              api-version 2021-10-01 (read in November 2026)
//	azure-iothub  Azure IoT Hub, "Import and export IoT Hub device identities in bulk" (read in November 2026), and the
//	              release notes of the Azure CLI extension for IoT 0.25.0: thumbprints are SHA-256
//	nrf-cloud     github.com/nRFCloud/utils, nrf_cloud_onboard.py and cli_helpers.py (July 2026)
//	pkcs7         RFC 5652 section 5.1, RFC 7468 section 8
//	c             C99; the include files of Zephyr's TLS credentials (subsys/shell/backends/mqtt-shell-certs.h)
package export

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hallmark/devices"
	"hallmark/station/reason"
	"hallmark/station/registry"
	"hallmark/station/workdir"
)

// A Row is one active certificate of a board.
type Row struct {
	registry.ActiveCertificate
	Certificate *x509.Certificate
}

// NewRow parses the certificate of a row of the registry.
func NewRow(c registry.ActiveCertificate) (*Row, error) {
	certificate, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return nil, fmt.Errorf("board %v: reading its certificate: %w", c.BoardID, err)
	}
	return &Row{c, certificate}, nil
}

// serial gives the serial number as lists of the station have it.
func (r *Row) serial() string { return fmt.Sprintf("%032x", r.Certificate.SerialNumber) }

func (r *Row) sha256() string {
	sum := sha256.Sum256(r.DER)
	return hex.EncodeToString(sum[:])
}

// Refusals.
var (
	ErrUnknownFormat = errors.New("unknown format")
	ErrOtherName     = errors.New("the common name of the certificate is not the BoardID, so the service would not find the board by its certificate")
	ErrOtherIssuer   = errors.New("another CA than the present issuing CA signed the certificate, so the chain of this station does not fit")
)

// deviceID gives the name of a board in a cloud: the BoardID. The services compare it with the common name.
func (r *Row) deviceID() (string, error) {
	if r.Certificate.Subject.CommonName != r.BoardID.String() {
		return "", fmt.Errorf("board %v: %w", r.BoardID, ErrOtherName)
	}
	return r.BoardID.String(), nil
}

// A Chain has the certificates above those of boards.
type Chain struct{ Issuing, Root *x509.Certificate }

// of gives the certificate of a board and those above it.
func (c Chain) of(r *Row) ([][]byte, error) {
	if !bytes.Equal(r.Certificate.RawIssuer, c.Issuing.RawSubject) || !bytes.Equal(r.Certificate.AuthorityKeyId, c.Issuing.SubjectKeyId) {
		return nil, fmt.Errorf("board %v: %w", r.BoardID, ErrOtherIssuer)
	}
	return [][]byte{r.DER, c.Issuing.Raw, c.Root.Raw}, nil
}

// A File is a file below a directory.
type File struct {
	Name    string
	Content []byte
}

// A Format is a form of files. A format writes one new file, or a new directory.
type Format struct {
	Name      string
	Text      string // what it is, for people
	Folder    bool   // writes a directory
	TLSOnly   bool   // only certificates of TLS keys are in it
	Boardless bool   // has content before there is a board

	fixed func(Chain) ([]File, error)       // files that depend on no board
	board func(Chain, *Row) ([]File, error) // the files of one board
	list  *list                             // files with an item for each board
}

// formats in the order of the documentation.
var formats = []*Format{pkcs7, csvList, jsonLines, awsBulk, awsJITP, azureDPS, azureHub, nrfCloud, cSource}

// All gives the formats.
func All() []*Format { return slices.Clone(formats) }

// Find gives the format with a name.
func Find(name string) (*Format, error) {
	var known []string
	for _, f := range formats {
		if f.Name == name {
			return f, nil
		}
		known = append(known, f.Name)
	}
	return nil, fmt.Errorf("%q: %w: want pem or one of %s", name, ErrUnknownFormat, strings.Join(known, ", "))
}

// ErrEmpty: there is no row to write.
var ErrEmpty = errors.New("there is no active certificate to export")

// Write writes the rows to a new file, or to a new directory, which gets its name when everything is in it. each calls
// visit for each row. Write returns the number of certificates, and whether it wrote: a file that has the right content stays.
func (f *Format) Write(to string, chain Chain, each func(visit func(*Row) error) error) (rows int, written bool, err error) {
	if f.Folder {
		err = workdir.BuildNew(to, func(folder string) error {
			rows, err = f.write(&folderOutput{folder: folder}, chain, each)
			return err
		})
		return rows, err == nil, err
	}
	written, err = workdir.WriteNew(to, func(w io.Writer) error {
		rows, err = f.write(fileOutput{w}, chain, each)
		return err
	})
	return rows, written, err
}

func (f *Format) write(to output, chain Chain, each func(visit func(*Row) error) error) (rows int, err error) {
	if f.fixed != nil {
		files, err := f.fixed(chain)
		if err = errors.Join(err, putAll(to, files)); err != nil {
			return 0, err
		}
	}
	items := &items{list: f.list, to: to}
	err = each(func(r *Row) error {
		if f.TLSOnly && r.Purpose != devices.PurposeTLS {
			return nil
		}
		rows++
		return f.writeRow(to, items, chain, r)
	})
	if err = errors.Join(err, items.end()); err == nil && rows == 0 && !f.Boardless {
		err = reason.Usage(ErrEmpty)
	}
	return rows, err
}

func (f *Format) writeRow(to output, items *items, chain Chain, r *Row) error {
	if f.board != nil {
		files, err := f.board(chain, r)
		if err = errors.Join(err, putAll(to, files)); err != nil {
			return err
		}
	}
	if f.list == nil {
		return nil
	}
	item, err := f.list.item(chain, r)
	if err != nil {
		return err
	}
	return items.add(item)
}
