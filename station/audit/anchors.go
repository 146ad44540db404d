package audit

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"hallmark/station/workdir"
)

// ErrNoAnchor: a file that should hold checkpoints holds something else.
var ErrNoAnchor = errors.New("not a checkpoint; want a file that `station audit checkpoint` printed")

// maxAnchors is the largest file of checkpoints, in octets: about 4,000 of them.
const maxAnchors = 1 << 20

// ReadAnchors reads files with checkpoints that were kept elsewhere, one or more in each file.
// It checks only the form of each checkpoint; verifying the log checks its signature.
func ReadAnchors(paths []string) (anchors [][]byte, err error) {
	for _, path := range paths {
		text, err := workdir.ReadInput(path, maxAnchors)
		if err != nil {
			return nil, fmt.Errorf("reading an anchor: %w", err)
		}
		some, err := ParseAnchors(text)
		if err != nil {
			return nil, fmt.Errorf("--anchor %s: %w", path, err)
		}
		anchors = append(anchors, some...)
	}
	return anchors, nil
}

// ParseAnchors splits a file with one or more checkpoints. The file may have a byte order mark,
// lines that end with CR LF or with spaces, several empty lines between checkpoints, and no end of
// the last line, as files have that came by mail. It may also have the QR code that `station audit
// checkpoint --qr` prints below a checkpoint.
func ParseAnchors(text []byte) ([][]byte, error) {
	notes := SplitNotes(tidy(text))
	for _, one := range notes {
		var unverified *note.UnverifiedNoteError
		if _, err := note.Open(one, note.VerifierList()); !errors.As(err, &unverified) {
			return nil, ErrNoAnchor
		}
	}
	if len(notes) == 0 {
		return nil, ErrNoAnchor
	}
	return notes, nil
}

// qrShapes are the characters of a printed QR code.
const qrShapes = " \u2580\u2584\u2588"

// tidy takes away what mail programs and printed QR codes add. A checkpoint has one empty line in
// it, and no line that ends with a space.
func tidy(text []byte) (clean []byte) {
	empty := true // so that empty lines at the beginning go, too
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) {
		line = bytes.TrimRight(line, " \t\r\n")
		if len(line) == 0 && empty || len(line) > 0 && len(bytes.Trim(line, qrShapes)) == 0 {
			continue
		}
		clean, empty = append(append(clean, line...), '\n'), len(line) == 0
	}
	return clean
}

// SplitNotes splits signed notes that stand one after the other with an empty line between.
func SplitNotes(text []byte) (notes [][]byte) {
	var note []byte
	signed := false
	for line := range bytes.Lines(text) {
		if signed && !bytes.HasPrefix(line, []byte("\u2014 ")) {
			notes, note, signed = append(notes, note), nil, false
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
		}
		note = append(note, line...)
		signed = signed || bytes.HasPrefix(line, []byte("\u2014 "))
	}
	if len(note) > 0 {
		notes = append(notes, note)
	}
	return notes
}
