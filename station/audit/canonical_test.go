package audit

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

// wholeEntry has every field.
func wholeEntry() Entry {
	return Entry{Actor: Actor{"ann", "human"}, Category: CategoryLine, Type: "run.pass", Outcome: Success, ID: "0190", Reason: "r", Seq: 12, Station: "Werk Süd", V: Version,
		Board:     &Board{Firmware: "1.0", HardwareID: "00", HUK: "fuse", ID: "b", SHA256: "aa", Type: "posix"},
		Cert:      &Cert{"ml-dsa-44", "c", "i", "na", "nb", "p", "ps", "tls", true, "s", "h", "spki", "active", "tbs"},
		Details:   map[string]string{"a": "", "b": "x", "ä": "y"},
		Run:       &Run{"bay", "id", "ann", "issued", "tls", "rw", []Step{{"identify", 1, 0, 20}, {"sign", -3, 2, 0}}},
		Time:      Time{time.Date(2026, 2, 28, 23, 59, 59, 999999999, time.UTC)},
		WorkOrder: &WorkOrder{5, "o", "p", -7},
	}
}

// The fast parser takes what encoding/json takes after all checks, and reads the same.
func agree(t *testing.T, body []byte) (fast bool) {
	t.Helper()
	got, fast := decodeCanonical(body)
	want, err := decodeStrictly(body)
	if fast && err != nil {
		t.Errorf("%s: taken, and not canonical: %v", body, err)
	} else if fast && !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", body, got, want)
	}
	return fast
}

func TestTheFastParserTakesWhatStationsWrite(t *testing.T) {
	bare := Entry{Actor: Itself(), Category: CategoryLog, Type: "log.startup", Outcome: Success, V: Version}
	empty := wholeEntry()
	empty.Board, empty.Cert, empty.Run, empty.WorkOrder = &Board{}, &Cert{}, &Run{}, &WorkOrder{}
	for _, e := range []Entry{wholeEntry(), bare, empty} {
		body, err := Encode(e)
		must(t, err)
		if !agree(t, body) {
			t.Errorf("%s is left to encoding/json", body)
		}
	}
}

// special are the octets that mean something in JSON or UTF-8, and those beside them.
const special = "\x00\x09\x0a\x1f !\"#&+,-./019:<>AEZ[\\]aefnuz{|}\x7f\x80\xa8\xc0\xc3\xe2\xed\xf4\xff"

// Each octet of an entry becomes each special octet, and each octet is removed and doubled. FuzzCanonical tries others.
func TestTheFastParserTakesNothingElse(t *testing.T) {
	whole, err := Encode(wholeEntry())
	must(t, err)
	for at := range whole {
		for i := range len(special) {
			changed := bytes.Clone(whole)
			changed[at] = special[i]
			agree(t, changed)
		}
		agree(t, append(bytes.Clone(whole[:at]), whole[at+1:]...))
		agree(t, append(bytes.Clone(whole[:at+1]), whole[at:]...))
		agree(t, whole[:at])
	}
}

func FuzzCanonical(f *testing.F) {
	for _, text := range []string{
		`{"actor":{"id":"a","kind":"b"},"category":"c","id":"","outcome":"o","seq":-0,"station":"","ts":"2026-02-30T00:00:00.000000000Z","type":"t","v":1}`,
		`{"actor":{"id":"a","kind":"b"},"category":"c","details":{"b":"","a":""},"id":"","outcome":"o","seq":01,"station":"","ts":"0000-01-01T24:00:00.000000000Z","type":"t","v":1}`,
		`{"actor":{"id":"a\"","kind":"<"},"category":"c","details":{},"id":"","outcome":"o","seq":9223372036854775807,"station":"` + "\u2028\x7f" + `","ts":"2026-01-01T00:00:00.000000000Z","type":"t","v":1}`,
	} {
		f.Add([]byte(text))
	}
	body, err := Encode(wholeEntry())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, body) })
}

func BenchmarkDecode(b *testing.B) {
	body, err := Encode(wholeEntry())
	must(b, err)
	for name, decode := range map[string]func([]byte) (Entry, error){"canonical": Decode, "strictly": decodeStrictly} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
