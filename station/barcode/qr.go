// Package barcode makes QR codes and Code 128 as paths of SVG. A module is the smallest square or bar of a symbol.
package barcode

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// A Symbol is a barcode as the path of an SVG whose view box is "0 0 Width Height". Both are in modules, and have the white
// border that a scanner needs.
type Symbol struct {
	Width, Height int
	Path          string
}

// quietZone is the white border of a QR code in modules (ISO/IEC 18004 section 6.3.8).
const quietZone = 4

// QR makes the QR code of a text of any characters, with the error correction level M: 15 % of the code may be unreadable. It
// refuses a text that is longer than 2,331 octets.
func QR(text string) (Symbol, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return Symbol{}, fmt.Errorf("making the QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			start := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > start {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", start+quietZone, y+quietZone, x-start, x-start)
			}
		}
	}
	size := code.Size + 2*quietZone
	return Symbol{size, size, path.String()}, nil
}
