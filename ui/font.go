package ui

import "strings"

// Large words are drawn in a font of three by five dots, in four sizes.

// glyphs gives the dots of a letter, row by row. It is empty for a letter that the font does not have.
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
	case 'W':
		return "X.XX.XXXXXXXX.X"
	case 'X':
		return "X.XX.X.X.X.XX.X"
	case 'Y':
		return "X.XX.X.X..X..X."
	case 'Z':
		return "XXX..X.X.X..XXX"
	case 'Q':
		return ".X.X.XX.XXX..XX"
	}
	return ""
}

// A wordSize is how large a word is drawn.
type wordSize uint8

const (
	wordText   wordSize = iota // one row of text
	wordNarrow                 // two cells for each letter, three rows: each cell has two by two dots
	wordSpaced                 // the same with a gap of one cell after each letter
	wordHalf                   // four cells for each letter, three rows: each cell has two dots, one above the other
	wordWide                   // eight cells for each letter, five rows: each dot has two cells
	wordGreat                  // twelve cells for each letter, ten rows: each dot has four cells in each of two rows
)

// A wordForm is how the letters of a size are made.
type wordForm struct{ across, stacked, wide, tall, rows, gap int }

// wordForms says for each size how many dots a cell has across and in its height, how many cells wide and high a dot is, how
// many rows a word has, and how many cells are between two letters. A narrow letter has a column of dots that is empty.
var wordForms = map[wordSize]wordForm{wordNarrow: {2, 2, 1, 1, 3, 0}, wordSpaced: {2, 2, 1, 1, 3, 1}, wordHalf: {1, 2, 1, 1, 3, 1},
	wordWide: {1, 1, 2, 1, 5, 2}, wordGreat: {1, 1, 4, 2, 10, 4}}

// letter is the number of columns of a letter, without the gap.
func (f wordForm) letter() int { return (3 + f.across - 1) / f.across * f.wide }

// wordColumns is the number of columns of a word in a size.
func wordColumns(word string, size wordSize) int {
	if size == wordText {
		return width(word)
	}
	form := wordForms[size]
	return len([]rune(word))*(form.letter()+form.gap) - form.gap
}

// largest gives the largest size of a word that fits.
func largest(word string, columns, rows int, s shapes) wordSize {
	for _, r := range strings.ToUpper(word) {
		if glyphs(r) == "" {
			return wordText
		}
	}
	for size := wordGreat; size > wordText; size-- {
		form := wordForms[size]
		if form.rows > rows || wordColumns(word, size) > columns || form.stacked == 2 && s.half[3] == 0 || form.across == 2 && s.quarters[1] == 0 {
			continue
		}
		return size
	}
	return wordText
}

// largeWord gives the rows of a word in a size that fits. It gives nil for wordText.
func largeWord(word string, size wordSize, s shapes) []string {
	if size == wordText {
		return nil
	}
	form := wordForms[size]
	lines := make([]string, form.rows)
	for i, letter := range []rune(strings.ToUpper(word)) {
		glyph := glyphs(letter)
		for y := range lines {
			if i > 0 {
				lines[y] += strings.Repeat(" ", form.gap)
			}
			for x := 0; x < 3; x += form.across {
				lines[y] += strings.Repeat(string(dot(glyph, x, y/form.tall*form.stacked, form, s)), form.wide)
			}
		}
	}
	return lines
}

// dot gives the cell whose first dot is at (x, y).
func dot(glyph string, x, y int, form wordForm, s shapes) rune {
	on := func(x, y int) int {
		if x < 3 && y < 5 && glyph[y*3+x] == 'X' {
			return 1
		}
		return 0
	}
	switch {
	case form.across == 2:
		return s.quarters[on(x, y)+2*on(x+1, y)+4*on(x, y+1)+8*on(x+1, y+1)]
	case form.stacked == 2:
		return s.half[on(x, y)+2*on(x, y+1)]
	case on(x, y) == 1:
		return s.full
	}
	return ' '
}
