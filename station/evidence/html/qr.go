package html

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quietZone is the white border of a QR code in modules (ISO/IEC 18004 section 6.3.8).
const quietZone = 4

// A symbol is a QR code as an SVG path in a square view box.
type symbol struct {
	Size int
	Path string
}

// symbolOf makes the QR code of a text.
func symbolOf(text string) (symbol, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return symbol{}, fmt.Errorf("making the QR code: %w", err)
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
	return symbol{code.Size + 2*quietZone, path.String()}, nil
}
