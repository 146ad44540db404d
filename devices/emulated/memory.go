package emulated

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// memoryFile is the name of QEMU's copy of a machine's RAM in the board's directory, while Memory reads it.
const memoryFile = "memory.bin"

// Memory returns a copy of the running board's RAM: what somebody would get who can read it. For a posix board that is
// the memory that its process may write (Config.ReadableMemory). A search for a secret in the copy shows what is left of it.
func (b *Board) Memory(ctx context.Context) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.power == nil {
		return nil, fmt.Errorf("reading the memory: %w", ErrOff)
	}
	var ram []byte
	var err error
	if b.power.monitor != nil {
		ram, err = b.machineMemory(ctx)
	} else {
		ram, err = processMemory(b.power.cmd.Process.Pid)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the memory: %w", err)
	}
	return ram, nil
}

// machineMemory has QEMU write its memories to a file, one after the other.
func (b *Board) machineMemory(ctx context.Context) ([]byte, error) {
	path := filepath.Join(b.dir.path, memoryFile)
	defer os.Remove(path)
	var all []byte
	for _, start := range machines[b.cfg.Machine].memory {
		_, err := b.power.monitor.execute(ctx, "pmemsave", map[string]any{"val": start, "size": memorySize, "filename": memoryFile})
		if err != nil {
			return nil, err
		}
		part, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// processMemory reads the writable private memory of a process (proc(5), maps and mem).
func processMemory(pid int) ([]byte, error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	var all []byte
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var from, to uint64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil {
			return nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		if !strings.HasPrefix(rights, "rw") {
			continue
		}
		part := make([]byte, to-from)
		n, err := mem.ReadAt(part, int64(from))
		if n < len(part) {
			return nil, err
		}
		all = append(all, part...)
	}
	if len(all) == 0 {
		return nil, errors.Join(lines.Err(), errors.New("the process has no memory"))
	}
	return all, lines.Err()
}
