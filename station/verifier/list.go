package verifier

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"hallmark/devices"
	"hallmark/station"
)

// A List is a [Known] that is read from a file, for a verifier that runs without
// a station. A List does not change after [ReadList].
type List struct {
	records map[[16]byte]station.Record
}

// maxLine bounds one line of a list, in octets.
const maxLine = 1024

// errLine is the error of a line that ReadList refuses.
var errLine = errors.New("want one JSON object with serial, board_id, purpose, certificate_sha256, status")

// ReadList reads JSON lines. Each line is an object with exactly these keys:
// serial (32 hexadecimal digits), board_id (a BoardID), purpose (tls or cose),
// certificate_sha256 (64 hexadecimal digits) and status (issued, delivered,
// active, superseded, revoked, scrapped, unresolved or held). ReadList skips empty lines.
// For any other line it returns an error with the line number.
func ReadList(r io.Reader) (*List, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading the list of known certificates: %w", err)
	}
	list := &List{records: map[[16]byte]station.Record{}}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := list.add(line); err != nil {
			return nil, fmt.Errorf("reading the list of known certificates: line %d: %w", number, err)
		}
	}
	return list, nil
}

// Len returns the number of certificates in the list.
func (l *List) Len() int { return len(l.records) }

// Lookup implements [Known].
func (l *List) Lookup(_ context.Context, serial [16]byte) (station.Record, error) {
	record, ok := l.records[serial]
	if !ok {
		return station.Record{}, station.ErrUnknownCertificate
	}
	return record, nil
}

func (l *List) add(text []byte) error {
	if len(text) > maxLine {
		return fmt.Errorf("%w: it is longer than %d octets", errLine, maxLine)
	}
	fields, err := parseLine(text)
	if err != nil {
		return fmt.Errorf("%w: %w", errLine, err)
	}
	serial, record, err := fields.record()
	if err != nil {
		return fmt.Errorf("%w: %w", errLine, err)
	}
	if _, twice := l.records[serial]; twice {
		return fmt.Errorf("serial number %x stands here for the second time", serial)
	}
	l.records[serial] = record
	return nil
}

// listKeys are the keys of a line. Each key must be there exactly once.
var listKeys = []string{"serial", "board_id", "purpose", "certificate_sha256", "status"}

type fields map[string]string

// parseLine reads an object of strings token by token. encoding/json's decoding
// into a struct would accept keys in another letter case and keys that occur twice.
func parseLine(text []byte) (fields, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.Join(errors.New("it does not begin as an object"), err)
	}
	got := fields{}
	for decoder.More() {
		if err := got.next(decoder); err != nil {
			return nil, err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	for _, key := range listKeys {
		if _, there := got[key]; !there {
			return nil, fmt.Errorf("key %q is missing", key)
		}
	}
	return got, nil
}

func (f fields) next(decoder *json.Decoder) error {
	key, err := decoder.Token()
	if err != nil {
		return err
	}
	name, _ := key.(string)
	if !slices.Contains(listKeys, name) {
		return fmt.Errorf("unknown key %q", cut(name))
	}
	if _, twice := f[name]; twice {
		return fmt.Errorf("key %q stands there twice", name)
	}
	value, err := decoder.Token()
	if err != nil {
		return err
	}
	text, isText := value.(string)
	if !isText {
		return fmt.Errorf("the value of %q is not a string", name)
	}
	f[name] = text
	return nil
}

func (f fields) record() (serial [16]byte, record station.Record, err error) {
	if err := unhex(serial[:], f["serial"]); err != nil {
		return serial, record, fmt.Errorf("serial: %w", err)
	}
	if err := unhex(record.CertificateSHA256[:], f["certificate_sha256"]); err != nil {
		return serial, record, fmt.Errorf("certificate_sha256: %w", err)
	}
	if record.BoardID, err = devices.ParseBoardID(f["board_id"]); err != nil {
		return serial, record, fmt.Errorf("board_id: %w", err)
	}
	if record.Purpose, err = devices.ParsePurpose(f["purpose"]); err != nil {
		return serial, record, err
	}
	record.Status = station.Status(f["status"])
	return serial, record, knownStatus(record.Status)
}

// statuses are the statuses that a line may have.
var statuses = []station.Status{
	station.StatusIssued, station.StatusDelivered, station.StatusActive, station.StatusSuperseded,
	station.StatusRevoked, station.StatusScrapped, station.StatusUnresolved, station.StatusHeld,
}

func knownStatus(status station.Status) error {
	if !slices.Contains(statuses, status) {
		return fmt.Errorf("status %q is none of %v", cut(string(status)), statuses)
	}
	return nil
}

// unhex decodes text, which must have exactly the length that fills dst.
func unhex(dst []byte, text string) error {
	if len(text) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("want %d hexadecimal digits, got %d characters", hex.EncodedLen(len(dst)), len(text))
	}
	_, err := hex.Decode(dst, []byte(text))
	return err
}
