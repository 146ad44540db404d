package ui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// longestInput is more than a label or a command has, in octets. Of a longer line, which somebody
// pasted, ReadLines drops the rest.
const longestInput = 256

// ReadLines hands lines on until there are no more, or ctx ends, and then closes entered.
func ReadLines(ctx context.Context, input io.Reader, entered chan<- string) error {
	defer close(entered)
	in := bufio.NewReaderSize(interruptible(ctx, input), longestInput)
	for rest := false; ; {
		line, more, err := in.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading a line: %w", err)
		}
		first := !rest
		if rest = more; !first {
			continue
		}
		select {
		case entered <- strings.TrimSpace(string(line)):
		case <-ctx.Done():
			return nil
		}
	}
}

// interruptible makes reads from a file end, as at its end, when ctx does.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	if file, ok := in.(*os.File); ok {
		return &waiting{ctx, file}
	}
	return in
}

type waiting struct {
	ctx context.Context
	*os.File
}

// waitLook is how often a wait for input looks whether it is still wanted, in milliseconds.
const waitLook = 100

func (w *waiting) Read(b []byte) (int, error) {
	for w.ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(w.Fd()), Events: unix.POLLIN}}, waitLook)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("waiting for input: %w", err)
		case ready > 0:
			return w.File.Read(b)
		}
	}
	return 0, io.EOF
}
