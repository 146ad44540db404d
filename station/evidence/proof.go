package evidence

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"hallmark/station/audit"
)

// proofHeader is the first line of a proof (C2SP tlog-proof, "Format").
const proofHeader = "c2sp.org/tlog-proof@v1"

// NewProof makes a C2SP tlog-proof: that entry seq is in the log of the checkpoint, which has
// this size.
func NewProof(seq, size int64, hashes tlog.HashReader, checkpoint []byte) ([]byte, error) {
	path, err := tlog.ProveRecord(size, seq, hashes)
	if err != nil {
		return nil, fmt.Errorf("proving entry %d: %w", seq, err)
	}
	var proof bytes.Buffer
	fmt.Fprintf(&proof, "%s\nindex %d\n", proofHeader, seq)
	for _, hash := range path {
		fmt.Fprintln(&proof, base64.StdEncoding.EncodeToString(hash[:]))
	}
	proof.WriteByte('\n')
	proof.Write(checkpoint)
	return proof.Bytes(), nil
}

// ErrProof: a proof does not have the form of C2SP tlog-proof, or proves something else.
var ErrProof = errors.New("the proof does not hold")

// CheckProof checks that a proof is of this entry, and that key has signed its checkpoint. It
// returns the head of the checkpoint and the checkpoint itself.
func CheckProof(proof, entry []byte, key string) (head audit.Head, checkpoint []byte, err error) {
	seq, path, checkpoint, err := parseProof(proof)
	if err != nil {
		return head, nil, err
	}
	if head, err = audit.OpenCheckpoint(checkpoint, key); err != nil {
		return head, nil, err
	}
	if err := tlog.CheckRecord(path, head.Size, head.Root, seq, tlog.RecordHash(entry)); err != nil {
		return head, nil, fmt.Errorf("%w: the entry is not number %d of the log of the checkpoint", ErrProof, seq)
	}
	return head, checkpoint, nil
}

// parseProof reads a proof. A line `extra` is not used here, so a proof that has one is refused.
func parseProof(proof []byte) (seq int64, path tlog.RecordProof, checkpoint []byte, err error) {
	text, signed, found := strings.Cut(string(proof), "\n\n")
	lines := strings.Split(text, "\n")
	if !found || len(lines) < 2 || lines[0] != proofHeader {
		return 0, nil, nil, fmt.Errorf("%w: want the lines %q, index, hashes, an empty line and a checkpoint", ErrProof, proofHeader)
	}
	number, isIndex := strings.CutPrefix(lines[1], "index ")
	seq, err = strconv.ParseInt(number, 10, 62)
	if !isIndex || err != nil || strconv.FormatInt(seq, 10) != number {
		return 0, nil, nil, fmt.Errorf("%w: %q is no index", ErrProof, lines[1])
	}
	for _, line := range lines[2:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return 0, nil, nil, fmt.Errorf("%w: %q is no hash", ErrProof, line)
		}
		path = append(path, tlog.Hash(hash))
	}
	return seq, path, []byte(signed), nil
}
