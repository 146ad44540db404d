package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

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

// ParseAnchors finds the checkpoints in a file: one or more, also in a mail as it was stored, and above the
// QR code that `station audit checkpoint --qr` prints. A signature that belongs to no whole
// checkpoint is an error, so that a damaged checkpoint is not taken for text.
func ParseAnchors(content []byte) (anchors [][]byte, err error) {
	if anchors, err := findAnchors(textOfMail(content)); err == nil {
		return anchors, nil
	}
	return findAnchors(decodeText(content))
}

func findAnchors(text string) (anchors [][]byte, err error) {
	for lines := tidy(text); len(lines) > 0; {
		size := 1 // of a line of the mail
		if beginsCheckpoint(lines) {
			if size = noteSize(lines); size == 0 {
				return nil, ErrNoAnchor
			}
			anchors = append(anchors, []byte(strings.Join(lines[:size], "\n")+"\n"))
		} else if isSignature(lines[0]) {
			return nil, ErrNoAnchor
		}
		lines = lines[size:]
	}
	if len(anchors) == 0 {
		return nil, ErrNoAnchor
	}
	return anchors, nil
}

// qrShapes are the characters of a printed QR code.
const qrShapes = " \u2580\u2584\u2588"

// tidy gives the lines without what mail programs and printed QR codes add: CR, spaces at the end, marks
// of a quotation, and empty lines behind an empty line. No line of a checkpoint begins with such a mark.
func tidy(text string) (lines []string) {
	empty := true // so that empty lines at the beginning go, too
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(strings.TrimRight(line, " \t\r\n"), " \t>")
		if line == "" && empty || line != "" && strings.Trim(line, qrShapes) == "" {
			continue
		}
		lines, empty = append(lines, line), line == ""
	}
	return lines
}

// beginsCheckpoint reports whether the lines begin with origin, size and root (C2SP tlog-checkpoint, "Note text").
func beginsCheckpoint(lines []string) bool {
	if len(lines) < 3 || !goodOrigin(lines[0]) {
		return false
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, bad := base64.StdEncoding.DecodeString(lines[2])
	return err == nil && size >= 0 && bad == nil && len(root) == tlog.HashSize
}

// noteSize counts the lines of the signed note at the beginning: text, an empty line, signatures
// (C2SP signed-note, "Format"). Without a signature it is 0.
func noteSize(lines []string) int {
	text := slices.Index(lines, "") + 1
	size := text
	for size > 0 && size < len(lines) && isSignature(lines[size]) {
		size++
	}
	if size == text {
		return 0
	}
	return size
}

// isSignature reports whether a line has the form of a signature: a dash, the name of the key,
// and four octets of a key id before the signature (C2SP signed-note, "Format"). Below a mail stands a
// dash with a name of two words, too, and no signature is as short.
func isSignature(line string) bool {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[0] != "\u2014" {
		return false
	}
	signature, err := base64.StdEncoding.DecodeString(parts[2])
	return err == nil && len(signature) > 4+32
}

// Alone gives a signed note with the signature of its log only, without those of witnesses and mirrors: as many of them as there may
// be do not fit into a QR code. A text that is no note stays as it is.
func Alone(note []byte) []byte {
	head, signatures, _ := bytes.Cut(note, []byte("\n\n"))
	origin, _, _ := bytes.Cut(head, []byte("\n"))
	for line := range bytes.Lines(signatures) {
		if bytes.HasPrefix(line, []byte("\u2014 "+string(origin)+" ")) {
			return slices.Concat(head, []byte("\n\n"), line)
		}
	}
	return note
}
