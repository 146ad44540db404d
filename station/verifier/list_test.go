package verifier

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hallmark/station"
)

const (
	serialA = "4000000000000000000000000000000a"
	sumA    = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	lineA   = `{"serial":"` + serialA + `","board_id":"` + boardA + `","purpose":"tls","certificate_sha256":"` + sumA + `","status":"active"}`
)

func TestReadListTakesOnlyWhatItNames(t *testing.T) {
	for _, test := range []struct {
		name, text, want string // want empty: taken
	}{
		{"one line", lineA, ""},
		{"one line and empty ones", "\n" + lineA + "\r\n\n", ""},
		{"keys in another order", `{"purpose":"cose","status":"active","certificate_sha256":"` + sumA + `","board_id":"` + boardA + `","serial":"` + serialA + `"}`, ""},
		{"nothing at all", "", ""},
		{"a serial number twice", lineA + "\n" + lineA, "line 2: serial number " + serialA + " stands here for the second time"},
		{"an unknown key", strings.Replace(lineA, "{", `{"note":"x",`, 1), `line 1: want one JSON object with serial, board_id, purpose, certificate_sha256, status: unknown key "note"`},
		{"a key in other letters", strings.Replace(lineA, "serial", "Serial", 1), `unknown key "Serial"`},
		{"a key twice", strings.Replace(lineA, "{", `{"status":"revoked",`, 1), `key "status" stands there twice`},
		{"a missing key", `{"serial":"` + serialA + `"}`, `key "board_id" is missing`},
		{"a number as value", strings.Replace(lineA, `"active"`, `1`, 1), `the value of "status" is not a string`},
		{"an object as value", strings.Replace(lineA, `"active"`, `{}`, 1), `the value of "status" is not a string`},
		{"a short serial number", strings.Replace(lineA, serialA, "40", 1), "serial: want 32 hexadecimal digits, got 2 characters"},
		{"a serial number of other letters", strings.Replace(lineA, serialA, strings.Repeat("x", 32), 1), "serial: encoding/hex"},
		{"a BoardID in upper case", strings.Replace(lineA, boardA, strings.ToUpper(boardA), 1), "board_id: not a BoardID"},
		{"a status nobody knows", strings.Replace(lineA, `"active"`, `"golden"`, 1), `status "golden" is none of [issued delivered active superseded`},
		{"a purpose nobody knows", strings.Replace(lineA, `"tls"`, `"email"`, 1), `purpose "email": want tls or cose`},
		{"no purpose", strings.Replace(lineA, `"purpose":"tls",`, "", 1), `key "purpose" is missing`},
		{"two objects in a line", lineA + lineA, "something follows the object"},
		{"an array", "[]", "it does not begin as an object"},
		{"half a line", lineA[:40], "line 1: want one JSON object"},
		{"a line without end", strings.Repeat("x", maxLine+1), "it is longer than 1024 octets"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadList(strings.NewReader(test.text))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want …%s…", err, test.want)
			}
		})
	}
}

func TestALookupOfAnUnknownSerialNumberSaysSo(t *testing.T) {
	list, err := ReadList(strings.NewReader(lineA))
	fatalIf(t, err)
	if _, err := list.Lookup(t.Context(), [16]byte{1}); !errors.Is(err, station.ErrUnknownCertificate) {
		t.Errorf("got %v", err)
	}
	record, err := list.Lookup(t.Context(), [16]byte{0: 0x40, 15: 0x0a})
	if err != nil || record.BoardID.String() != boardA || record.Status != station.StatusActive {
		t.Errorf("got %+v, %v", record, err)
	}
}

// FuzzReadList checks a law: a list that ReadList accepts can be written from the
// parsed records, and ReadList reads the written list as the same records.
func FuzzReadList(f *testing.F) {
	f.Add([]byte(lineA))
	f.Add([]byte("\n" + lineA + "\n" + strings.Replace(lineA, serialA, sumA[:32], 1)))
	f.Add([]byte(`{"serial":"` + serialA + `"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ReadList(bytes.NewReader(text))
		if err != nil {
			return
		}
		var again bytes.Buffer
		for serial, record := range list.records {
			fmt.Fprintf(&again, `{"serial":"%x","board_id":"%s","purpose":"%s","certificate_sha256":"%x","status":"%s"}`+"\n",
				serial, record.BoardID, record.Purpose, record.CertificateSHA256, record.Status)
		}
		second, err := ReadList(&again)
		if err != nil || len(second.records) != len(list.records) {
			t.Fatalf("written again: %v", err)
		}
		for serial, record := range list.records {
			if second.records[serial] != record {
				t.Errorf("%x: %+v became %+v", serial, record, second.records[serial])
			}
		}
	})
}
