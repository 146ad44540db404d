package evidence

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// checkSums compares each file with SHA256SUMS. Both are in the order of the names, so SHA256SUMS, which has a line for each
// certificate and so no largest size, is read line by line.
func (c *checker) checkSums() (err error) {
	c.expected[SumsFile] = true
	listed, err := c.files.Open(SumsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return c.find(-1, SumsFile, "the file is missing")
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listed.Close()) }()
	names := slices.DeleteFunc(slices.Clone(c.files.Names()), func(name string) bool { return name == SumsFile || name == SumsFile+SignatureSuffix })
	digests := make([]digest, len(names))
	err = inParallel(c.ctx, len(names), func(n int) (err error) { digests[n], err = c.files.sum(names[n]); return err })
	if err != nil {
		return err
	}
	at := 0
	err = c.eachSum(listed, func(name, sum string) error {
		for ; at < len(names) && names[at] < name; at++ {
			if err := c.compareSum(names[at], "", digests[at]); err != nil {
				return err
			}
		}
		if at == len(names) || names[at] != name {
			return c.find(-1, name, "the file is missing, %s names it", SumsFile)
		}
		at++
		return c.compareSum(name, sum, digests[at-1])
	})
	for ; err == nil && at < len(names); at++ {
		err = c.compareSum(names[at], "", digests[at])
	}
	return err
}

// maxSumLine is the longest line of SHA256SUMS that is read, in octets. The names of a bundle are shorter.
const maxSumLine = 4096

// eachSum calls each for the lines of SHA256SUMS. A line that is none, or out of order, is a finding.
func (c *checker) eachSum(listed io.Reader, each func(name, sum string) error) error {
	in, before := bufio.NewReaderSize(listed, maxSumLine), ""
	for {
		octets, err := in.ReadSlice('\n')
		line := string(octets)
		switch {
		case line == "" && errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return c.find(-1, SumsFile, "a line has more than %d octets: the rest was not read", maxSumLine)
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("reading %s: %w", SumsFile, err)
		}
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || len(sum) != 2*sha256.Size || name <= before || err != nil {
			err = c.find(-1, SumsFile, "%q is not a line of sha256sum, or not in the order of the names", strings.TrimSuffix(line, "\n"))
		} else if err = each(name, sum); err == nil {
			before = name
		}
		if err != nil {
			return err
		}
	}
}

func (c *checker) compareSum(name, want string, got digest) error {
	if name == ReportFile || slices.Contains(viewNames, name) {
		c.sums[name] = got
	}
	switch want {
	case got.String():
		return nil
	case "":
		return c.find(-1, name, "%s does not name the file", SumsFile)
	}
	return c.find(-1, name, "the file was changed: its SHA-256 is not that of %s", SumsFile)
}

// buffers are for sum: most files are certificates of 500 octets, and a new buffer for each would be
// more than half of the memory that a check asks for.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// sum gives the SHA-256 of a file.
func (f *Files) sum(name string) (sum digest, err error) {
	in, err := f.Open(name)
	if err != nil {
		return sum, err
	}
	hash, buffer := sha256.New(), buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buffer)
	_, err = io.CopyBuffer(hash, struct{ io.Reader }{in}, buffer[:]) // without the methods of a file, which bring a buffer of their own
	if err = errors.Join(err, in.Close()); err != nil {
		return sum, fmt.Errorf("reading %s: %w", name, err)
	}
	return digest(hash.Sum(nil)), nil
}

// inParallel does n independent pieces of work, several at once, and gives the first error.
func inParallel(ctx context.Context, n int, do func(int) error) error {
	const share = 64 // pieces of work that a worker takes at once
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < n; first += share {
		group.Go(func() error {
			for i := first; i < min(first+share, n); i++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
