package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of requests and answers.
const (
	MaxProof   = 63       // lines of a consistency proof (C2SP tlog-witness, "add-checkpoint")
	MaxRequest = 64 << 10 // octets of a request add-checkpoint, and of an answer
)

// Paths and content types (C2SP tlog-witness and tlog-mirror).
const (
	PathAddCheckpoint = "add-checkpoint"
	PathAddEntries    = "add-entries"
	TypeSize          = "text/x.tlog.size"
	TypeMirrorInfo    = "text/x.tlog.mirror-info"
	TypeEntries       = "application/octet-stream"
)

// A Request is the body of add-checkpoint: the checkpoint, the size of the checkpoint that the
// witness cosigned before, and the proof that the one continues the other (RFC 6962 section 2.1.2).
type Request struct {
	Old        int64
	Proof      tlog.TreeProof
	Checkpoint []byte
}

// ErrRequest: the body of a request does not have its form.
var ErrRequest = errors.New("not a request add-checkpoint")

// Encode returns the body.
func (r *Request) Encode() []byte {
	body := fmt.Appendf(nil, "old %d\n", r.Old)
	for _, hash := range r.Proof {
		body = fmt.Appendf(body, "%s\n", base64.StdEncoding.EncodeToString(hash[:]))
	}
	return append(append(body, '\n'), r.Checkpoint...)
}

// ParseRequest reads a body.
func ParseRequest(body []byte) (*Request, error) {
	head, checkpoint, found := bytes.Cut(body, []byte("\n\n"))
	if !found {
		return nil, fmt.Errorf("%w: it has no empty line before the checkpoint", ErrRequest)
	}
	lines := strings.Split(string(head), "\n")
	if len(lines) > 1+MaxProof {
		return nil, fmt.Errorf("%w: %d lines of a proof, want at most %d", ErrRequest, len(lines)-1, MaxProof)
	}
	r := &Request{Checkpoint: checkpoint}
	var err error
	if r.Old, err = parseSize(strings.TrimPrefix(lines[0], "old ")); err != nil || !strings.HasPrefix(lines[0], "old ") {
		return nil, fmt.Errorf("%w: %q, want \"old\" and a size", ErrRequest, lines[0])
	}
	r.Proof, err = parseHashes(lines[1:])
	return r, err
}

// parseSize reads a size in decimal, without leading zeroes.
func parseSize(text string) (int64, error) {
	size, err := strconv.ParseInt(text, 10, 62)
	if err != nil || strconv.FormatInt(size, 10) != text || size < 0 {
		return 0, fmt.Errorf("%q is no size", text)
	}
	return size, nil
}

func parseHashes(lines []string) (hashes []tlog.Hash, err error) {
	for _, line := range lines {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return nil, fmt.Errorf("%w: %q is no hash", ErrRequest, line)
		}
		hashes = append(hashes, tlog.Hash(hash))
	}
	return hashes, nil
}
