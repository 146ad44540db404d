package ui

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// A terminalColours is how a terminal shows the sixteen colours, its text and its background, each as RRGGBB.
type terminalColours struct {
	front, back  string
	colours      string // black, red, green, yellow, blue, magenta, cyan, white, and the same bright
	boldIsBright bool   // bold text of the first eight colours has the bright colour
}

// rgb gives the shares of red, green and blue of a colour, 0 to 1.
func rgb(t *testing.T, colour string) (shares [3]float64) {
	t.Helper()
	n, err := strconv.ParseUint(colour, 16, 24)
	if err != nil {
		t.Fatal(err)
	}
	for i := range shares {
		shares[i] = float64(n>>(16-8*i)&0xff) / 255
	}
	return shares
}

// luminance is the relative luminance of a colour (WCAG 2.2, section 6).
func luminance(shares [3]float64) float64 {
	for i, s := range shares {
		if s <= 0.04045 {
			shares[i] = s / 12.92
		} else {
			shares[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*shares[0] + 0.7152*shares[1] + 0.0722*shares[2]
}

// contrast is the contrast ratio of the text of a style, 1 to 21 (WCAG 2.2, section 6). Faint text has two thirds of its colour, as
// xterm and others draw it.
func (c terminalColours) contrast(t *testing.T, code string) float64 {
	t.Helper()
	table := strings.Fields(c.colours)
	front, back, dark := c.front, c.back, -1
	bold, faint, reverse := false, false, false
	for _, word := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(code, "\x1b["), "m"), ";") {
		n, err := strconv.Atoi(word)
		switch {
		case err != nil:
			t.Fatalf("%q: %v", code, err)
		case n == 1:
			bold = true
		case n == 2:
			faint = true
		case n == 4:
		case n == 7:
			reverse = true
		case n >= 30 && n < 38:
			front, dark = table[n-30], n-30
		case n >= 40 && n < 48:
			back = table[n-40]
		case n >= 90 && n < 98:
			front, dark = table[n-90+8], -1
		case n >= 100 && n < 108:
			back = table[n-100+8]
		default:
			t.Fatalf("%q: what does %d look like?", code, n)
		}
	}
	if bold && c.boldIsBright && dark >= 0 {
		front = table[dark+8]
	}
	f, b := rgb(t, front), rgb(t, back)
	if reverse {
		f, b = b, f
	}
	if faint {
		for i := range f {
			f[i] = f[i]*2/3 + b[i]/3
		}
	}
	high, low := luminance(f), luminance(b)
	return (max(high, low) + 0.05) / (min(high, low) + 0.05)
}

// Each text can be read: its contrast is 4.5:1 or more (WCAG 2.2, 1.4.3), with the colours that terminals begin with.
func TestEachStyleHasEnoughContrast(t *testing.T) {
	const xterm = "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff"
	const gnome = "171421 c01c28 26a269 a2734c 12488b a347ba 2aa1b3 d0cfcc 5e5c64 f66151 33da7a e9ad0c 2a7bde c061cb 33c7de ffffff"
	const vga = "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa 555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff"
	darks := map[string]terminalColours{"xterm": {"e5e5e5", "000000", xterm, true}, "GNOME": {"d0cfcc", "171421", gnome, false}, "pictures": {"d4d8de", "14171c", strings.ReplaceAll(strings.Join(colours[:], " "), "#", ""), false}}
	lights := map[string]terminalColours{"xterm": {"000000", "ffffff", xterm, true}, "GNOME": {"171421", "ffffff", gnome, false}}
	for scheme, terminals := range map[ColourScheme]map[string]terminalColours{SchemeDark: darks, SchemeLight: lights, SchemeContrast: darks} {
		for name, terminal := range terminals {
			for s, code := range newTheme(scheme, unicodeCharacters).codes {
				if code == "" {
					continue
				}
				if ratio := terminal.contrast(t, code); ratio < 4.5 {
					t.Errorf("%s on %s: style %d (%q) has a contrast of %.1f", scheme, name, s, code, ratio)
				}
			}
		}
	}
	console := terminalColours{"aaaaaa", "000000", vga, true}
	for s, code := range newTheme(SchemeDark, consoleCharacters).codes {
		if code == "" {
			continue
		}
		if strings.Contains(code, "[2m") {
			t.Errorf("style %d: the console of Linux draws faint text in dark grey, 2.8:1", s)
		}
		least := 4.5
		if strings.Contains(code, ";43") {
			least, code = 4, strings.Replace(code, ";103", "", 1) // its yellow is brown, and it may not know bright backgrounds
		}
		if ratio := console.contrast(t, code); ratio < least {
			t.Errorf("the console of Linux: style %d (%q) has a contrast of %.1f", s, code, ratio)
		}
	}
}
