package ui

import (
	"bytes"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A keyboard is the input of the terminal. It knows how many characters it gave to bubbletea, which hands them
// over one by one: on a busy machine the first one may be taken long before the second one, although a scanner sent both
// at once. No character may count as a key before it is certain that none comes behind it.
type keyboard struct {
	*os.File
	given atomic.Int64 // octets of characters
}

// newKeyboard gives a keyboard for a terminal, nil for other input.
func newKeyboard(in io.Reader) *keyboard {
	if file, ok := in.(*os.File); ok {
		return &keyboard{File: file}
	}
	return nil
}

const escape = 0x1b

// Read counts what it gives.
func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.File.Read(p)
	k.given.Add(characters(p[:n]))
	return n, err
}

// characters counts the octets of characters. Those of an escape sequence are none, so what comes with one counts nothing.
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

// ahead gives how much was read, and reports whether that is more than what was taken: then something is on its way.
// So it is, too, when the terminal holds what nobody has read.
func (k *keyboard) ahead(taken int64) (given int64, more bool) {
	if k == nil {
		return taken, false
	}
	waiting, err := unix.IoctlGetInt(int(k.Fd()), unix.TIOCINQ)
	given = k.given.Load()
	return given, given > taken || err == nil && waiting > 0
}
