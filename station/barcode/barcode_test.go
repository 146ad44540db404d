package barcode

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The check value of the example that is printed most often, in set A: PJJ123C has 54.
func TestCheckValueOfAPublishedExample(t *testing.T) {
	got := checked([]int{103, 48, 42, 42, 17, 18, 19, 35})
	if want := []int{103, 48, 42, 42, 17, 18, 19, 35, 54, 106}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Each value has 11 modules (the stop has 13), the bars of a value have an even number of them, and no two values are alike (ISO/IEC 15417 section 4.3.1).
func TestWidthsOfAllValues(t *testing.T) {
	seen := map[string]int{}
	for value, text := range widths {
		all, black := 0, 0
		for i, digit := range text {
			if all += int(digit - '0'); i%2 == 0 {
				black += int(digit - '0')
			}
		}
		if want := 11 + 2*(value/stop); all != want || black%2 != 0 && value != stop {
			t.Errorf("value %d has %d modules, %d of them black", value, all, black)
		}
		if other, twice := seen[text]; twice {
			t.Errorf("values %d and %d are alike", other, value)
		}
		seen[text] = value
	}
}

// A program of another project (zbarimg) read the same texts from these symbols.
func TestATextIsReadBackFromItsBars(t *testing.T) {
	for text, symbols := range map[string]int{
		"WO-1": 4, "OP-17": 5, "BAY-left": 8, "WO-20261130": 8, "034747ac-d288-5c26-9fc7-53c56165b6d5": 34,
		"1": 1, "12": 2, "1234": 2, "12345": 4, "1234A": 4, "A12345": 5, "A123456B": 7, "A1234567B": 8,
		` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFG`: 37, "HIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnop": 41, "qrstuvwxyz{|}~": 14,
	} {
		symbol, err := Code128(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, number := read(t, symbol); got != text || number != symbols {
			t.Errorf("%q is read as %q in %d values, want %d", text, got, number, symbols)
		}
	}
}

var bar = regexp.MustCompile(`M(\d+) 0h(\d+)v40h-\d+z`)

// read reads a symbol from its bars: the text, and the number of values between start and check value.
func read(t *testing.T, symbol Symbol) (text string, number int) {
	t.Helper()
	var runs strings.Builder
	at := quiet
	for _, match := range bar.FindAllStringSubmatch(symbol.Path, -1) {
		x, _ := strconv.Atoi(match[1])
		if x > at {
			runs.WriteString(strconv.Itoa(x - at))
		}
		w, _ := strconv.Atoi(match[2])
		runs.WriteString(match[2])
		at = x + w
	}
	if symbol.Width != at+quiet {
		t.Errorf("the symbol has %d modules, and its bars end at %d", symbol.Width, at)
	}
	var all []int
	for digits := runs.String(); digits != ""; {
		n := 6
		if len(digits) == 7 {
			n = 7
		}
		all = append(all, slices.Index(widths[:], digits[:n]))
		digits = digits[n:]
	}
	last := len(all) - 2
	if !slices.Equal(checked(slices.Clone(all[:last])), all) {
		t.Errorf("the check value of %v is wrong", all)
	}
	set := all[0]
	for _, value := range all[1:last] {
		switch {
		case set == startB && value == codeC:
			set = startC
		case set == startC && value == codeB:
			set = startB
		case set == startC:
			text += string(rune('0'+value/10)) + string(rune('0'+value%10))
		default:
			text += string(rune(' ' + value))
		}
	}
	return text, last - 1
}

func TestTextsThatHaveNoCode128(t *testing.T) {
	for text, want := range map[string]error{"": ErrEmpty, "größe": ErrCharacter, "OP-\x1d1": ErrCharacter, "OP-17\n": ErrCharacter, strings.Repeat("A", longest128+1): ErrLong} {
		if _, err := Code128(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestAQRCodeHasItsBorderAndRefusesATextThatIsTooLong(t *testing.T) {
	symbol, err := QR("WO-1")
	if err != nil || symbol.Width != 21+2*quietZone || symbol.Height != symbol.Width || !strings.HasPrefix(symbol.Path, "M4 4h7v1h-7z") {
		t.Errorf("got %d × %d, %.20q, %v", symbol.Width, symbol.Height, symbol.Path, err)
	}
	if _, err := QR(strings.Repeat("x", 2332)); err == nil {
		t.Error("a text that is too long was taken")
	}
}
