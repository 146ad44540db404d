package emulated

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// launchPosix starts the core as a process of this machine. The process is ready when it
// reads its UART, so there is nothing to wait for.
func (b *Board) launchPosix(ctx context.Context) (*process, error) {
	image, err := filepath.Abs(b.cfg.Image)
	if err != nil {
		return nil, fmt.Errorf("finding the firmware image: %w", err)
	}
	if b.cfg.Pty {
		return b.launchOnPty(ctx, image)
	}
	args := append([]string{"-fuses", "/proc/self/fd/4", "-flash", flashFile, "-line", "3"}, b.cfg.posixArguments()...)
	return b.begin(b.command(image, args, b.uart.far, b.dir.fuses))
}

func (c *Config) posixArguments() []string {
	var args []string
	if c.Silence > 0 {
		args = append(args, "-silence", strconv.FormatInt(c.Silence.Milliseconds(), 10))
	}
	if c.ReadableMemory {
		args = append(args, "-readable-memory")
	}
	return args
}

// launchOnPty starts a process that makes a pseudo-terminal and prints its path.
func (b *Board) launchOnPty(ctx context.Context, image string) (*process, error) {
	near, far, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the line's name: %w", err)
	}
	defer near.Close()
	cmd := b.command(image, append([]string{"-fuses", "/proc/self/fd/3", "-flash", flashFile, "-pty"}, b.cfg.posixArguments()...), b.dir.fuses)
	cmd.Stdout = far
	p, err := b.begin(cmd)
	far.Close() // the process has its own copy; an open copy here would hide its end
	if err != nil {
		return nil, err
	}
	path, err := pathFrom(ctx, near)
	if err == nil {
		err = b.uart.plugIn(path, b.dir.path)
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// pathFrom reads one line from the pipe.
func pathFrom(ctx context.Context, pipe *os.File) (string, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := pipe.SetReadDeadline(deadline); err != nil {
			return "", fmt.Errorf("bounding the wait for the line's name: %w", err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(time.Unix(1, 0)) }) // fails for a closed pipe, which nobody reads
	defer stop()
	path, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("waiting for the line's name: %w", err)
	}
	return strings.TrimSpace(path), nil
}
