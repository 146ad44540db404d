package audit

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
)

var errNoCheckpoint = errors.New("not a checkpoint; want a file that `station audit checkpoint` printed")

// ReadAnchors reads files with checkpoints that were kept elsewhere. It checks only their form
// (signed note). Their signatures are checked when the log is verified.
func ReadAnchors(paths []string) (anchors [][]byte, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading an anchor: %w", err)
		}
		var unverified *note.UnverifiedNoteError
		if _, err := note.Open(text, note.VerifierList()); !errors.As(err, &unverified) {
			return nil, fmt.Errorf("--anchor %s: %w", path, errNoCheckpoint)
		}
		anchors = append(anchors, text)
	}
	return anchors, nil
}
