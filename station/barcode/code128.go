package barcode

import (
	"errors"
	"fmt"
	"strings"
)

// Values of Code 128 with a meaning of their own (ISO/IEC 15417 table 1).
const (
	codeC   = 99  // in set B: the next values are pairs of digits
	codeB   = 100 // in set C: the next values are characters
	startB  = 104
	startC  = 105
	stop    = 106
	modulus = 103
)

// quiet is the white border at each side in modules (ISO/IEC 15417 section 4.4).
const quiet = 10

// barHeight is the height of a symbol in modules. It is 15 % of the width of a symbol of 19 letters, as ISO/IEC 15417 section 4.5
// recommends. A longer symbol is lower than that, because labels have one height.
const barHeight = 40

// longest128 is the longest text in characters. A longer symbol does not fit across a sheet of A4.
const longest128 = 48

// Refusals of Code128.
var (
	ErrEmpty     = errors.New("want a text")
	ErrLong      = fmt.Errorf("want at most %d characters", longest128)
	ErrCharacter = errors.New("want characters of ASCII that can be printed, because a scanner types no others")
)

// Code128 makes the Code 128 of a text of 1 to 48 printable characters of ASCII.
func Code128(text string) (Symbol, error) {
	switch {
	case text == "":
		return Symbol{}, ErrEmpty
	case len(text) > longest128:
		return Symbol{}, fmt.Errorf("%q has %d characters: %w", text, len(text), ErrLong)
	}
	for _, r := range text {
		if r < ' ' || r > '~' {
			return Symbol{}, fmt.Errorf("%q has %q: %w", text, r, ErrCharacter)
		}
	}
	return bars(checked(values(text))), nil
}

// values gives start, characters and changes of the set. Set C is taken for four and more digits at an end of the text,
// and for six and more inside, because a pair of digits then needs one value (ISO/IEC 15417 annex E).
func values(text string) []int {
	var all []int
	set := 0
	for i := 0; i < len(text); {
		digits := digitsAt(text, i)
		if enough := digits >= 6 || digits >= 4 && (i == 0 || i+digits == len(text)); enough && (digits%2 == 0 || set == startB) {
			if digits%2 == 1 { // the first digit is of set B
				all = append(all, int(text[i]-' '))
				i++
			}
			all, set = change(all, set, startC, codeC), startC
			for ; digitsAt(text, i) >= 2; i += 2 {
				all = append(all, 10*int(text[i]-'0')+int(text[i+1]-'0'))
			}
			continue
		}
		all, set = change(all, set, startB, codeB), startB
		all = append(all, int(text[i]-' '))
		i++
	}
	return all
}

// change begins a set: with a start at the beginning, otherwise with a change if the set is another one.
func change(all []int, from, to, by int) []int {
	switch from {
	case to:
		return all
	case 0:
		return append(all, to)
	}
	return append(all, by)
}

func digitsAt(text string, i int) int {
	n := 0
	for i+n < len(text) && text[i+n] >= '0' && text[i+n] <= '9' {
		n++
	}
	return n
}

// checked adds the check value (ISO/IEC 15417 annex A) and the stop.
func checked(values []int) []int {
	sum := values[0]
	for i, value := range values {
		sum += i * value
	}
	return append(values, sum%modulus, stop)
}

func bars(values []int) Symbol {
	var path strings.Builder
	x := quiet
	for _, value := range values {
		for i, digit := range widths[value] {
			w := int(digit - '0')
			if i%2 == 0 {
				fmt.Fprintf(&path, "M%d 0h%dv%dh-%dz", x, w, barHeight, w)
			}
			x += w
		}
	}
	return Symbol{x + quiet, barHeight, path.String()}
}

// widths are the widths of bars and spaces in modules for each value, a bar first (ISO/IEC 15417 table 1).
var widths = [stop + 1]string{
	"212222", "222122", "222221", "121223", "121322", "131222", "122213", "122312", "132212", "221213", "221312", "231212",
	"112232", "122132", "122231", "113222", "123122", "123221", "223211", "221132", "221231", "213212", "223112", "312131",
	"311222", "321122", "321221", "312212", "322112", "322211", "212123", "212321", "232121", "111323", "131123", "131321",
	"112313", "132113", "132311", "211313", "231113", "231311", "112133", "112331", "132131", "113123", "113321", "133121",
	"313121", "211331", "231131", "213113", "213311", "213131", "311123", "311321", "331121", "312113", "312311", "332111",
	"314111", "221411", "431111", "111224", "111422", "121124", "121421", "141122", "141221", "112214", "112412", "122114",
	"122411", "142112", "142211", "241211", "221114", "413111", "241112", "134111", "111242", "121142", "121241", "114212",
	"124112", "124211", "411212", "421112", "421211", "212141", "214121", "412121", "111143", "111341", "131141", "114113",
	"114311", "411113", "411311", "113141", "114131", "311141", "411131", "211412", "211214", "211232", "2331112",
}
