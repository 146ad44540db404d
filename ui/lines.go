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

// longestInput is longer than every label and command, in octets. A longer line is pasted text; ReadLines drops the
// rest of the line.
const longestInput = 256

// An Entered is what came from the input of `station tui --plain`: a line, or at a terminal the go key (Ctrl-G).
type Entered struct {
	Text string
	Go   bool
	// Behind says that the go key came right behind another key, as from a scanner, so it counts for nothing.
	Behind bool
}

// ReadLines sends lines to entered until the input or ctx ends, and then closes entered. how counts at a terminal.
func ReadLines(ctx context.Context, input io.Reader, how Typing, entered chan<- Entered) error {
	defer close(entered)
	if fd, ok := terminalOf(input); ok {
		return readTyped(ctx, fd, interruptible(ctx, input), how, entered)
	}
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
		case entered <- Entered{Text: strings.TrimSpace(string(line))}:
		case <-ctx.Done():
			return nil
		}
	}
}

// interruptible makes reads from a file end when ctx ends, as at the end of the file.
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

// waitLook is the interval in milliseconds at which a wait for input checks ctx.
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
