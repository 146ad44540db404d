package evidence

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// checkSums compares each file with SHA256SUMS.
func (c *checker) checkSums() error {
	want, err := c.listedSums()
	if err != nil {
		return err
	}
	names := slices.DeleteFunc(slices.Clone(c.files.Names()), func(name string) bool { return name == SumsFile || name == SumsFile+SignatureSuffix })
	digests := make([]digest, len(names))
	err = inParallel(c.ctx, len(names), func(n int) (err error) { digests[n], err = c.files.sum(names[n]); return err })
	if err != nil {
		return err
	}
	for n, name := range names {
		if err := c.compareSum(name, want[name], digests[n]); err != nil {
			return err
		}
		delete(want, name)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if err := c.find(-1, name, "the file is missing, %s names it", SumsFile); err != nil {
			return err
		}
	}
	return nil
}

// listedSums reads SHA256SUMS.
func (c *checker) listedSums() (want map[string]string, err error) {
	listed, err := c.read(SumsFile)
	if err != nil {
		return nil, err
	}
	want = map[string]string{}
	before := ""
	for line := range strings.Lines(string(listed)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || len(sum) != 2*sha256.Size || name <= before || !strings.HasSuffix(line, "\n") {
			if err := c.find(-1, SumsFile, "%q is not a line of sha256sum, or not in the order of the names", strings.TrimSuffix(line, "\n")); err != nil {
				return nil, err
			}
			continue
		}
		want[name], before = sum, name
	}
	return want, nil
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
