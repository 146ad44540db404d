package emulated

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	programFile = "program.bin" // program memory, as far as a probe wrote it
	debugFile   = "debug.bin"   // DebugState

	programSize = 0x3f_f000 // up to the fuses
)

// A Program is the directory of a board without image. It keeps what a debug probe changes: program memory and the state of
// the debug port. QEMU has both in its memory only, so the probe writes them here, and the board takes them at each power-on.
type Program string

// A DebugState is the state of a debug port.
type DebugState struct {
	Lock uint32 // word that the next reset takes over as the lock; its bits only become zero, until the chip is erased
	// Runs says that the board was reset after its program memory was written, and found a first instruction. Other
	// firmware may be incomplete, and QEMU ends when a CPU locks up.
	Runs bool
}

// NewDebugState returns the state of a new board.
func NewDebugState() DebugState { return DebugState{Lock: 0xffff_ffff} }

// Program returns the files of a board without image.
func (b *Board) Program() Program { return Program(b.dir.path) }

func (p Program) open(name string, flags int) (*os.File, error) {
	return os.OpenFile(filepath.Join(string(p), name), flags|unix.O_NOFOLLOW, 0o600)
}

// Write writes octets of the program memory.
func (p Program) Write(offset uint32, data []byte) error {
	if uint64(offset)+uint64(len(data)) > programSize {
		return fmt.Errorf("%w: %d octets at %#x are beyond the program memory of %d octets", ErrFlash, len(data), offset, programSize)
	}
	file, err := p.open(programFile, os.O_WRONLY|os.O_CREATE)
	if err == nil {
		_, err = file.WriteAt(data, int64(offset))
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the program memory: %w", err)
	}
	return nil
}

// Size returns how many octets of the program memory were written, from its beginning.
func (p Program) Size() (int, error) {
	info, err := os.Lstat(filepath.Join(string(p), programFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("looking at the program memory: %w", err)
	case !info.Mode().IsRegular() || info.Size() > programSize:
		return 0, fmt.Errorf("%w: %s is no file of at most %d octets: put the right file back, or remove it to make the board blank", ErrFlash, filepath.Join(string(p), programFile), programSize)
	}
	return int(info.Size()), nil
}

// contents returns the octets that were written.
func (p Program) contents() ([]byte, error) {
	size, err := p.Size()
	if err != nil || size == 0 {
		return nil, err
	}
	file, err := p.open(programFile, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("reading the program memory: %w", err)
	}
	octets := make([]byte, size)
	_, err = file.ReadAt(octets, 0)
	return octets, errors.Join(err, file.Close())
}

// debugSize is the size of the file: the lock, and 1 for firmware that runs.
const debugSize = 8

// State returns the state of the debug port.
func (p Program) State() (DebugState, error) {
	file, err := p.open(debugFile, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return NewDebugState(), nil
	} else if err != nil {
		return DebugState{}, fmt.Errorf("reading the state of the debug port: %w", err)
	}
	octets := make([]byte, debugSize+1)
	n, _ := file.ReadAt(octets, 0) // a wrong size is refused below
	err = file.Close()
	if runs := binary.LittleEndian.Uint32(octets[4:]); n != debugSize || runs > 1 {
		return DebugState{}, errors.Join(err, fmt.Errorf("%w: %s: put the right file back, or remove it to open the debug port", ErrFlash, file.Name()))
	}
	return DebugState{binary.LittleEndian.Uint32(octets), octets[4] == 1}, err
}

// SetState stores the state of the debug port.
func (p Program) SetState(state DebugState) error {
	octets := binary.LittleEndian.AppendUint32(nil, state.Lock)
	octets = append(octets, 0, 0, 0, 0)
	if state.Runs {
		octets[4] = 1
	}
	file, err := p.open(debugFile, os.O_WRONLY|os.O_CREATE)
	if err == nil {
		_, err = file.WriteAt(octets, 0)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the state of the debug port: %w", err)
	}
	return nil
}
