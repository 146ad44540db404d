package health

import (
	"strings"
	"testing"
	"time"

	"hallmark/configs"
	"hallmark/station/label"
)

const (
	scannedBoard = "11176ef9-1c2d-5f3a-9b4e-0123456789ab"
	onGerman     = "11176ef9ß1c2dß5f3aß9b4eß0123456789ab"
)

// typedAt gives octets that came one after the other with the same pause.
func typedAt(text string, pause time.Duration) (typed []typedOctet) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for i, octet := range []byte(text) {
		typed = append(typed, typedOctet{octet, at.Add(time.Duration(i) * pause)})
	}
	return typed
}

func TestWhatThreeScansShow(t *testing.T) {
	for _, tt := range []struct {
		name           string
		scans          [3]string
		wrong          int
		prefix, suffix string // as YAML
		says           []string
	}{
		{"a scanner that ends with enter", [3]string{"OP-17\r", "WO-4711\r", scannedBoard + "\r"}, 0, `""`, `""`,
			[]string{"up to 40 ms for a character", "ok    prefix: none", "ok    suffix: enter", "scanner and computer agree"}},
		{"STX and ETX", [3]string{"\x02OP-17\x03", "\x02WO-1\x03", "\x02BAY-1\x03"}, 0, `"\x02"`, `""`, []string{"prefix: STX", "suffix: ETX"}},
		{"signs in front and behind", [3]string{"~~OP-17#", "~~WO-1#", "~~BAY-1#"}, 0, `"~~"`, `"#"`, []string{`prefix: "~" "~"`, `suffix: "#"`}},
		{"AIM identifiers are no prefix", [3]string{"]C1OP-17\r\n", "]C1WO-1\r\n", "]d2BAY-1\r\n"}, 0, `""`, `""`, []string{"prefix: none", "suffix: enter line feed"}},
		{"no suffix", [3]string{"OP-17", "WO-1", "BAY-1"}, 1, `""`, `""`, []string{"FAIL  suffix: none"}},
		{"different suffixes", [3]string{"OP-17\r", "WO-1\t", "BAY-1\r"}, 1, `""`, `""`, []string{"behind enter and tab"}},
		{"caps lock", [3]string{"op-17\r", "wo-1\r", "bay-1\r"}, 1, `""`, `""`, []string{"FAIL  caps lock: it is on"}},
		{"a wrong layout", [3]string{onGerman + "\r", "OPß17\r", "WOß1\r"}, 1, `""`, `""`, []string{`set to "us" and the computer to "de": "ß" came for "-"`}},
		{"labels of others", [3]string{"4006381333931\r", "OP-17\r", "x\r"}, 2, `""`, `""`, []string{`label 1: no label of this station: "4006381333931"`, "labels in station.yaml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var scans []scan
			for _, text := range tt.scans {
				scans = append(scans, newScan(typedAt(text, 40*time.Millisecond), label.NewReader()))
			}
			f := conclude(scans, label.NewReader())
			said := strings.Join(f.lines(), "\n")
			for _, want := range append(tt.says, "prefix: "+tt.prefix+"\n", "suffix: "+tt.suffix) {
				if !strings.Contains(said, want) {
					t.Errorf("does not say %q:\n%s", want, said)
				}
			}
			if f.wrong != tt.wrong {
				t.Errorf("%d findings, want %d:\n%s", f.wrong, tt.wrong, said)
			}
			_, yaml, _ := strings.Cut(said, "For station.yaml:\n")
			if _, err := configs.Parse("station.yaml", []byte("hsm: {module: softhsm2, allow_software_token: true}\n"+yaml+"\n")); err != nil {
				t.Errorf("the station refuses what the doctor prints: %v\n%s", err, yaml)
			}
		})
	}
}

// The signs with which labels of this station begin are no prefix of the scanner.
func TestSignsOfTheLabelsAreNoPrefix(t *testing.T) {
	pattern, err := label.ParsePattern(`\{"id":"(?P<board>[0-9a-f-]{36})".*\}`)
	if err != nil {
		t.Fatal(err)
	}
	labels := label.NewReader()
	labels.Patterns = []label.Pattern{pattern}
	for _, frame := range []string{"", "~~"} {
		var scans []scan
		for range 3 {
			scans = append(scans, newScan(typedAt(frame+`{"id":"`+scannedBoard+`"}`+"\r", 40*time.Millisecond), labels))
		}
		f := conclude(scans, labels)
		if said := strings.Join(f.lines(), "\n"); f.wrong != 0 || f.prefix != frame || f.suffix != "\r" {
			t.Errorf("prefix %q, suffix %q, %d findings:\n%s", f.prefix, f.suffix, f.wrong, said)
		}
	}
}

func TestAScanSaysItsSpeed(t *testing.T) {
	typed := typedAt("OP-17\r", 60*time.Millisecond)
	typed[5].at = typed[5].at.Add(900 * time.Millisecond)
	if got := strings.Join(newScan(typed, label.NewReader()).lines(), "\n"); !strings.Contains(got, "60 ms for a character, the longest 960 ms; in front: none; behind: enter") ||
		!strings.Contains(got, `badge "OP-17"`) {
		t.Error(got)
	}
}
