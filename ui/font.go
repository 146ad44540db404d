package ui

import "strings"

// Large words are drawn in a font of three by five dots. The small size has two dots in each cell, one above the
// other, and takes three lines. The large size takes two cells for each dot, and five lines.

// glyphs gives the dots of the letters that the catalogue's ending words use, row by row.
func glyphs(r rune) string {
	switch r {
	case 'A':
		return ".X.X.XXXXX.XX.X"
	case 'B':
		return "XX.X.XXX.X.XXX."
	case 'C':
		return ".XXX..X..X...XX"
	case 'D':
		return "XX.X.XX.XX.XXX."
	case 'E':
		return "XXXX..XX.X..XXX"
	case 'F':
		return "XXXX..XX.X..X.."
	case 'G':
		return ".XXX..X.XX.X.XX"
	case 'H':
		return "X.XX.XXXXX.XX.X"
	case 'I':
		return "XXX.X..X..X.XXX"
	case 'J':
		return "..X..X..XX.X.X."
	case 'K':
		return "X.XX.XXX.X.XX.X"
	case 'L':
		return "X..X..X..X..XXX"
	case 'M':
		return "X.XXXXXXXX.XX.X"
	case 'N':
		return "XX.X.XX.XX.XX.X"
	case 'O':
		return ".X.X.XX.XX.X.X."
	case 'Ö':
		return "X.X....X.X.X.X."
	case 'P':
		return "XX.X.XXX.X..X.."
	case 'R':
		return "XX.X.XXX.X.XX.X"
	case 'S':
		return ".XXX...X...XXX."
	case 'T':
		return "XXX.X..X..X..X."
	case 'U':
		return "X.XX.XX.XX.XXXX"
	case 'V':
		return "X.XX.XX.XX.X.X."
	}
	return ""
}

// largeWord gives the lines of a word, or nil when it does not fit or a letter has no glyph.
func largeWord(word string, columns, rows int, s shapes) []string {
	letters := []rune(strings.ToUpper(word))
	if rows >= 5 && len(letters)*8-2 <= columns {
		return dots(letters, 1, 2, s)
	}
	if rows >= 3 && len(letters)*4-1 <= columns && s.half[3] != 0 {
		return dots(letters, 2, 1, s)
	}
	return nil
}

// dots draws with `stacked` dots in the height of a cell and each `wide` cells wide.
func dots(letters []rune, stacked, wide int, s shapes) []string {
	lines := make([]string, 6/stacked)
	if stacked == 1 {
		lines = lines[:5]
	}
	for i, letter := range letters {
		glyph := glyphs(letter)
		if glyph == "" {
			return nil
		}
		for y := range lines {
			if i > 0 {
				lines[y] += strings.Repeat(" ", wide)
			}
			for x := range 3 {
				lines[y] += strings.Repeat(string(dot(glyph, x, y*stacked, stacked, s)), wide)
			}
		}
	}
	return lines
}

func dot(glyph string, x, y, stacked int, s shapes) rune {
	on := func(y int) bool { return y < 5 && glyph[y*3+x] == 'X' }
	switch {
	case stacked == 1 && on(y):
		return s.full
	case stacked == 1:
		return ' '
	case on(y) && on(y+1):
		return s.half[3]
	case on(y):
		return s.half[1]
	case on(y + 1):
		return s.half[2]
	}
	return ' '
}
