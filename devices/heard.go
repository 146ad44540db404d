package devices

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"hallmark/devices/smp"
	"hallmark/station/reason"
)

// heard is what arrived while the station waited for an answer. It says why no answer came.
type heard struct {
	mu        sync.Mutex // covers the following fields
	octets    int64
	printable int64 // octets of text or of frames
	first     []byte
	text      []byte // the newest text outside frames
	damaged   int64  // frames that were dropped
	lineEnds  int64  // those of them that end with CR LF
	own       int64  // requests of the station that came back
	foreign   int64  // answers of groups that are not the provisioning group
}

const (
	firstOctets  = 12
	textOctets   = 1024
	mostly       = 4 // the octets are text or frames if at least 3 of 4 are printable
	loopedLines  = 3 // a line that comes so often shows that the board restarts again and again
	binaryOctets = "\x04\x06\x09\x14"
)

func (h *heard) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.octets, h.printable, h.damaged, h.lineEnds, h.own, h.foreign = 0, 0, 0, 0, 0, 0
	h.first, h.text = h.first[:0], h.text[:0]
}

func (h *heard) addOctets(octets []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.octets += int64(len(octets))
	for _, b := range octets {
		if b >= 0x20 && b < 0x7f || bytes.IndexByte([]byte("\r\n\x1b"+binaryOctets), b) >= 0 {
			h.printable++
		}
	}
	h.first = append(h.first, octets[:min(len(octets), firstOctets-len(h.first))]...)
}

func (h *heard) addText(text []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = append(h.text, text...)
	h.text = h.text[max(0, len(h.text)-textOctets):]
}

func (h *heard) addDamage(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.damaged++
	if errors.Is(why, smp.ErrLineEnd) {
		h.lineEnds++
	}
}

// addMessage counts a message that no call waited for. The caller decides whether an answer of another group matters.
func (h *heard) addMessage(header smp.Header) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case header.Op == smp.Read || header.Op == smp.Write:
		h.own++
	case header.Group != smp.GroupProvisioning:
		h.foreign++
	}
}

// A Finding says why a board gave no answer, and what was heard instead. It wraps the sentinel of its row.
type Finding struct {
	is     *reason.Sentinel
	heard  string
	detail string // a short text for the screen, may be empty
}

func (f *Finding) Error() string { return fmt.Sprintf("%v (%s)", f.is, f.heard) }
func (f *Finding) Unwrap() error { return f.is }

// Detail returns a short text about what was heard, see [reason.Detail].
func (f *Finding) Detail() string { return f.detail }

// unanswered reports whether a request got no answer, whatever was heard instead. The error of a port that another program uses is none.
func unanswered(err error) bool {
	var f *Finding
	return errors.As(err, &f) || errors.Is(err, ErrNoAnswer)
}

// finding says why no answer came. Another program that takes the octets explains all other findings.
func (c *Client) finding(tries int) error {
	if shared, ok := c.transport.(interface{ InUse() error }); ok {
		if err := shared.InUse(); err != nil {
			return err
		}
	}
	f := c.heard.finding(c.met)
	f.heard = "asked " + reason.Count(tries, "time", "times") + "; " + f.heard
	return f
}

// finding names the cause that explains most of what was heard. A frame with a correct CRC is never chance, so answers
// of another server come first. At a wrong baud rate, frames and text are chance.
func (h *heard) finding(met bool) *Finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.foreign > 0 && !met:
		return &Finding{is: ErrOtherServer, heard: "heard " + reason.Count(h.foreign, "answer", "answers") + " of its other groups"}
	case h.octets == 0:
		return &Finding{is: ErrNoAnswer, heard: "heard nothing"}
	case h.printable*mostly < h.octets*(mostly-1):
		first := fmt.Sprintf("% x", h.first)
		return &Finding{is: ErrGarbled, heard: "heard " + reason.Count(h.octets, "octet", "octets") + ", the first are " + first, detail: first}
	case h.damaged > 0:
		return h.damagedFrames()
	case h.own > 0 && len(bytes.TrimSpace(h.text)) == 0:
		return &Finding{is: ErrLoopBack, heard: "heard " + reason.Count(h.own, "request", "requests") + " of the station"}
	case len(bytes.TrimSpace(h.text)) > 0:
		return consoleText(string(h.text))
	}
	return &Finding{is: ErrNoAnswer, heard: "heard " + reason.Count(h.octets, "octet", "octets") + ", and no answer to this request"}
}

func (h *heard) damagedFrames() *Finding {
	f := &Finding{is: ErrDamagedFrames, heard: "heard " + reason.Count(h.damaged, "damaged frame", "damaged frames")}
	switch line := lastLine(string(h.text)); {
	case h.lineEnds > 0:
		f.heard, f.detail = f.heard+"; lines end with CR LF: switch the translation of line ends off", "CR LF"
	case line != "":
		f.heard, f.detail = f.heard+", and the text "+quote(line), line
	}
	return f
}

var (
	controlSequence = regexp.MustCompile(`\x1b\[[0-9;?]*[@-~]|[\r\x00]`)
	loginPrompt     = regexp.MustCompile(`(?i)(login|password|user ?name): ?$`)
	shellPrompt     = regexp.MustCompile(`[$#>] ?$`)
)

// consoleText names a text: a login, a shell, a board that restarts again and again, or any other.
func consoleText(text string) *Finding {
	text = controlSequence.ReplaceAllString(text, "")
	line := lastLine(text)
	what := "text; the last line is "
	switch {
	case loginPrompt.MatchString(line):
		what = "a login: "
	case shellPrompt.MatchString(line):
		what = "a shell: "
	case strings.Count(text, line) >= loopedLines:
		what = "the same text again and again, as of a board that restarts and restarts: "
	}
	return &Finding{is: ErrConsoleText, heard: "heard " + what + quote(line), detail: line}
}

// lastLine returns the last line with a text, without spaces at its ends.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(controlSequence.ReplaceAllString(text, "")), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
