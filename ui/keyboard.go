package ui

import (
	"bytes"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A keyboard is the input of the terminal. It counts the characters that it gave to bubbletea. bubbletea hands them over
// one by one, so on a busy machine the model may get the first character of a scan long before the second, although the
// scanner sent both at once. With the count the model knows whether another character is on its way.
//
// It also keeps the time of each read. Two characters are a part of one scan only if little time lies between their reads:
// on a busy machine the model gets two keys of a person one directly after the other.
type keyboard struct {
	*os.File
	given atomic.Int64 // octets of characters

	mu    sync.Mutex
	reads []reading // the oldest first
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
	count := characters(p[:n])
	until := k.given.Add(count)
	if count > 0 {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.reads = append(k.reads, reading{until, time.Now()})
		k.reads = k.reads[max(0, len(k.reads)-maxReadings):]
	}
	return n, err
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

// ahead gives the number of octets that were read, and reports whether more characters come: octets that were read and
// not taken yet, or octets that nobody has read from the terminal yet.
func (k *keyboard) ahead(taken int64) (given int64, more bool) {
	if k == nil {
		return taken, false
	}
	waiting, err := unix.IoctlGetInt(int(k.Fd()), unix.TIOCINQ)
	given = k.given.Load()
	return given, given > taken || err == nil && waiting > 0
}
