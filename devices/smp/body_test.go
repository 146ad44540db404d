package smp

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestABodyIsRefusedWhen(t *testing.T) {
	table := []struct {
		name, hex string
		body      Body
		says      string
	}{
		{"it is empty", "", new(Empty), "not a map"},
		{"it is null", "f6", new(Empty), "not a map"},
		{"it is an array", "80", new(Empty), "not a map"},
		{"octets follow the map", "a000", new(Empty), "extraneous"},
		{"it ends early", "a161", new(Empty), "EOF"},
		{"a key is unknown", "a1617a01", new(WriteSlotResponse), `"o" is missing`},
		{"a key is one too many", "a2616f01617a01", new(WriteSlotResponse), `"z" is unknown`},
		{"a key stands twice", "a2616f01616f01", new(WriteSlotResponse), "duplicate"},
		{"a key is an integer", "a2616f010101", new(WriteSlotResponse), "malformed"},
		{"a key differs in case", "a1614f01", new(WriteSlotResponse), "missing"},
		{"a number is a float", "a1616ff93c00", new(WriteSlotResponse), "wrong type"},
		{"a number is negative", "a1616f20", new(WriteSlotResponse), "wrong type"},
		{"a number is null", "a1616ff6", new(WriteSlotResponse), "wrong type"},
		{"a number is past its bound", "a1616f190401", new(WriteSlotResponse), "1025"},
		{"a number has a tag", "a1616fc101", new(WriteSlotResponse), "tag"},
		{"octets are text", "a163637372" + "6161", new(CSRResponse), "wrong type"},
		{"octets are an array of integers", "a163637372" + "8101", new(CSRResponse), "wrong type"},
		{"octets come in chunks", "a163637372" + "5f4101ff", new(CSRResponse), "wrong type"},
		{"octets are too few", "a163637372" + "40", new(CSRResponse), "want 1 to 768"},
		{"text is not UTF-8", "a1617261ff", new(EchoResponse), "UTF-8"},
		{"a flag is false", "a2627374016166f4", new(TLSResponse), "unknown"},
		{"more is false", "a262737401616df4", new(TLSResponse), "wrong type"},
		{"an error is too large", "a26273740361651b0000000100000000", new(TLSResponse), "malformed"},
		{"it is nested too deep", "a1617a8181818181", new(Empty), "nested"},
		{"offset 0 has no hash", "a361730061" + "6f006164" + "40", new(WriteSlot), "exactly when o is 0"},
		{"a caller is there without TF-M", "af6176016261620162626948626f6f74626f6f746262731908006262746a6d7073322d616e33383562636103626463206266685820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f62667765312e302e3062687302626877440102030462696450d5668f2264b74efdb4cb0b6d940434b0626c6300627075036273740f", new(HelloResponse), "dc is there exactly when"},
		{"TF-M has no caller", "ae6176016261620162626948626f6f74626f6f746262731908006262746a6d7073322d616e333835626361036266685820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f62667765312e302e3062687304626877440102030462696450d5668f2264b74efdb4cb0b6d940434b0626c6300627075036273740f", new(HelloResponse), "dc is there exactly when"},
		{"a caller is past 32 bits", "af6176016261620162626948626f6f74626f6f746262731908006262746a6d7073322d616e333835626361036264633a800000006266685820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f62667765312e302e3062687304626877440102030462696450d5668f2264b74efdb4cb0b6d940434b0626c6300627075036273740f", new(HelloResponse), "malformed"},
		{"a server name comes late", "a261710162736e6161", new(TLS), "exactly when q is 0"},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			encoded, err := hex.DecodeString(row.hex)
			if err != nil {
				t.Fatal(err)
			}
			err = unmarshalWhole(encoded, row.body)
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%v; want %v with %q", err, ErrMalformed, row.says)
			}
		})
	}
}

func TestAHeaderIsRefusedWhen(t *testing.T) {
	table := map[string]string{
		"it is short":            "0a000000004001",
		"a reserved bit is set":  "2a00000100400100a0",
		"its version is unknown": "1200000100400100a0",
		"its operation is":       "0c00000100400100a0",
		"a flag is set":          "0a01000100400100a0",
		"its length is wrong":    "0a00000200400100a0",
	}
	for name, text := range table {
		message, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ParseHeader(message); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingIsSentThatABoardWouldRefuse(t *testing.T) {
	table := map[string]Request{
		"a nonce of 15 octets":    &CSR{Nonce: make([]byte, 15)},
		"a subject of 33 octets":  &CSR{Nonce: make([]byte, 16), Organization: strings.Repeat("x", 33)},
		"a transfer without hash": &WriteSlot{Data: []byte{1}},
		"a session without name":  &TLS{},
	}
	for name, request := range table {
		if _, err := AppendRequest(nil, 1, request); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnOldSuccessIsASuccess(t *testing.T) {
	message := AppendMessage(nil, Header{Op: WriteResponse}, []byte{0xa1, 0x62, 'r', 'c', 0})
	if _, err := Parse(message, new(Empty)); err != nil {
		t.Error(err)
	}
}
