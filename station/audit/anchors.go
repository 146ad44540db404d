package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
)

// ErrNoAnchor: a file that should hold checkpoints holds something else.
var ErrNoAnchor = errors.New("not a checkpoint; want a file that `station audit checkpoint` printed")

// ReadAnchors reads files with checkpoints that were kept elsewhere, one or more in each file.
// It checks only the form of each checkpoint; verifying the log checks its signature.
func ReadAnchors(paths []string) (anchors [][]byte, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
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
// lines that end with CR LF, and no end of the last line, as files have that came by mail.
func ParseAnchors(text []byte) ([][]byte, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	notes := SplitNotes(append(bytes.TrimSpace(text), '\n'))
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
