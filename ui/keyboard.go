package ui

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"sync"
	"time"
)

// A keyboard is the input of the terminal. It keeps the time of each read. bubbletea hands the characters over one by one, so
// on a busy machine the model gets two keys of a person one directly after the other, as if a scanner had typed them.
type keyboard struct {
	*os.File

	mu    sync.Mutex
	given int64     // octets of characters
	reads []reading // the oldest first
	split bool      // the newest octets of a key came in pieces, or with others behind them
}

// A reading is one read from the terminal.
type reading struct {
	until int64 // octets of characters that were given up to this read
	at    time.Time
}

const maxReadings = 256

// newKeyboard makes a keyboard of a terminal. It returns nil for other input.
func newKeyboard(in io.Reader) *keyboard {
	if file, ok := in.(*os.File); ok {
		return &keyboard{File: file}
	}
	return nil
}

const escape = 0x1b

// Read counts the characters that it returns.
func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.File.Read(p)
	k.mu.Lock()
	defer k.mu.Unlock()
	if at := bytes.LastIndexByte(p[:n], escape); at >= 0 {
		k.split = !wholeKey.Match(p[at:n])
	}
	if count := characters(p[:n]); count > 0 {
		k.given += count
		k.reads = append(k.reads, reading{k.given, time.Now()})
		k.reads = k.reads[max(0, len(k.reads)-maxReadings):]
	}
	return n, err
}

// wholeKey is the octets of a key from their escape to their end (ECMA-48, CSI and SS3), and nothing behind them.
var wholeKey = regexp.MustCompile(`^\x1b(\[[0-?]*[ -/]*[@-~]|O.)$`)

// inPieces reports whether the octets of the newest key that begins with an escape came in more than one read, or others came with them.
func (k *keyboard) inPieces() bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.split
}

// readAt gives the time when the character that ends with octet n was read, or the zero time when nobody knows.
func (k *keyboard) readAt(n int64) time.Time {
	if k == nil {
		return time.Time{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, r := range k.reads {
		if r.until >= n {
			k.reads = k.reads[i:] // nobody asks for older characters any more
			return r.at
		}
	}
	return time.Time{}
}

// count gives the octets of characters so far. A count that went wrong, because octets led to no character, is
// corrected with it while nobody types.
func (k *keyboard) count() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.given
}

// characters counts the octets that become characters. Octets that come together with an escape sequence are not counted,
// because a part of them belongs to the sequence.
func characters(octets []byte) (count int64) {
	if bytes.IndexByte(octets, escape) >= 0 {
		return 0
	}
	for _, octet := range octets {
		if octet >= ' ' && octet != 0x7f {
			count++
		}
	}
	return count
}
