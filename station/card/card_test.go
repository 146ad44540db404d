package card

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hallmark/configs"
	"hallmark/station/barcode"
	"hallmark/station/label"
)

var update = flag.Bool("update", false, "write the sheet anew")

var (
	twoBays   = []configs.Bay{{Name: "left"}, {Name: "right"}}
	operators = map[string]configs.Operator{"OP-1001": {ID: "anna", Name: "Anna Schmidt"}, "OP-1002": {ID: "ben", Name: "Ben <b>O'Neil</b>"}, "OP-2001": {ID: "anna", Name: "Anna Schmidt"}}
)

// The sheet was read by zbarimg from a picture of headless Chromium: each label in both codes.
func TestASheetHasEachLabelInBothCodes(t *testing.T) {
	w := wanted{allBadges: true, allBays: true, bays: []string{"2"}, orders: []string{"WO-4711"}, boards: []string{"034747acd2885c269fc753c56165b6d5"}}
	labels, err := w.labels(twoBays, operators)
	if err != nil {
		t.Fatal(err)
	}
	var sheet strings.Builder
	if err := Write(&sheet, "Line 3", label.NewReader(), labels); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "card.html")
	if *update {
		if err := os.WriteFile(path, []byte(sheet.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sheet.String() != string(want) {
		t.Errorf("the sheet differs from %s; make it with -update and read it with a scanner", path)
	}
	for _, foreign := range []string{"<script", "http", "<b>O"} {
		if strings.Contains(sheet.String(), foreign) {
			t.Errorf("the sheet has %q", foreign)
		}
	}
	body := sheet.String()[strings.Index(sheet.String(), "<body>"):]
	if err := xml.Unmarshal([]byte(strings.TrimSuffix(strings.TrimSpace(body), "</html>")), new(struct{})); err != nil {
		t.Errorf("the body is not well-formed: %v", err)
	}
}

func TestWhichLabelsAreAskedFor(t *testing.T) {
	for _, test := range []struct {
		name   string
		bays   []configs.Bay
		wanted wanted
		want   string
		err    error
	}{
		{"all badges of one person", twoBays, wanted{badges: []string{"anna"}}, "OP-1001 OP-2001", nil},
		{"a bay by its number, and once only", twoBays, wanted{bays: []string{"1", "left"}}, "BAY-left", nil},
		{"any number without bays in station.yaml", nil, wanted{bays: []string{"3"}}, "BAY-3", nil},
		{"a board without dashes", nil, wanted{boards: []string{"034747ACD2885C269FC753C56165B6D5"}}, "034747ac-d288-5c26-9fc7-53c56165b6d5", nil},
		{"nothing", twoBays, wanted{}, "", errNothing},
		{"a bay that is not there", twoBays, wanted{bays: []string{"3"}}, "", errNoBay},
		{"all bays of none", nil, wanted{allBays: true}, "", errNoBays},
		{"a person who is not there", twoBays, wanted{badges: []string{"carl"}}, "", errNoBadge},
	} {
		t.Run(test.name, func(t *testing.T) {
			labels, err := test.wanted.labels(test.bays, operators)
			if !errors.Is(err, test.err) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			var texts []string
			for _, l := range labels {
				texts = append(texts, l.Text)
			}
			if got := strings.Join(texts, " "); err == nil && got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A label that the screen would not take for what it is does not get printed, and nothing else of the sheet either.
func TestALabelThatTheScreenDoesNotReadIsRefused(t *testing.T) {
	patterns := label.NewReader()
	pattern, err := label.ParsePattern(`PO(?P<order>\d{8})`)
	if err != nil {
		t.Fatal(err)
	}
	patterns.Patterns, patterns.Before = []label.Pattern{pattern}, "~"
	for _, test := range []struct {
		name   string
		reader *label.Reader
		label  Label
		want   error
	}{
		{"a work order with its prefix", label.NewReader(), Label{Kind: label.Order, Text: "WO-1"}, nil},
		{"a work order by a pattern, with a scanner that types a prefix", patterns, Label{Kind: label.Order, Text: "PO00000077"}, nil},
		{"a work order without prefix and pattern", label.NewReader(), Label{Kind: label.Order, Text: "4711"}, ErrNotRead},
		{"a badge that is read as a work order", label.NewReader(), Label{Kind: label.Badge, Text: "WO-17"}, ErrNotRead},
		{"a board that is none", label.NewReader(), Label{Kind: label.Board, Text: "034747ac"}, ErrNotRead},
		{"letters that no scanner types", label.NewReader(), Label{Kind: label.Badge, Text: "OP-Müller"}, barcode.ErrCharacter},
		{"a text that is too long", label.NewReader(), Label{Kind: label.Bay, Text: "BAY-" + strings.Repeat("x", 48)}, barcode.ErrLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			var sheet strings.Builder
			err := Write(&sheet, "Line 3", test.reader, []Label{{Kind: label.Bay, Text: "BAY-1"}, test.label})
			if !errors.Is(err, test.want) || (err == nil) == (sheet.Len() == 0) {
				t.Errorf("got %v and %d octets, want %v", err, sheet.Len(), test.want)
			}
		})
	}
	if err := Write(failing{}, "Line 3", label.NewReader(), []Label{{Kind: label.Bay, Text: "BAY-1"}}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a sheet that cannot be written: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
